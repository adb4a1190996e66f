# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two hosts under one name: the second is refused while the first lives, and nothing is ever merged silently."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import Any, Callable, List

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import iso
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.conflicts import live_conflicts
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import IdentityConflict
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.record import Beat, encode
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.register import place, register
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.settings import Settings, from_mapping
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.support import Fleet, tree

FIRST, SECOND = "1" * 32, "2" * 32


def conflict(fleet: Fleet, **kwargs: Any) -> IdentityConflict:
    with pytest.raises(IdentityConflict) as caught:
        register(fleet.store(), "web1", **kwargs)
    assert caught.value.error_code == "IDENTITY_CONFLICT"
    return caught.value


def shown(fleet: Fleet) -> Any:
    store = fleet.store()
    return live_conflicts(store, store.now(), Settings())


def test_a_second_live_host_is_refused_and_written_down(fleet: Fleet) -> None:
    first = register(fleet.store(), "web1", {"host": "first"}, fingerprint=FIRST)
    before = fleet.record("web1").read_bytes()
    inode = fleet.record("web1").stat().st_ino
    error = conflict(fleet, metadata={"host": "second"}, fingerprint=SECOND)
    assert error.message.startswith("web1 is in use by another host (fingerprint %s, last heartbeat " % FIRST)
    assert first["received_at"] in error.message
    assert "give this host another machine_id, stop the other one, or let this one take the name over" in error.message
    assert error.details == {"machine_id": "web1", "holder": FIRST, "last_heartbeat": first["received_at"]}
    assert fleet.record("web1").read_bytes() == before
    assert fleet.record("web1").stat().st_ino == inode

    documents = list((fleet.location / "conflicts").iterdir())
    assert [json.loads(path.read_bytes()) for path in documents] == [
        {"machine_id": "web1", "holder": FIRST, "refused": SECOND, "refused_host": os.uname().nodename}
    ]
    conflict(fleet, fingerprint=SECOND)
    assert list((fleet.location / "conflicts").iterdir()) == documents


def test_the_first_host_goes_on_as_if_nothing_had_happened(fleet: Fleet) -> None:
    register(fleet.store(), "web1", fingerprint=FIRST)
    conflict(fleet, fingerprint=SECOND)
    assert register(fleet.store(), "web1", fingerprint=FIRST)["sequence"] == 2
    assert fleet.beat("web1").took_over is None


def test_a_dry_run_is_refused_as_well_and_writes_nothing_down(fleet: Fleet) -> None:
    register(fleet.store(), "web1", fingerprint=FIRST)
    before = tree(fleet.root)
    conflict(fleet, fingerprint=SECOND, dry_run=True)
    assert tree(fleet.root) == before


def test_who_cannot_write_the_conflict_down_is_refused_all_the_same(fleet: Fleet) -> None:
    register(fleet.store(), "web1", fingerprint=FIRST)
    (fleet.location / "conflicts").rmdir()
    assert conflict(fleet, fingerprint=SECOND).details["holder"] == FIRST


@pytest.mark.parametrize(("age", "refused"), [(0, True), (110, True), (125, False), (10**9, False)])
def test_an_offline_holder_is_taken_over(fleet: Fleet, age: int, refused: bool) -> None:
    register(fleet.store(), "web1", fingerprint=FIRST)
    fleet.age("web1", age)
    if refused:
        conflict(fleet, fingerprint=SECOND)
        return
    assert register(fleet.store(), "web1", fingerprint=SECOND)["sequence"] == 2
    beat = fleet.beat("web1")
    assert (beat.fingerprint, beat.took_over) == (SECOND, FIRST)
    assert register(fleet.store(), "web1", fingerprint=SECOND)["sequence"] == 3
    assert fleet.beat("web1").took_over == FIRST
    assert conflict(fleet, fingerprint=FIRST).details["holder"] == SECOND


def test_who_is_offline_is_the_fleets_to_say(fleet: Fleet) -> None:
    fleet.configure({"overrides": {"web*": {"heartbeat_interval": 300, "warning_after": 600, "offline_after": 900}}})
    register(fleet.store(), "web1", fingerprint=FIRST)
    fleet.age("web1", 800)
    conflict(fleet, fingerprint=SECOND)
    fleet.age("web1", 200)
    register(fleet.store(), "web1", fingerprint=SECOND)


