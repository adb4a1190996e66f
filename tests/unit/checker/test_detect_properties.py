# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties of the decision that hold for any fleet. What holds for any decision at all is in ``sim.verify``."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any, Callable

from hypothesis import assume, event, example, given
from hypothesis import strategies as st

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.detect.survey import Sighting, survey
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.detect.verdict import Decision, decide
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.settings import Settings
from ansible_collections.roosync.heartbeat.tests.unit.checker.sim import Sim, seconds

NAMES = ["m%d" % n for n in range(7)]

# -- any history -------------------------------------------------------------------------------------------------

Step = Callable[[Sim], object]


def waits() -> st.SearchStrategy[Step]:
    times = st.sampled_from([0.5, 5, 29, 31, 60, 90, 119, 121, 300, 1000, 5000, -1, -10, -600, -86_400])
    return times.map(lambda amount: lambda sim: sim.wait(amount))


def beats() -> st.SearchStrategy[Step]:
    missed = st.sampled_from([(None, None), (100, 5), (500, 400), (130, 0)])
    details = st.tuples(
        st.lists(st.sampled_from(NAMES), min_size=1, unique=True),
        st.sampled_from([0, 0, 0, 1, 60, 95, 130, 500, -1, -100, -5000]),
        st.sampled_from([None, None, None, "stop"]),
        missed,
        st.sampled_from(["boot", "boot", "boot-2"]),
    )

    def step(drawn: Any) -> Step:
        machines, age, leaving, (began, ended), boot = drawn

        def beat(sim: Sim) -> None:
            fields: dict[str, Any] = {"leaving": leaving, "boot_id": boot}
            if began is not None:
                fields.update(missed_began=sim.now - seconds(began), missed_ended=sim.now - seconds(ended))
            sim.beat(*machines, age=age, **fields)

        return beat

    return details.map(step)


def losses() -> st.SearchStrategy[Step]:
    return st.sampled_from(NAMES).map(lambda machine: lambda sim: sim.lose(machine))


def new_settings() -> st.SearchStrategy[Step]:
    return some_settings().map(lambda wanted: lambda sim: setattr(sim, "settings", wanted))


def some_settings() -> st.SearchStrategy[Settings]:
    overrides = st.sampled_from([{}, {"m0": {"warning_after": 300.0, "offline_after": 1000.0}}])
    return st.builds(
        Settings,
        warning_after=st.sampled_from([90.0, 60.0, 200.0]),
        offline_after=st.sampled_from([120.0, 91.0, 600.0]).filter(bool),
        auto_sync=st.sampled_from([True, True, False]),
        confirm_offline=st.sampled_from([1, 1, 3]),
        confirm_online=st.sampled_from([1, 1, 2]),
        hold_timeout=st.sampled_from([3600.0, 100.0]),
        overrides=overrides,
    ).map(lambda s: s if s.offline_after > s.warning_after else replace(s, warning_after=60.0))


HISTORY = st.lists(st.one_of(beats(), beats(), waits(), waits(), losses(), new_settings()), min_size=4, max_size=30)


def shuffled(mapping: dict, chance: random.Random) -> dict:
    items = list(mapping.items())
    chance.shuffle(items)
    return dict(items)


@given(history=HISTORY, settings=some_settings(), seed=st.integers(0, 2**32))
def test_any_history(history: list[Step], settings: Settings, seed: int) -> None:
    """Every check decides what may be decided (``sim.verify``), the same whatever order things come in, and once."""
    chance = random.Random(seed)
    sim = Sim(settings)
    for step in history:
        step(sim)
        look, state = sim.look(), sim.state  # of syncs the order is that of the journal, and counts
        mixed = replace(
            state.copy(),
            roster=shuffled(state.roster, chance),
            machines=shuffled(state.machines, chance),
            incidents=shuffled(state.incidents, chance),
        )
        decision = decide(
            look.now,
            shuffled(look.received, chance),
            shuffled(look.seen, chance),
            look.suspects,
            mixed,
            sim.settings,
        )
        assert decision == sim.decide(look), "the order in which things come must not matter"
        for transition in sim.check().transitions:
            event(transition.cause)
        if sim.settings.confirm_offline == sim.settings.confirm_online == 1:
            must_rest(sim, decision)


