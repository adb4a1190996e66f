# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Proofs with real processes: ``make proofs`` runs them in full, the unit tests in short."""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
from pathlib import Path
from typing import Callable, Dict

from ansible_collections.roosync.heartbeat.tests.proofs import checkers, killed, registering
from ansible_collections.roosync.heartbeat.tests.proofs.terrain import ProofFailed

Proof = Callable[[Path, argparse.Namespace], str]
PROOFS: Dict[str, Proof] = {
    "registering": lambda root, args: registering.prove(root, args.processes, args.machines),
    "checkers": lambda root, args: checkers.prove(root, args.checkers, args.rounds, args.seed),
    "steps": lambda root, args: killed.prove_steps(root, args.seed),
    "killed": lambda root, args: killed.prove(root, args.kills, args.seed),
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="proofs", description=__doc__)
    parser.add_argument(
        "proofs", nargs="*", metavar="PROOF", help="which of %s; all if none is named" % ", ".join(PROOFS)
    )
    parser.add_argument("--processes", type=int, default=8, help="processes that register at once (%(default)s)")
    parser.add_argument("--machines", type=int, default=1000, help="machines that each registers (%(default)s)")
    parser.add_argument("--checkers", type=int, default=6, help="checkers at once (%(default)s)")
    parser.add_argument("--rounds", type=int, default=50, help="rounds of random change (%(default)s)")
    parser.add_argument("--kills", type=int, default=300, help="checkers to kill (%(default)s)")
    parser.add_argument(
        "--seed", type=int, default=random.SystemRandom().randrange(2**32), help="of all that is random"
    )
    args = parser.parse_args()
    unknown = sorted(set(args.proofs) - set(PROOFS))
    if unknown:
        parser.error("no such proof: %s" % ", ".join(unknown))
    return args


def main() -> int:
    args = arguments()
    status = 0
    for name in args.proofs or PROOFS:
        with tempfile.TemporaryDirectory(prefix="proof-") as folder:
            os.environ["XDG_CACHE_HOME"] = folder + "/cache"  # where checkers keep what they last knew
            try:
                print("%s: %s" % (name, PROOFS[name](Path(folder) / "store", args)), flush=True)
            except ProofFailed as exc:
                print("%s: FAILED with --seed %d: %s" % (name, args.seed, exc), file=sys.stderr, flush=True)
                status = 1
    return status


if __name__ == "__main__":
    raise SystemExit(main())
