# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rehearsed loss is no sign of flapping: what a drill has made a machine do does not count for it.

Otherwise the third drill in a row of one machine would look like a machine that goes and comes, and nothing would be
acted on, neither in the drill nor in a real loss soon after it. The journal keeps the transitions themselves.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List, Optional

from .. import journal
from ..detect import flapping
from ..detect.ages import LimitsOf
from ..errors import LockTimeout
from ..look import View
from ..state import Commit, Memory
from ..stores.file import FileStore
from .document import Drill
from .measure import history_of

MAX_RACES = 100


def would_flap(seen: View, machine: str) -> bool:
    """Whether a machine has gone and come so often of late that a loss and a return more would be flapping."""
    memory = seen.state.machines.get(machine)
    slot = LimitsOf(seen.fleet.settings)(machine).offline
    lost, back = seen.now + slot, seen.now + 2 * slot
    return memory is not None and flapping.is_flapping(back, memory.flapping, [*memory.changes, lost, back], slot)


def forget(store: FileStore, drill: Drill, commits: List[Commit]) -> None:
    """Let the losses and returns of a drill not count."""
    caused: Dict[str, List[int]] = {}
    for machine in drill.machines:
        past = history_of(commits, machine)
        caused[machine] = [one.effective_at for one in (past.gone, past.back) if one is not None]
    for _race in range(MAX_RACES):
        ledger = journal.load(store)
        memories: Dict[str, Optional[Memory]] = {}
        for machine, times in caused.items():
            memory = ledger.state.machines.get(machine)
            if memory is not None and set(times).intersection(memory.changes):
                memories[machine] = replace(memory, changes=[at for at in memory.changes if at not in times])
        if not memories:
            return
        now = store.now()
        commit = Commit(ledger.next_number, now, journal.writer_name(), memories=memories)
        if journal.append(store, ledger, commit, now):
            return
    raise LockTimeout("checkers were always first in the journal, %d times; try again" % MAX_RACES)
