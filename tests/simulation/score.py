# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The truth, and how far what was announced differs from it: the figures of Chen, Toueg and Aguilera, and the books.

Each policy has a score of its own. A *mistake* is a transition to offline of a machine that is up and beating; it is
the machine's own if none of its beats reached the store for ``offline_after`` though the store was there.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .scenarios import DAY, NS
from .weather import START, Times
from .world import INTERVAL, LEAVING, OFFLINE_AFTER, UNKNOWABLE, WARNING_AFTER, Mask, World

ONLINE, WARNING, OFFLINE, UNKNOWN = range(4)


def own_silence(world: World, at: int) -> Mask:
    """Which machines were silent for ``offline_after`` on their own account.

    A beat that only an outage of the store kept from arriving counts as if it had arrived. Of an outage so short, or so
    young, that nobody can know of it, each such beat excuses one interval; but then the machine must have done well
    otherwise: with the rest of its silence it would have been late by itself, or two beats of its own were missing when
    the outage took the first one.
    """
    arrivals = world.arrivals_at(at) if at < world.now else world.arrival
    outage, deserved, excused = world.weather.outage_at(at), world.deserved, world.struck_briefly
    if outage is not None and at - outage.begin < UNKNOWABLE:
        deserved, excused = np.where(deserved < outage.begin, deserved, -1), world.struck
    known = at - np.maximum(arrivals, np.minimum(deserved, at)) >= OFFLINE_AFTER
    late_by_itself = at - arrivals - INTERVAL * excused >= WARNING_AFTER
    owed_two = (excused > 0) & (world.struck_from - arrivals >= INTERVAL * 5 // 2)
    return known & (late_by_itself | owed_two)


@dataclass
class Score:
    """What one policy made of one scenario."""

    world: World
    slack: int
    """How much longer than ``offline_after`` a policy may take where something is in its way."""
    exact: bool = False
    """Whether nothing is, so that the status at each check is known to the nanosecond."""
    first_status: int = UNKNOWN
    status: Times = field(init=False)
    crashes_found: list[int] = field(default_factory=list)
    crashes_found_late: list[int] = field(default_factory=list)
    """Those near an outage of the store, without the time in which it was away."""
    mistakes_own: int = 0
    mistakes_other: int = 0
    mistake_durations: list[int] = field(default_factory=list)
    warnings: int = 0
    missed: int = 0
    lost: int = 0
    doubled: int = 0
    held_actions: int = 0
    goodbyes_alarmed: int = 0
    actions: int = 0
    examples: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        n = self.world.size
        self.status = np.full(n, self.first_status)
        self._found: Times = np.full(n, -1)
        self._mistaken_since: Times = np.full(n, -1)
        self._owed_off = np.zeros(n, dtype=bool)
        self._owed_on = np.zeros(n, dtype=bool)
        self._back_since: Times = np.full(n, -1)
        """The check from which on a machine that counts as offline has been beating."""
        self._owed_crash: Times = np.full(n, -1)

    # -- what a policy announces -------------------------------------------------------------------------------------

    def say(self, who: Times, status: int, at: int, planned: bool = False) -> None:
        """A policy announces a status of these machines."""
        if not who.size:
            return
        if status == OFFLINE:
            self._offline(who, at, planned)
            self._owed_off[who] = False
        else:
            if status == WARNING:
                self.warnings += int(((self.world.down_since[who] < 0) & (self.world.up_since[who] <= at)).sum())
            self._end_mistakes(who, at)
            self._owed_on[who] = False
        self.status[who] = status

    def _offline(self, who: Times, at: int, planned: bool) -> None:
        world = self.world
        down = world.down_since[who]
        dead = who[(down >= 0) & (self._found[who] != down)]
        self._found[dead] = world.down_since[dead]
        if not planned:
            self._detected(dead, at)
            self._stopped(dead, at)
        alive = who[(down < 0) & (world.up_since[who] <= at) & (self.status[who] != OFFLINE)]
        if not alive.size:
            return
        own = own_silence(world, at)[alive]
        if planned:
            own[:] = False
        self.mistakes_own += int(own.sum())
        self.mistakes_other += int((~own).sum())
        for machine in alive[~own][:3]:
            self.note("false offline of %s at %.1f s" % (world.ids[machine], (at - START) / NS))
        self._mistaken_since[alive] = at

    def _detected(self, who: Times, at: int) -> None:
        """Crashes that were found: how long it took, with the store and the checker there, or with the store away."""
        weather, down = self.world.weather, self.world.down_since[who]
        seen = self._clear_of(weather.absences + [(p.begin, p.end) for p in weather.partitions], down)
        clear = self._clear_of([(o.begin, o.end) for o in weather.outages], down)
        self.crashes_found.extend((at - down[seen & clear]).tolist())
        late = down[seen & ~clear]
        if late.size:
            self.crashes_found_late.extend((at - late - weather.away_between(late, at)).tolist())

    def _clear_of(self, blind: list[tuple[int, int]], down: Times) -> np.ndarray:
        """Which crashes these times did not touch: they were over before, or began when it should have been found."""
        clear = np.ones(down.size, dtype=bool)
        for begin, end in blind:
            clear &= ~((down > begin - OFFLINE_AFTER - self.slack) & (down < end + OFFLINE_AFTER + self.slack))
        return clear

    def _stopped(self, who: Times, at: int) -> None:
        """An alarm about a machine whose goodbye lay in the store."""
        wrong = who[(self.world.beat[LEAVING, who] > 0) & (self.world.arrival[who] <= at)]
        self.goodbyes_alarmed += int(wrong.size)
        for machine in wrong[:3]:
            self.note("alarm about %s, which said goodbye, at %.1f s" % (self.world.ids[machine], (at - START) / NS))

    def _end_mistakes(self, who: Times, at: int) -> None:
        over = who[self._mistaken_since[who] >= 0]
        self.mistake_durations.extend((at - self._mistaken_since[over]).tolist())
        self._mistaken_since[over] = -1

    def act(self, who: Times, at: int) -> None:
        """A policy acts on these machines being offline.

        A hold covers who did well until it began. Whoever owed a beat by then has its own reason to be silent, also if
        a beat that was on its way arrives in the middle.
        """
        self.actions += int(who.size)
        for hold in self.world.weather.holds:
            if hold.begin <= at < hold.end:
                wrong = np.intersect1d(who, hold.machines)
                wrong = wrong[self.world.arrivals_at(hold.begin)[wrong] >= hold.begin - INTERVAL]
                self.held_actions += int(wrong.size)
                for machine in wrong[:3]:
                    self.note("action under a hold: %s at %.1f s" % (self.world.ids[machine], (at - START) / NS))

    def note(self, text: str) -> None:
        """Keep an example of what went wrong."""
        if len(self.examples) < 20:
            self.examples.append(text)

    # -- what it should have announced -------------------------------------------------------------------------------

    def settle(self, at: int, arrival: Times) -> None:
        """After a check: who is owed a transition, and who will never get the one that was owed.

        :param at: when the check began.
        :param arrival: the arrivals as they were then.
        """
        world = self.world
        ended = np.flatnonzero((self._mistaken_since >= 0) & (world.down_since >= 0))
        self._end_mistakes(ended, at)
        age = at - arrival
        limit = OFFLINE_AFTER if self.exact else OFFLINE_AFTER + self.slack
        back = max((min(o.end, at) for o in world.weather.outages if o.begin <= at), default=0)
        # Outages in a row may prolong that, but not for ever: see "The store was away" in docs/detection.md.
        there = at - arrival - world.weather.away_between(arrival, at)
        silent = (at - np.maximum(arrival, back) >= limit) | (there >= 2 * OFFLINE_AFTER + self.slack)
        silent &= world.arrival == arrival
        # A goodbye is read as soon as its machine is late: whoever is back before that has not been away.
        leaving = (world.beat[LEAVING] > 0) & (arrival >= 0) & (world.arrival == arrival)
        left = leaving & (at - np.maximum(arrival, back) >= WARNING_AFTER + (0 if self.exact else self.slack))
        off = self.status == OFFLINE
        beating = (age < (WARNING_AFTER if self.exact else WARNING_AFTER - 60 * NS)) & ~leaving
        self._close(self._owed_off, beating, "offline")
        self._close(self._owed_on, silent, "online")
        self._owed_off |= (silent | left) & ~off & (self.status != UNKNOWN)
        owed_now = self._owed_off & (world.down_since >= 0)
        self._owed_crash = np.where(owed_now, world.down_since, self._owed_crash)
        waiting = self._owed_crash >= 0
        gone = waiting & (self._owed_crash != world.down_since) & (self._found != self._owed_crash)
        self.missed += int(gone.sum())
        self._owed_crash[waiting & ((self._owed_crash != world.down_since) | ~self._owed_off)] = -1
        self._return(at, beating & off, off & (age < WARNING_AFTER) & ~leaving)

    def _return(self, at: int, back: Mask, still: Mask) -> None:
        """Who is owed a return: a single beat that came late, and may be hidden by a cache for a minute, is none.

        :param back: who beats, and counts as offline.
        :param still: who may go on doing so.
        """
        waits = 0 if self.exact else self.slack
        back = back | (still & (self._back_since >= 0))
        self._back_since = np.where(back, np.where(self._back_since >= 0, self._back_since, at), -1)
        self._owed_on |= back & (self._back_since <= at - waits) & (self.world.up_since <= at - waits)

    def _close(self, owed: np.ndarray, over: np.ndarray, what: str) -> None:
        lost = np.flatnonzero(owed & over)
        if lost.size:
            self.lost += int(lost.size)
            owed[lost] = False
            for machine in lost[:3]:
                when = (self.world.now - START) / NS
                self.note("transition to %s lost: %s, noticed at %.1f s" % (what, self.world.ids[machine], when))

    def finish(self, at: int) -> None:
        """The end: what is owed now was never announced."""
        self.missed += int(((self._owed_crash >= 0) & (self._found != self._owed_crash)).sum())
        everybody = np.ones(self.world.size, dtype=bool)
        self._close(self._owed_off, everybody, "offline")
        self._close(self._owed_on, everybody, "online")
        self._end_mistakes(np.flatnonzero(self._mistaken_since >= 0), at)

    # -- figures -----------------------------------------------------------------------------------------------------

    def figures(self, machine_days: float) -> dict[str, float | int | None]:
        """The standard figures, durations in seconds."""
        found = np.array(self.crashes_found) / NS
        late = np.array(self.crashes_found_late) / NS
        wrong = sum(self.mistake_durations) / NS
        years = machine_days / 365.25
        return {
            "crashes_detected": len(self.crashes_found),
            "t_d_median": round(float(np.median(found)), 1) if found.size else None,
            "t_d_p99": round(float(np.percentile(found, 99)), 1) if found.size else None,
            "t_d_max": round(float(found.max()), 1) if found.size else None,
            "crashes_detected_near_outages": len(self.crashes_found_late),
            "t_d_near_outages_p99": round(float(np.percentile(late, 99)), 1) if late.size else None,
            "false_offlines_own_silence": self.mistakes_own,
            "false_offlines_other": self.mistakes_other,
            "false_offlines_per_machine_year": round((self.mistakes_own + self.mistakes_other) / years, 4),
            "t_m_mean": round(wrong / len(self.mistake_durations), 1) if self.mistake_durations else None,
            "p_a": 1 - wrong / (machine_days * DAY / NS),
            "missed_crashes": self.missed,
            "transitions_lost": self.lost,
            "transitions_doubled": self.doubled,
            "actions": self.actions,
            "actions_under_hold": self.held_actions,
            "goodbyes_alarmed": self.goodbyes_alarmed,
        }