def test_after_a_goodbye_the_name_is_free_at_once(fleet: Fleet) -> None:
    fleet.record("web1").write_bytes(encode(Beat("web1", 7, "", fingerprint=FIRST, leaving="stop")))
    assert register(fleet.store(), "web1", fingerprint=SECOND)["sequence"] == 8
    beat = fleet.beat("web1")
    assert (beat.fingerprint, beat.took_over, beat.leaving) == (SECOND, FIRST, None)


def test_a_takeover_that_is_allowed_is_recorded(fleet: Fleet) -> None:
    register(fleet.store(), "web1", fingerprint=FIRST)
    register(fleet.store(), "web1", fingerprint=SECOND, allow_takeover=True)
    assert (fleet.beat("web1").fingerprint, fleet.beat("web1").took_over) == (SECOND, FIRST)
    assert conflict(fleet, fingerprint=FIRST).details["holder"] == SECOND


def test_who_attests_nothing_may_not_speak_for_who_does(fleet: Fleet) -> None:
    """A batch registers on behalf of machines; a machine with an agent of its own is not among them."""
    register(fleet.store(), "web1", fingerprint=FIRST)
    assert conflict(fleet).details["holder"] == FIRST
    assert fleet.beat("web1").fingerprint == FIRST


def test_an_unattested_name_belongs_to_the_first_who_attests_it(fleet: Fleet) -> None:
    register(fleet.store(), "web1")
    assert register(fleet.store(), "web1", fingerprint=FIRST)["sequence"] == 2
    assert fleet.beat("web1").took_over is None
    conflict(fleet, fingerprint=SECOND)


def test_unattested_beats_follow_each_other(fleet: Fleet) -> None:
    assert [register(fleet.store(), "web1")["sequence"] for _time in range(3)] == [1, 2, 3]


def test_a_torn_record_says_nothing_of_its_owner(fleet: Fleet) -> None:
    register(fleet.store(), "web1", fingerprint=FIRST)
    fleet.record("web1").write_bytes(fleet.record("web1").read_bytes()[:-5])
    register(fleet.store(), "web1", fingerprint=SECOND)
    assert fleet.beat("web1").fingerprint == SECOND


def test_a_reboot_is_noticed_and_is_no_conflict(fleet: Fleet) -> None:
    register(fleet.store(), "web1", fingerprint=FIRST, boot="boot 1")
    register(fleet.store(), "web1", fingerprint=FIRST, boot="boot 2")
    register(fleet.store(), "web1", fingerprint=FIRST, boot="boot 2")
    beat = fleet.beat("web1")
    assert (beat.boot_id, beat.previous_boot_id, beat.sequence) == ("boot 2", "boot 1", 3)


# -- clones: two hosts of one fingerprint, or of none ---------------------------------------------------------------


def boots(fleet: Fleet, *order: str, fingerprint: str = FIRST) -> List[str]:
    """Beats of these boots one after another; which of them were refused."""
    refused = []
    for number, boot in enumerate(order):
        try:
            register(fleet.store(), "web1", fingerprint=fingerprint, boot=boot)
        except IdentityConflict:
            refused.append("%s at %d" % (boot, number))
    return refused


@pytest.mark.parametrize("fingerprint", [FIRST, ""])
def test_one_of_two_live_clones_is_refused_and_written_down(fleet: Fleet, fingerprint: str) -> None:
    assert boots(fleet, *"ABABBABA", fingerprint=fingerprint) == ["B at 3", "B at 4", "B at 6"]
    (note,) = shown(fleet)
    assert (note["holder"], note["refused"]) == (fingerprint, fingerprint)
    assert boots(fleet, *"A" * 80, *"BAB", fingerprint=fingerprint) == ["B at 80", "B at 82"], "not forgotten"
    assert fleet.beat("web1").boot_id == "A"


