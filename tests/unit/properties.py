# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How hypothesis looks for counterexamples: the same examples at every run of the tests, new ones in the long proofs.

A test that fails by a new example says something about the code, and nothing about the change it failed on. So new
examples are for ``make proofs``, which sets ROOSYNC_TEST_EXAMPLES to how many each property gets.
"""

from __future__ import annotations

import os
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
        deadline=None,  # one slow moment of a busy machine is no failure of a property
        derandomize=wanted is None,
        print_blob=True,
        max_examples=int(wanted or 100),
    )
    hypothesis.settings.load_profile("roosync")
