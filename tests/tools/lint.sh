#!/usr/bin/env bash
# lint.sh : run every linter, also after one has failed, and say which did. Run from the root of the checkout.
set -uo pipefail

# antsibull-docs and ansible-lint start ansible's programs by name.
PATH=$PWD/.venv/bin:$PATH
# antsibull-docs writes a log into the home folder.
export HOME=$PWD/.cache/home
mkdir -p "$HOME"
failed=()

lint() {
    local start=$SECONDS
    printf -- '--- %s\n' "$*"
    if "$@"; then
        printf 'ok, %d s\n' $((SECONDS - start))
    else
        failed+=("$1")
    fi
}

lint ruff check --quiet
lint ruff format --check --quiet
lint mypy
lint yamllint --strict .
lint shellcheck .ci/run tests/tools/*.sh tests/hosts/*.sh
lint antsibull-changelog lint
lint antsibull-docs lint-collection-docs --plugin-docs --validate-collection-refs self .
lint ansible-lint --offline --profile production

if [ ${#failed[@]} -gt 0 ]; then
    echo "FAILED: ${failed[*]}"
    exit 1
fi