def windows_changed(decision: Decision) -> bool:
    return decision.outage is not None and decision.outage.changed


def must_rest(sim: Sim, decision: Decision) -> None:
    """Looking again at the same moment decides nothing more.

    Where an outage was opened or closed, or machines joined that tell of one, the next looks follow from that.
    """
    for _look in range(3 if windows_changed(decision) or decision.joined else 0):
        sim.check()
    assert sim.decide().empty, "decided twice"


@given(history=HISTORY)
def test_a_survey_finds_whoever_changes(history: list[Step]) -> None:
    """The cheap first look misses nobody: judging every machine comes to the same transitions."""
    sim = Sim()
    for step in history:
        step(sim)
        look = sim.look()
        everybody = sorted({*look.seen, *sim.state.roster})
        seen = {m: look.seen.get(m) or sim.records.get(m) or Sighting(None) for m in everybody}
        thorough = decide(look.now, look.received, seen, everybody, sim.state, sim.settings)
        found = sim.check()
        if not windows_changed(thorough):
            assert thorough.transitions == found.transitions


# -- ages --------------------------------------------------------------------------------------------------------

AGES = st.dictionaries(st.sampled_from(NAMES), st.floats(0, 400).map(lambda age: round(age, 3)), min_size=1)


@given(ages=AGES, override=st.booleans())
@example(ages={"m0": 90.0, "m1": 89.999, "m2": 120.0, "m3": 119.999}, override=False)
def test_the_age_of_the_last_beat_is_the_status(ages: dict[str, float], override: bool) -> None:
    """With the store known to be there, and no mass of machines failing."""
    limits = {"m1": {"warning_after": 200.0, "offline_after": 300.0}} if override else {}
    sim = Sim(Settings(mass_failure_count=100, overrides=limits))
    sim.beat(*NAMES, "x", "y", "z")
    sim.check()
    sim.wait(1000)
    sim.beat("x", "y", "z", *NAMES)
    for machine, age in ages.items():
        sim.beat(machine, age=age)
    sim.check()
    for machine, age in ages.items():
        warning, offline = (200, 300) if override and machine == "m1" else (90, 120)
        expected = "online" if age < warning else "warning" if age < offline else "offline"
        assert sim.statuses()[machine] == expected, (machine, age)


def silent_for(ages: list[int]) -> Sim:
    """A known fleet that nobody has looked at for long; its machines were last heard so many seconds ago."""
    sim = Sim()
    machines = NAMES[: len(ages)]
    sim.beat(*machines)
    sim.check()
    sim.wait(200_000)
    for machine, age in zip(machines, ages):
        sim.beat(machine, age=age)
    return sim


AGES_OF_ALL = st.lists(st.integers(90, 400) | st.integers(400, 100_000), min_size=3, max_size=7)


@given(ages=AGES_OF_ALL, checks=st.integers(1, 3))
def test_no_verdict_while_the_whole_fleet_is_silent(ages: list[int], checks: int) -> None:
    sim = silent_for(ages)
    for _check in range(checks):
        assert sim.check().transitions == []
        sim.wait(50)


@given(ages=AGES_OF_ALL)
def test_an_outage_excuses_nobody_who_was_lost_before_it(ages: list[int]) -> None:
    """The store is back with the first beat, and was away since the last one before it."""
    sim = silent_for(ages)
    sim.beat("new")
    lost = {machine for machine, age in zip(NAMES, ages) if age - min(ages) >= 120}
    assert {t.machine_id for t in sim.check().transitions if t.to_status != "online"} == lost


@given(heard=st.integers(1, 20), reporting=st.integers(0, 20), silent=st.integers(1, 5))
def test_reports_of_missed_writes_prove_an_outage(heard: int, reporting: int, silent: int) -> None:
    """At least three reports, or all of those heard, and in any case most of them.

    Fewer than three prove it because the others fell silent at that moment, too.
    """
    assume(reporting <= heard and heard + silent >= 3)
    sim = Sim(Settings(mass_failure_count=100))
    back, gone = ["b%02d" % n for n in range(heard)], ["g%02d" % n for n in range(silent)]
    sim.beat(*back, *gone)
    sim.check()
    sim.wait(125)
    sim.beat(*back)
    sim.beat(*back[:reporting], missed_began=sim.now - seconds(120), missed_ended=sim.now - seconds(10))
    worse = {t.machine_id for t in sim.check().transitions if t.to_status == "offline"}
    proven = (reporting >= 3 or reporting == heard) and 2 * reporting > heard
    assert worse == (set() if proven else set(gone))


