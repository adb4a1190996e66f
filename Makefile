# `make help` lists what there is to do. Everything is made inside the checkout: the environment for daily use in .venv,
# the rest in .cache. The only thing needed from outside is a package registry, and only the first time.

SHELL := /bin/sh
.DEFAULT_GOAL := help

CACHE := $(CURDIR)/.cache
BIN := .venv/bin
TOOLS := tests/tools
MATRIX = $(TOOLS)/matrix.sh $@

# Pythons that the newest supported ansible-core for 3.11 runs on, the preferred one first. PYTHON=/path/to/python
# overrides the search, at the time when .venv is made.
PYTHONS := 3.11 3.12 3.13
# Pythons of managed machines, as far as each ansible-core supports them.
TARGETS_2_19 := 3.8 3.9 3.10 3.11 3.12 3.13
TARGETS_2_21 := 3.9 3.10 3.11 3.12 3.13

# Nothing is read from or written to the home folder, so that a run depends on the checkout alone.
export ANSIBLE_CONFIG := $(CURDIR)/tests/ansible.cfg
export ANSIBLE_HOME := $(CACHE)/ansible
export ANSIBLE_COLLECTIONS_PATH := $(CACHE)/ansible/collections
export ANSIBLE_REMOTE_TEMP := $(CACHE)/ansible/remote-tmp
export HYPOTHESIS_STORAGE_DIRECTORY := $(CACHE)/hypothesis
export XDG_CACHE_HOME := $(CACHE)/xdg
export PIP_CACHE_DIR ?= $(CACHE)/pip
export UV_CACHE_DIR ?= $(CACHE)/uv
export UV_PYTHON_DOWNLOADS := never
# A registry that is slow, or turns somebody away for a moment, gets more chances than by default.
export PIP_RETRIES ?= 10
export PIP_TIMEOUT ?= 60
export UV_HTTP_RETRIES ?= 10
export UV_HTTP_TIMEOUT ?= 60
# As pip does: certificates that the machine trusts are trusted.
export UV_SYSTEM_CERTS := 1
# ansible insists on UTF-8, and a bare machine has no locale set.
export LC_ALL := C.UTF-8
# Compiled files make every ansible process start twice as fast.
unexport PYTHONDONTWRITEBYTECODE
# What is installed elsewhere must not leak in.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-20s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##### Set-up #####

.PHONY: setup setup-dev
setup: ## Make .venv with ansible-core and the collection as it would be published
	@$(TOOLS)/venv.sh .venv "$(PYTHONS)" run || { \
	    [ $$? -ne 3 ] || echo "no Python of $(PYTHONS) found: install one, or name it with PYTHON=" >&2; exit 1; }
	@$(TOOLS)/install-collection.sh .venv

setup-dev: setup ## Add the tools for tests and linting to .venv
	@$(TOOLS)/venv.sh .venv "$(PYTHONS)" test simulation runner lint
	@$(TOOLS)/tree.sh link .cache/tree

##### Use #####

.PHONY: run bench
run: setup ## Rehearse outages of a small fleet on this machine and show what the collection reports
	@exec $(BIN)/python tests/rehearsal/run.py

bench: setup ## Measure how the collection behaves with many machines
	@exec $(BIN)/python tests/bench/bench.py

##### Tests #####

.PHONY: test units units-matrix integration integration-matrix sanity sanity-matrix simulate hosts
test: setup-dev ## Run everything below; STRICT=1 turns parts that cannot run here into failures
	@HOSTS="$${HOSTS:-$(if $(filter 1,$(STRICT)),required,if-possible)}" MAKE="$(MAKE)" \
	    $(BIN)/python $(TOOLS)/run_parts.py \
	    lint units units-matrix integration integration-matrix sanity sanity-matrix hosts

units: setup-dev ## Unit tests
	$(BIN)/pytest -n 2 tests/unit

units-matrix: setup-dev ## Unit tests elsewhere: the standard-library part on Python 3.8, all on 3.13 with ansible-core 2.21
	@$(MATRIX) py3.8 python -m pytest -n 2 tests/unit/stdlib
	@$(MATRIX) core-2.21 python -m pytest -n 2 tests/unit

