# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How hypothesis looks for counterexamples: the same examples at every run of the tests, new ones in the long proofs.

A test that fails by a new example says something about the code, and nothing about the change it failed on. So new
examples are for ``make proofs``, which sets ROOSYNC_TEST_EXAMPLES to how many each property gets.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import hypothesis


def load_profile() -> None:
    """Settle it for the whole run."""
    # Below the checkout's cache also when pytest is started by hand.
    storage = Path(__file__).resolve().parents[2] / ".cache/hypothesis"
    os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(storage))
    wanted = os.environ.get("ROOSYNC_TEST_EXAMPLES")
    hypothesis.settings.register_profile(
        "roosync",
        # One slow moment of a busy machine is no failure of a property.
        deadline=None,
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
        derandomize=wanted is None,
        print_blob=True,
        max_examples=int(wanted or 100),
    )
    hypothesis.settings.load_profile("roosync")
    if wanted is None:
        _draw_nothing_from_the_code()


def _draw_nothing_from_the_code() -> None:
    """Newer versions of hypothesis also try the constants of the code, which are those of what is imported by then.

    What that is depends on the tests that the same process has run before, and so would the examples.
    """
    providers = sys.modules.get("hypothesis.internal.conjecture.providers")
    known = {} if providers is None else vars(providers)
    if "_get_local_constants" in known:  # from Python 3.9 on
        nothing = known["Constants"]()
        known["_get_local_constants"] = lambda: nothing