def test_all_but_one_of_many_live_clones_are_refused(fleet: Fleet) -> None:
    many = ["boot %d" % number for number in range(40)]
    boots(fleet, *many, *many)
    assert boots(fleet, *many) == ["%s at %d" % (boot, number) for number, boot in enumerate(many) if number != 0]


def test_a_clone_that_beats_seldom_is_refused_as_well(fleet: Fleet) -> None:
    assert boots(fleet, *"AAAAAAAAAAAAB" * 4) == ["B at 25", "B at 38", "B at 51"]


def test_what_a_clone_is_told(fleet: Fleet) -> None:
    boots(fleet, *"ABA")
    error = conflict(fleet, fingerprint=FIRST, boot="B")
    assert "give this host a /etc/machine-id and a machine_id of its own (both have the same" in error.message
    assert error.details["holder"] == FIRST


def test_hosts_without_a_machine_id_are_told_to_get_one(fleet: Fleet) -> None:
    boots(fleet, *"ABA", fingerprint="")
    with pytest.raises(IdentityConflict, match=r"give this host a host_id and a machine_id of its own"):
        register(fleet.store(), "web1", boot="B")


@pytest.mark.parametrize(
    "order",
    [
        "ABCDEFG",  # a host in a loop of crashes
        "AABBACCA",  # memory restored from a snapshot, more than once
        "ABA" + "A" * 70 + "CA",  # the same, long afterwards
        "AB" + "B" * 70 + "A" + "A" * 70 + "BAA",  # moved to another kernel and back, without a goodbye
    ],
)
def test_a_single_host_is_never_refused(fleet: Fleet, order: str) -> None:
    assert boots(fleet, *order) == []


def say_goodbye(fleet: Fleet) -> None:
    fleet.record("web1").write_bytes(encode(replace(fleet.beat("web1"), leaving="stop")))


@pytest.mark.parametrize("how", [lambda f: f.age("web1", 121), say_goodbye], ids=["silence", "goodbye"])
def test_a_service_that_moves_between_two_hosts_is_never_refused(fleet: Fleet, how: Callable[[Fleet], None]) -> None:
    """Its machine id moves with it; the host that had it has stopped, or is silent."""
    for boot in "ABABABAB":
        assert boots(fleet, boot, boot) == []
        how(fleet)


def test_when_a_clone_has_died_the_other_one_has_the_name(fleet: Fleet) -> None:
    boots(fleet, *"ABAB")
    fleet.age("web1", 121)
    assert boots(fleet, *"BBB") == []
    assert boots(fleet, *"ABAB") == ["A at 0", "A at 2"], "it is back"


def test_a_clone_may_take_the_name_over(fleet: Fleet) -> None:
    boots(fleet, *"ABAB")
    register(fleet.store(), "web1", fingerprint=FIRST, boot="B", allow_takeover=True)
    assert boots(fleet, *"ABA") == ["A at 0", "A at 2"]


def test_what_is_registered_on_behalf_is_no_clone(fleet: Fleet) -> None:
    """Neither a controller's batch, nor a host without machine id for which a controller registers as well."""
    assert boots(fleet, *["", "A"] * 6, fingerprint="") == []


def instance(fleet: Fleet, *order: str) -> List[str]:
    """Beats from these state directories on one kernel, as containers without a machine id have them."""
    refused = []
    for number, name in enumerate(order):
        try:
            place(fleet.store(), Beat("web1", 1, "", boot_id="A", instance=name))
        except IdentityConflict:
            refused.append("%s at %d" % (name, number))
    return refused


def test_containers_of_one_kernel_are_told_apart_by_their_state_directories(fleet: Fleet) -> None:
    assert instance(fleet, *"xyxyx") == ["y at 3"]
    assert fleet.beat("web1").previous_boot_id == "", "it is no reboot"


def test_a_container_that_loses_its_state_is_not_refused(fleet: Fleet) -> None:
    assert instance(fleet, *"xyzxuv", "w", "", "w", "", "w") == []


def test_a_record_of_an_older_release_has_no_past(fleet: Fleet) -> None:
    boots(fleet, *"ABA")
    raw = json.loads(fleet.record("web1").read_bytes())
    del raw["replaced"], raw["instance"]
    fleet.record("web1").write_text(json.dumps(raw))
    assert boots(fleet, *"BAB") == ["B at 2"]