integration: setup-dev ## Playbooks against the installed collection
	$(BIN)/pytest -n 2 tests/integration

# What the pages show, and the sample project for AWX, are the same with each of them.
ONCE := --ignore tests/integration/docs --ignore tests/integration/awx
integration-matrix: setup-dev ## Modules, roles and playbooks with ansible-core 2.16 and 2.21
	@$(MATRIX) core-2.16 python -m pytest -n 2 tests/integration $(ONCE)
	@$(MATRIX) core-2.21 python -m pytest -n 2 tests/integration $(ONCE)

sanity: setup-dev ## ansible-test sanity, for modules on Python 3.8 to 3.13
	@$(TOOLS)/sanity.sh $@ .venv $(TARGETS_2_19)

sanity-matrix: setup-dev ## The same with ansible-core 2.21
	@$(MATRIX) core-2.21 $(TOOLS)/sanity.sh $@ .cache/venvs/core-2.21 $(TARGETS_2_21)

simulate: setup-dev ## A million simulated machine-days through the real checker; ARGS="--help" shows the options
	@PYTHONPATH=.cache/tree nice $(BIN)/python -m ansible_collections.roosync.heartbeat.tests.simulation $(ARGS)

hosts: setup-dev ## Playbooks and agents on six real hosts (containers with systemd); HOSTS=skip leaves them out
	@$(TOOLS)/venv.sh .venv "$(PYTHONS)" hosts
	@tests/hosts/run.sh $@ $(ARGS)

.PHONY: proofs
proofs: setup-dev ## Many processes at once, killed checkers, many random fleets and syncs; ARGS="--help" shows the options
	@PYTHONPATH=.cache/tree nice $(BIN)/python -m ansible_collections.roosync.heartbeat.tests.proofs $(ARGS)
	@[ -n "$(ARGS)" ] || ROOSYNC_TEST_EXAMPLES=3000 nice $(BIN)/pytest -n 2 \
	    tests/unit/checker/test_detect_properties.py tests/unit/checker/test_detect_machine.py \
	    tests/unit/checker/test_sync_properties.py tests/unit/stdlib/test_sync_merge_properties.py \
	    tests/unit/stdlib/test_sync_apply_cut_off.py

##### Linters #####

.PHONY: lint format lock
lint: setup-dev ## All linters and the type checker
	@$(TOOLS)/lint.sh

format: setup-dev ## Format Python files and apply ruff's safe fixes
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# Resolved for every Python that the group has to work on. Run it after a change of the groups in pyproject.toml.
LOCK := $(BIN)/uv pip compile --quiet --universal --no-header --no-annotate --upgrade
lock: setup ## Resolve the requirements of pyproject.toml anew into requirements/
	$(LOCK) --python-version 3.11 --group bootstrap --output-file requirements/bootstrap.txt
	$(LOCK) --python-version 3.11 --group run --output-file requirements/run.txt
	$(LOCK) --python-version 3.11 --group core-2-16 --output-file requirements/core-2.16.txt
	$(LOCK) --python-version 3.12 --group core-2-21 --output-file requirements/core-2.21.txt
	$(LOCK) --python-version 3.8 --group test --output-file requirements/test.txt
	$(LOCK) --python-version 3.11 --group simulation --output-file requirements/simulation.txt
	$(LOCK) --python-version 3.11 --group lint --constraint requirements/run.txt --output-file requirements/lint.txt
	$(LOCK) --python-version 3.11 --group runner --constraint requirements/run.txt --constraint requirements/lint.txt \
	    --output-file requirements/runner.txt
	$(LOCK) --python-version 3.11 --group hosts --constraint requirements/run.txt --constraint requirements/lint.txt \
	    --output-file requirements/hosts.txt

##### The rest #####

.PHONY: clean
clean: ## Remove all that was made here
	rm -rf .venv .cache .ansible tests/output roosync-heartbeat-*.tar.gz
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