# -- mass failures -----------------------------------------------------------------------------------------------


@given(
    failing=st.integers(0, 12),
    well=st.integers(1, 12),
    long_gone=st.integers(0, 5),
    leaving=st.integers(0, 5),
    count=st.integers(1, 5),
    ratio=st.sampled_from([0.1, 0.34, 0.5, 0.55, 0.9, 1.0]),
)
def test_a_mass_failure_is_more_than_the_count_and_at_least_the_ratio(
    failing: int, well: int, long_gone: int, leaving: int, count: int, ratio: float
) -> None:
    """Machines that are long gone are no part of the fleet that fails; a goodbye is no failure."""
    sim = Sim(Settings(mass_failure_count=100, mass_failure_ratio=ratio))
    names = {
        kind: ["%s%02d" % (kind, n) for n in range(amount)]
        for kind, amount in (("fail", failing), ("well", well), ("gone", long_gone), ("left", leaving))
    }
    everybody = [machine for group in names.values() for machine in group]
    sim.beat(*everybody)
    sim.check()
    for _step in range(4):
        sim.wait(85)
        sim.beat(*names["fail"], *names["well"], *names["left"])
        sim.check()
    sim.settings = replace(sim.settings, mass_failure_count=count)
    sim.wait(125)
    sim.beat(*names["well"])
    sim.beat(*names["left"], leaving="stop")
    transitions = sim.check().transitions
    assert {t.machine_id for t in transitions if t.cause == "silence"} == set(names["fail"])
    fleet = failing + well + leaving
    expected = failing > count and failing >= ratio * fleet
    held = {t.machine_id for t in transitions if t.held_by is not None}
    assert held == (set(names["fail"]) if expected else set())
    assert any(i.kind == "mass_failure" for i in sim.state.incidents.values()) == expected


@given(returning=st.integers(0, 6), waited=st.sampled_from([10, 999, 1001]))
def test_a_mass_failure_ends_with_the_return_of_the_machines_or_with_time(returning: int, waited: float) -> None:
    sim = Sim(Settings(hold_timeout=1000))
    sim.beat(*NAMES)
    sim.check()
    sim.wait(130)
    sim.beat(NAMES[6])
    sim.check()
    (opened,) = list(sim.state.incidents.values())
    assert opened.machines == NAMES[:6]
    left = waited
    while left > 0:
        sim.wait(min(60, left))
        left -= 60
        sim.beat(NAMES[6])
        sim.check()
    sim.beat(*NAMES[:returning])
    sim.check()
    away = 6 - returning
    by_time = waited >= 1000  # before anybody returned
    over = by_time or away <= 2 or away < 0.55 * 6
    assert (opened.incident_id not in sim.state.incidents) == over
    states = {e.machine_id: e.state for e in sim.state.syncs.values() if e.event == "offline"}
    settled = returning if over and not by_time else 0  # skipped: these came back while they were held
    assert states == dict.fromkeys(NAMES[settled:6], "pending" if over else "held")


# -- what a survey costs -----------------------------------------------------------------------------------------


@given(late=st.integers(0, 30), size=st.sampled_from([100, 400]))
def test_only_the_late_and_a_few_witnesses_are_opened(late: int, size: int) -> None:
    sim = Sim()
    names = ["m%03d" % n for n in range(size)]
    sim.beat(*names)
    sim.check()
    sim.wait(100)
    sim.beat(*names[late:])
    found = survey(sim.now, {m: r.received_at or 0 for m, r in sim.records.items()}, sim.state, sim.settings)
    assert found.suspects == names[:late]
    assert len(found.witnesses) == (64 if late else 0)
    assert not set(found.witnesses) & set(found.suspects)