def test_conflicts_are_shown_while_they_go_on(fleet: Fleet) -> None:
    register(fleet.store(), "web1", fingerprint=FIRST)
    conflict(fleet, fingerprint=SECOND)
    store = fleet.store()
    now = store.now()
    (entry,) = live_conflicts(store, now, Settings())
    assert {key: entry[key] for key in ("machine_id", "holder", "refused", "refused_host")} == {
        "machine_id": "web1",
        "holder": FIRST,
        "refused": SECOND,
        "refused_host": os.uname().nodename,
    }
    assert live_conflicts(store, now + 121 * 10**9, Settings()) == []
    longer = from_mapping({"offline_after": 300})
    assert len(live_conflicts(store, now + 121 * 10**9, longer)) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"torn {",
        b"\xff\xfe",
        b"[]",
        b"7",
        b"null",
        b"{}",
        b'{"machine_id": "../../x"}',
        b'{"machine_id": 7}',
        b'{"machine_id": "web9", "machine_id": "web9"}',
        b'{"machine_id": "web9", "refused": ' + b"[" * 100_000,
        b'{"machine_id": "web9", "refused_host": "\\ud800"}',
        b'{"machine_id": "web9", "\\udfff": 1}',
        b'{"machine_id": "web9", "refused": 1e999}',
    ],
    ids=range(14),
)
def test_damaged_notes_of_conflicts_hide_no_other(fleet: Fleet, data: bytes) -> None:
    register(fleet.store(), "web1", fingerprint=FIRST)
    conflict(fleet, fingerprint=SECOND)
    (fleet.location / "conflicts/0.json").write_bytes(data)
    assert [entry["machine_id"] for entry in shown(fleet)] == ["web1"]


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink("/etc/passwd", path)])
def test_what_is_no_note_of_a_conflict_hides_no_other(fleet: Fleet, make: Any) -> None:
    register(fleet.store(), "web1", fingerprint=FIRST)
    conflict(fleet, fingerprint=SECOND)
    make(str(fleet.location / "conflicts/0.json"))
    assert [entry["machine_id"] for entry in shown(fleet)] == ["web1"]


def test_a_note_from_the_future_says_nothing_until_its_host_tries_again(fleet: Fleet) -> None:
    register(fleet.store(), "web1", fingerprint=FIRST)
    conflict(fleet, fingerprint=SECOND)
    (note,) = (fleet.location / "conflicts").iterdir()
    os.utime(note, (10_413_792_000, 10_413_792_000))  # the year 2300
    assert shown(fleet) == []
    conflict(fleet, fingerprint=SECOND)
    assert [entry["machine_id"] for entry in shown(fleet)] == ["web1"]


def test_old_conflicts_however_many_do_not_hide_one_that_goes_on(fleet: Fleet) -> None:
    register(fleet.store(), "web1", fingerprint=FIRST)
    conflict(fleet, fingerprint=SECOND)
    for number in range(150):
        path = fleet.location / ("conflicts/%032d.json" % number)
        path.write_text('{"machine_id": "old", "holder": "", "refused": "", "refused_host": ""}')
        os.utime(path, (1_000_000_000, 1_000_000_000))
    assert [entry["machine_id"] for entry in shown(fleet)] == ["web1"]


def test_shortened_thresholds_give_nobodys_name_away(fleet: Fleet) -> None:
    """The holder sleeps by the earlier interval, and is alive."""
    short = {"heartbeat_interval": 1, "warning_after": 3, "offline_after": 5}
    fleet.configure(short)
    register(fleet.store(), "web1", fingerprint=FIRST)
    fleet.age("web1", 30)
    changed = json.loads((fleet.location / "fleet.json").read_text())
    changed["earlier"] = [{"until": iso(fleet.store().now()), "settings": {}}]
    (fleet.location / "fleet.json").write_text(json.dumps(changed))
    conflict(fleet, fingerprint=SECOND)
    fleet.configure(short)
    register(fleet.store(), "web1", fingerprint=SECOND)
