# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup is restored: what comes back is what was there, and nobody's status is a lie."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, List

import pytest

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import incidents, journal
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.backup import create, inspection
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.backup.walk import Tree
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import NS
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.errors import (
    BackupNotFound,
    InvalidSettings,
    MachineUnknown,
    RestoreFailed,
    StoreUnavailable,
)
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.fleet import Request, manage
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.forked import as_user
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.register import register
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore
from ansible_collections.roosync.heartbeat.tests.unit.backup.forging import Forger, aged
from ansible_collections.roosync.heartbeat.tests.unit.backup.scenes import Scene, looks
from ansible_collections.roosync.heartbeat.tests.unit.checker.real import RealFleet
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.faults import root_only
from ansible_collections.roosync.heartbeat.tests.unit.stdlib.support import ENGINE, wait_until


def added_by_restore(before: Any, after: Any) -> List[str]:
    """What is there now and was not; everything that was there is as it was."""
    assert {path: after.get(path) for path in before} == before
    return sorted(set(after) - set(before))


# -- whole fleets ------------------------------------------------------------------------------------------------


def test_what_comes_back_is_what_was_there(scene: Scene) -> None:
    before = scene.looks()
    made = scene.backup()["backup"]
    assert scene.looks() == before, "a backup changes nothing"
    scene.destroy()
    done = scene.restore()
    assert done["changed"]
    assert done["replaced_backup"] is None
    assert done["backup"]["name"] == made["name"]
    added = added_by_restore(before, scene.looks())
    assert [path.split("/")[0] for path in added] == ["incidents", "journal", "reports"]
    assert not list(scene.real.root.glob(".*")), "nothing is left behind"
    assert stat.S_IMODE((scene.path / "backups").stat().st_mode) == 0o700


def test_a_second_restore_changes_nothing(scene: Scene) -> None:
    scene.backup()
    scene.destroy()
    scene.restore()
    before = scene.looks()
    assert not scene.restore()["changed"]
    assert scene.looks() == before


def test_latest_is_not_what_a_restore_has_replaced(scene: Scene) -> None:
    """Run twice, or followed by one of a machine: nothing of what was restored is undone."""
    made = scene.backup()["backup"]
    (scene.path / "heartbeats" / "web-02.json").unlink()
    scene.real.beat("web-03", age=300)
    first = scene.restore(force=True)
    assert first["replaced_backup"].endswith(".before-restore.tar.gz")
    second = scene.restore(force=True)
    assert (second["changed"], second["backup"]["name"]) == (False, made["name"])
    third = scene.restore(force=True, machine_id="web-02")
    assert (third["changed"], third["backup"]["name"]) == (False, made["name"])
    assert (scene.path / "heartbeats" / "web-02.json").exists()


def test_a_machine_restored_twice_from_latest(scene: Scene) -> None:
    scene.backup(machine_id="web-03")
    scene.real.beat("web-03", age=300)
    assert scene.restore(machine_id="web-03")["changed"]
    assert not scene.restore(machine_id="web-03")["changed"]


def test_what_restores_have_replaced_counts_by_itself(scene: Scene) -> None:
    """They make no backup needless, and push none out."""
    made = scene.backup()["backup"]
    (scene.path / "heartbeats" / "web-02.json").unlink()
    replaced = os.path.basename(scene.restore()["replaced_backup"])
    pruned = scene.backup(max_age=3600, keep=1)
    assert (pruned["changed"], pruned["backup"]["name"]) == (False, made["name"])
    assert {b["name"]: b["before_restore"] for b in pruned["backups"]} == {made["name"]: False, replaced: True}
    (scene.backups / made["name"]).unlink()
    with pytest.raises(
        BackupNotFound, match=r"but of what restores have replaced .*%s, to be restored by name" % replaced
    ):
        scene.restore()
    assert scene.backup(max_age=3600)["changed"]


def test_check_mode_says_what_is_then_done_and_writes_nothing(scene: Scene) -> None:
    scene.backup()
    (scene.path / "heartbeats" / "web-02.json").unlink()
    (scene.path / "heartbeats" / "new.json").write_bytes(b"{}")
    os.utime(scene.path / "heartbeats" / "new.json", (1, 1))
    os.chmod(scene.path / "heartbeats" / "db-01.json", 0o600)
    before = scene.looks(scene.folder)
    found = scene.restore(dry_run=True)
    assert scene.looks(scene.folder) == before
    assert found["changed"]
    assert found["diff"]["after"]["only_in_the_backup"] == ["heartbeats/web-02.json"]
    assert found["diff"]["before"]["only_here"] == ["heartbeats/new.json"]
    assert found["diff"]["before"]["changed"] == ["heartbeats/db-01.json"]
    assert scene.restore()["diff"] == found["diff"]
    assert not (scene.path / "heartbeats" / "new.json").exists()


def test_what_is_replaced_can_be_brought_back(scene: Scene) -> None:
    scene.backup()
    scene.real.beat("late", age=500)
    scene.real.check()
    before = scene.looks()
    first = scene.restore()
    assert not (scene.path / "heartbeats" / "late.json").exists()
    assert first["replaced_backup"].startswith(str(scene.backups))
    scene.restore(backup=first["replaced_backup"], force=True)
    added_by_restore(before, scene.looks())


def test_backups_inside_the_fleet_outlive_its_restore(scene: Scene) -> None:
    inside = scene.backup(directory=None)["backup"]
    (scene.path / "fleet.json").unlink()
    done = scene.restore(directory=None)
    names = sorted(os.listdir(scene.path / "backups"))
    assert names == sorted([inside["name"], os.path.basename(done["replaced_backup"])])
    assert (scene.path / "fleet.json").exists()


def test_into_another_store_and_under_another_name(scene: Scene, tmp_path: Path) -> None:
    before = scene.looks()
    made = scene.backup()["backup"]
    (tmp_path / "other").mkdir()
    scene.restore(tmp_path / "other", "copy", backup=made["location"])
    added_by_restore(before, looks(tmp_path / "other" / "copy"))


def test_encrypted_and_back(scene: Scene, cheap_key: None) -> None:
    before = scene.looks()
    made = scene.backup(passphrase="a long one")["backup"]
    assert made["encrypted"]
    content = Path(made["location"]).read_bytes()
    assert b"web-01" not in content
    assert stat.S_IMODE(os.stat(made["location"]).st_mode) == 0o600
    scene.destroy()
    with pytest.raises(InvalidSettings, match="it is encrypted"):
        scene.restore()
    scene.restore(passphrase="a long one")
    added_by_restore(before, scene.looks())


def test_owner_only(tmp_path: Path, scene: Scene) -> None:
    old = os.umask(0)
    try:
        outside, inside = scene.backup()["backup"], scene.backup(directory=None)["backup"]
    finally:
        os.umask(old)
    for made in (outside, inside):
        assert stat.S_IMODE(os.stat(made["location"]).st_mode) == 0o600
        assert stat.S_IMODE(os.stat(os.path.dirname(made["location"])).st_mode) == 0o700


# -- status ------------------------------------------------------------------------------------------------------


def test_the_dead_stay_dead_and_the_living_are_not_called_dead(scene: Scene) -> None:
    """web-02, web-03 and db-01 were offline; web-01 beat until the backup, and has been silent only for want of it."""
    scene.backup()
    for record in (scene.path / "heartbeats").iterdir():
        stamp = record.stat().st_mtime_ns
        assert stamp < time.time_ns()
    before = scene.real.check()
    assert before["offline"] == ["db-01", "web-02", "web-03"]
    scene.destroy()
    scene.restore()
    found = scene.real.check()
    assert (found["online"], found["offline"]) == (["web-01"], ["db-01", "web-02", "web-03"])
    assert found["transitions"] == []


def test_whoever_was_dead_before_the_backup_is_dead_after_the_restore(fleet_of_five: RealFleet, tmp_path: Path) -> None:
    """Also where no check had noticed: a restore that starts the clock anew would show it alive."""
    scene = Scene.of(fleet_of_five, tmp_path)
    fleet_of_five.age("m1", 500)
    scene.backup()
    scene.destroy()
    scene.restore()
    found = fleet_of_five.check()
    assert found["offline"] == ["m1"]
    assert found["online"] == ["m2", "m3", "m4", "m5"]


def test_an_old_backup_over_a_living_fleet_raises_no_alarm(fleet_of_five: RealFleet, tmp_path: Path) -> None:
    """A third of the machines has beaten again when the first check comes; the others are not lost."""
    scene = Scene.of(fleet_of_five, tmp_path)
    fleet_of_five.check()
    path = Path(scene.backup()["backup"]["location"])
    for machine in ("m1", "m2", "m3", "m4", "m5"):
        fleet_of_five.beat(machine)
    with pytest.raises(RestoreFailed, match="is alive: 5 machines have beaten since"):
        scene.restore()
    aged(path, 3600 * NS)
    scene.restore(force=True, backup=str(path))
    fleet_of_five.beat("m1", "m2")
    found = fleet_of_five.check()
    assert (found["offline"], found["transitions"]) == ([], [])


# -- one machine -------------------------------------------------------------------------------------------------


def test_one_machine(scene: Scene) -> None:
    scene.backup(machine_id="web-02")
    record = scene.real.record("web-02")
    before = (record.read_bytes(), record.stat().st_mtime_ns)
    with scene.open() as store:
        manage(store, Request(forget=["web-02"]))
    assert not record.exists()
    done = scene.restore(machine_id="web-02")
    assert done["changed"]
    assert (record.read_bytes(), record.stat().st_mtime_ns) == before
    assert scene.real.check()["offline"] == ["db-01", "web-02", "web-03"], "it is as dead as it was"
    assert not scene.restore(machine_id="web-02")["changed"]


def test_one_machine_of_a_whole_backup(scene: Scene) -> None:
    scene.backup()
    before = scene.looks()
    scene.real.beat("web-03", age=300)
    done = scene.restore(machine_id="WEB-03")
    assert done["machine_id"] == "web-03"
    assert os.path.basename(done["replaced_backup"]).startswith("default@web-03@")
    assert scene.looks()["heartbeats/web-03.json"] == before["heartbeats/web-03.json"]


def test_a_machine_that_was_expected_is_expected_again(scene: Scene) -> None:
    scene.backup(machine_id="web-01")
    with scene.open() as store:
        manage(store, Request(forget=["web-01"]))
    scene.restore(machine_id="web-01")
    assert "web-01" in json.loads((scene.path / "fleet.json").read_text())["expected"]


def test_that_a_machine_is_expected_is_a_difference(scene: Scene) -> None:
    """Also of one whose record is there already, and from a backup of the whole fleet."""
    scene.backup()
    document = json.loads((scene.path / "fleet.json").read_text())
    document["expected"].remove("web-01")
    (scene.path / "fleet.json").write_text(json.dumps(document))
    done = scene.restore(machine_id="web-01")
    assert done["diff"] == {"before": {"expected": False}, "after": {"expected": True}}
    assert "web-01" in json.loads((scene.path / "fleet.json").read_text())["expected"]
    assert Path(done["report"]).exists()
    assert not scene.restore(machine_id="web-01")["changed"]


def test_a_machine_that_is_alive_is_not_replaced(scene: Scene) -> None:
    scene.backup(machine_id="web-01")
    scene.real.beat("web-01")
    with pytest.raises(RestoreFailed, match="web-01 is alive"):
        scene.restore(machine_id="web-01")
    assert scene.restore(machine_id="web-01", force=True)["changed"]


def test_a_machine_that_is_not_there(scene: Scene) -> None:
    with pytest.raises(MachineUnknown, match="has no heartbeat"):
        scene.backup(machine_id="nobody")
    scene.backup(machine_id="web-01")
    with pytest.raises(InvalidSettings, match="a backup of web-01, not of web-02"):
        scene.restore(machine_id="web-02", backup=os.listdir(scene.backups)[0])
    scene.backup()
    with pytest.raises(MachineUnknown, match="is not in"):
        scene.restore(machine_id="nobody")


# -- refusals ----------------------------------------------------------------------------------------------------


def test_another_fleet_is_not_replaced(scene: Scene, tmp_path: Path) -> None:
    made = scene.backup()["backup"]
    other = RealFleet(tmp_path / "other")
    before = looks(other.path)
    with pytest.raises(RestoreFailed, match="another fleet"):
        scene.restore(other.root, backup=made["location"])
    assert looks(other.path) == before
    assert scene.restore(other.root, backup=made["location"], force=True)["changed"]


def test_what_is_not_there(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(BackupNotFound, match="make one with heartbeat_backup"):
        scene.restore()
    with pytest.raises(BackupNotFound, match="heartbeat_backup_info lists"):
        scene.restore(backup="default@20200101T000000.000000Z.tar.gz")
    for name in ("../x", "a/b", "", "..", "a\0b"):
        with pytest.raises(InvalidSettings):
            scene.restore(backup=name)
    made = scene.backup()["backup"]
    with pytest.raises(StoreUnavailable, match="mount the share that holds it"):
        scene.restore(tmp_path / "nowhere", backup=made["location"])
    with pytest.raises(StoreUnavailable, match="mount the share that holds it"):
        scene.restore(tmp_path / "nowhere", directory=None)


def test_a_backup_of_what_was_no_fleet(scene: Scene) -> None:
    """Refused before anything is written; the records in it can be restored all the same."""
    (scene.path / "fleet.json").rename(scene.folder / "fleet.json")
    with pytest.raises(StoreUnavailable):
        scene.backup()
    forged = Forger(created_at=time.time_ns()).folders("heartbeats")
    forged.add("heartbeats/web-02.json", scene.real.record("web-02").read_bytes(), mtime_ns=10**18)
    path = str(forged.finish(scene.folder / "remains.tar.gz"))
    (scene.folder / "fleet.json").rename(scene.path / "fleet.json")
    before = looks(scene.folder)
    for dry_run in (True, False):
        with pytest.raises(RestoreFailed, match=r"has no usable fleet.json"):
            scene.restore(backup=path, force=True, dry_run=dry_run)
    assert looks(scene.folder) == before
    assert scene.restore(backup=path, force=True, machine_id="web-02")["changed"]


def test_a_file_in_the_place_of_the_directory(scene: Scene) -> None:
    scene.backups.touch()
    for directory in (scene.backups, scene.backups / "inner"):
        for options in ({}, {"max_age": 5.0}):
            with pytest.raises(InvalidSettings, match="is a file, or leads through one; give a directory"):
                scene.backup(directory=str(directory), **options)


def test_check_mode_counts_the_backup_that_would_be_made(scene: Scene) -> None:
    made = scene.backup()["backup"]["name"]
    scene.backup(machine_id="web-01")
    with scene.open() as store:
        predicted = create.run(store, create.Request(directory=str(scene.backups), keep=1), dry_run=True)
    assert [b["name"] for b in predicted["removed"]] == [made]
    assert (scene.backups / made).exists()
    done = scene.backup(keep=1)
    assert done["removed"] == predicted["removed"]
    assert len(done["backups"]) == len(predicted["backups"]) == 2


def test_a_name_that_is_too_long_for_a_file_is_the_same_machine_all_the_same(scene: Scene) -> None:
    machine = "host-" + "a" * 120
    scene.real.beat(machine)
    for _number in range(2):
        scene.backup(machine_id=machine)
    options: Any = {"directory": str(scene.backups), "machine_id": machine}
    with scene.open() as store:
        predicted = create.run(store, create.Request(**options, keep=1), dry_run=True)
        (found, _other) = inspection.run(store, **options, verify=True)["backups"]
    assert found["machine_id"] == machine
    assert predicted["removed"] == scene.backup(machine_id=machine, keep=1)["removed"] != []
    assert len(predicted["removed"]) == 2


def test_a_fleet_that_is_a_mount_cannot_be_swapped(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """That it is one is only claimed here: to mount something takes rights that a test may not have."""
    scene.backup()
    (scene.path / "heartbeats" / "web-02.json").unlink()
    monkeypatch.setattr(os.path, "ismount", lambda path: path == str(scene.path))
    with pytest.raises(RestoreFailed, match="is a mount point"):
        scene.restore()


# -- the note ----------------------------------------------------------------------------------------------------


def test_a_restore_can_be_seen(scene: Scene) -> None:
    scene.backup()
    scene.destroy()
    done = scene.restore()
    report = json.loads(Path(done["report"]).read_text())
    assert report["sha256"] == done["backup"]["sha256"]
    assert report["files"] == done["files"]
    with scene.open() as store:
        (shown,) = [i for i in incidents.history(store) if i["kind"] == "restore"]
        assert shown["incident_id"] == done["incident_id"]
        assert shown["closed_at"] is not None
        ledger = journal.load(store)
        assert (ledger.state.incidents, ledger.problems) == ({}, [])


# -- file systems that cannot exchange directories ---------------------------------------------------------------


def test_without_exchange_and_without_links(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """As network file systems are."""
    from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.backup import swap

    def no_link(*args: Any, **kwargs: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(swap, "exchange", lambda one, other: False)
    monkeypatch.setattr(os, "link", no_link)
    before = scene.looks()
    scene.backup(directory=None)
    (scene.path / "heartbeats" / "web-02.json").unlink()
    scene.restore(directory=None)
    added_by_restore(before, scene.looks())
    assert len(os.listdir(scene.path / "backups")) == 2
    assert not list(scene.real.root.glob(".*"))


# -- while machines beat -----------------------------------------------------------------------------------------

BEATER = """\
import os, sys
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine import check, errors
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.forked import as_user
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.register import register
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.stores.file import FileStore
count = 0
print("ready", flush=True)
while os.getppid() == int(sys.argv[3]):
    try:
        with FileStore(sys.argv[1], "default") as store:
            register(store, sys.argv[2] + str(count % 20), {"n": count})
            if count % 7 == 0:
                check.run_check(store, force=True)
    except errors.HeartbeatError:
        pass
    count += 1
"""


def test_under_load(tmp_path: Path) -> None:
    """Machines join, beat and are checked by four processes all the while; each backup is one that a check can use."""
    from ansible_collections.roosync.heartbeat.tests.unit.checker.children import environment

    scene = Scene(tmp_path)
    command = [sys.executable, "-c", BEATER, str(scene.real.root)]
    beaters = [
        subprocess.Popen(
            [*command, "load-%d-" % n, str(os.getpid())],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        )
        for n in range(4)
    ]
    try:
        for beater in beaters:
            assert beater.stdout is not None
            assert beater.stdout.readline() == b"ready\n"
        for number in range(6):
            made = scene.backup()["backup"]
            copy = tmp_path / ("copy-%d" % number)
            copy.mkdir()
            scene.restore(copy, backup=made["location"])
            with FileStore(str(copy), "default") as store:
                ledger = journal.load(store)
                assert ledger.problems == []
                rebuilt = journal.rebuild(store)
                assert (rebuilt.problems, rebuilt.state) == ([], ledger.state)
                for name in store.names("heartbeats"):
                    found = store.read_beat(name[:-5])
                    assert found is not None
                    assert json.loads(found.data)["machine_id"] == name[:-5]
        assert all(beater.poll() is None for beater in beaters)
        # In place, with everybody still at it.
        scene.restore(force=True)
        assert not list(scene.real.root.glob(".*"))
    finally:
        for beater in beaters:
            beater.kill()
            beater.communicate()
    found = scene.real.check()
    assert found["problems"] == []
    assert set(found["offline"]) <= {"db-01", "web-01", "web-02", "web-03"}, "none of those that have beaten"


def test_under_real_agents(tmp_path: Path) -> None:
    """Backed up and restored in place while agents beat: nobody is called lost, and they go on as if nothing were."""
    real = RealFleet(tmp_path / "store", heartbeat_interval=0.1, warning_after=10, offline_after=20)
    scene = Scene.of(real, tmp_path)
    agents = [agent(tmp_path, real.root, "agent-%d" % number) for number in range(3)]
    records = [real.record("agent-%d" % number) for number in range(3)]
    try:
        wait_until(lambda: beaten_since(records, 0), "the first beats")
        real.check()
        for _round in range(3):
            scene.backup()
        newest = scene.backup()["backup"]["location"]
        moment = time.time_ns()
        wait_until(lambda: beaten_since(records, moment), "beats after the backup")
        done = scene.restore(backup=newest, force=True)
        restored = time.time_ns()
        wait_until(lambda: beaten_since(records, restored), "beats after the restore")
        found = real.check()
        assert (found["online"], found["transitions"], found["problems"]) == (sorted(r.stem for r in records), [], [])
        assert done["replaced_backup"] is not None
        assert all(one.poll() is None for one in agents)
    finally:
        for one in agents:
            one.kill()
            one.communicate()


def test_destroyed_and_restored_under_real_agents(scene: Scene, tmp_path: Path) -> None:
    """All that nobody writes meanwhile comes back with content, mode and time; and the agents go on by themselves."""
    with scene.open() as store:
        manage(store, Request({"heartbeat_interval": 0.1}))
    agents = [agent(tmp_path, scene.real.root, "agent-%d" % number) for number in range(3)]
    records = [scene.real.record("agent-%d" % number) for number in range(3)]

    def at_rest() -> Any:
        """All but what agents write: their records, and what those pass through on their way."""
        found = scene.looks()
        return {
            path: what
            for path, what in found.items()
            if not path.startswith("heartbeats/agent-") and ".tmp-" not in path
        }

    def gone() -> bool:
        shutil.rmtree(scene.path, ignore_errors=True)
        return not scene.path.exists()

    try:
        wait_until(lambda: beaten_since(records, 0), "the first beats")
        before = at_rest()
        made = scene.backup()["backup"]
        moment = time.time_ns()
        wait_until(lambda: beaten_since(records, moment), "beats after the backup")
        (scene.path / "fleet.json").unlink()
        wait_until(gone, "the end of the fleet")
        scene.restore(backup=made["location"])
        restored = time.time_ns()
        wait_until(lambda: beaten_since(records, restored), "beats after the restore")
        added = added_by_restore(before, at_rest())
        assert {path.split("/")[0] for path in added} == {"incidents", "journal", "reports"}
        found = scene.real.check()
        assert set(found["online"]) >= {r.stem for r in records}
        assert set(found["offline"]) >= {"web-02", "web-03", "db-01"}, "and the dead are dead"
        assert all(one.poll() is None for one in agents)
    finally:
        for one in agents:
            one.kill()
            one.communicate()


def beaten_since(records: List[Path], moment: int) -> bool:
    try:
        return all(r.stat().st_mtime_ns > moment for r in records)
    except FileNotFoundError:
        return False


def agent(folder: Path, store: Path, machine: str) -> subprocess.Popen[bytes]:
    """An agent as it runs on a host, with a configuration of its own."""
    conf, host_id = folder / (machine + ".conf"), folder / (machine + ".id")
    host_id.write_text(machine.ljust(32, "0") + "\n")
    conf.write_text(
        "store = %s\nmachine_id = %s\nstate_dir = %s\nhost_id = %s\n" % (store, machine, folder / machine, host_id)
    )
    command = [sys.executable, "-m", "_engine.agent", "run", "--config", str(conf)]
    return subprocess.Popen(command, cwd=str(ENGINE.parent), stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)


@pytest.fixture
def fleet_of_five(tmp_path: Path) -> RealFleet:
    real = RealFleet(tmp_path / "store")
    real.beat("m1", "m2", "m3", "m4", "m5")
    with real.open() as store:
        register(store, "m1")
    return real


def test_a_folder_of_backups_that_is_closed_keeps_nobody_from_making_one_elsewhere() -> None:
    """Nothing of what is in it goes into a backup. root has closed it, and somebody else makes this one."""
    root_only()
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        scene = Scene(Path(name))
        scene.backup(directory=None)
        scene.backups.mkdir()
        for path in (scene.backups, scene.path, *scene.path.rglob("*")):
            if (scene.path / "backups") not in (path, *path.parents):
                os.chown(path, 65534, -1)
        assert as_user("nobody", lambda: scene.backup()["warnings"]) == []
        (scene.path / "heartbeats" / "web-02.json").unlink()
        assert scene.restore()["changed"]
        assert stat.S_IMODE((scene.path / "backups").stat().st_mode) == 0o700


@pytest.mark.parametrize("where", ["archive", ".", "../default/archive"])
def test_backups_that_a_restore_would_take_away_are_refused(scene: Scene, where: str) -> None:
    """Of a fleet only ``backups/`` outlives that it is replaced."""
    directory = scene.path / where
    with pytest.raises(InvalidSettings, match="lies in the fleet itself, and a restore would take away what is there"):
        scene.backup(directory=str(directory))
    made = scene.backup()["backup"]
    directory.mkdir(exist_ok=True)
    archive = Path(shutil.copy(made["location"], directory))
    (scene.path / "heartbeats" / "web-02.json").unlink()
    for options in ({"backup": str(archive)}, {"directory": str(directory)}):
        for dry_run in (True, False):
            with pytest.raises(InvalidSettings, match="lies in the fleet itself"):
                scene.restore(dry_run=dry_run, **options)
    assert archive.exists()
    inner = scene.backup(directory=str(scene.path / "backups" / "daily"))["backup"]
    (scene.path / "heartbeats" / "db-01.json").unlink()
    assert scene.restore(backup=inner["location"], directory=str(scene.path / "backups" / "daily"))["changed"]
    assert Path(inner["location"]).exists()


def put_together(scene: Scene, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """The upkeep of the vault moves what is in a pack into a new one while a backup reads another."""
    packs = scene.path / "vault" / "packs"
    names = [str(number) * 64 + ".pack" for number in range(9, 0, -1)]
    (packs / names[0]).write_bytes(b"needed")
    real, left = Tree.read, list(zip(names, names[1:]))[:times]

    def read(self: Tree, path: str) -> Any:
        if path == "vault/packs/" + "0" * 64 + ".pack" and left:
            old, new = left.pop(0)
            (packs / old).rename(packs / new)
        return real(self, path)

    monkeypatch.setattr(Tree, "read", read)


def test_what_upkeep_puts_together_meanwhile_is_in_a_backup(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    put_together(scene, monkeypatch, times=1)
    scene.backup()
    scene.destroy()
    scene.restore()
    assert [p.read_bytes() for p in (scene.path / "vault" / "packs").glob("8*")] == [b"needed"]


def test_a_backup_that_upkeep_leaves_no_peace_fails(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    put_together(scene, monkeypatch, times=8)
    with pytest.raises(StoreUnavailable, match="upkeep of the vault has put packs together"):
        scene.backup()
    assert list(scene.backups.iterdir()) == []


def test_nobody_is_told_to_open_backups_to_the_group() -> None:
    """They are their owner's alone, whatever the store is."""
    root_only()
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        scene = Scene(Path(name))
        made = Path(scene.backup()["backup"]["location"])
        for path in (scene.real.root, *scene.real.root.rglob("*")):
            os.chown(path, 65534, -1)
        for work in (scene.backup, scene.restore, lambda: scene.restore(backup=str(made))):
            scene.backups.chmod(0o755 if work is scene.restore else 0o700)
            with pytest.raises(StoreUnavailable, match="; run the task as the user whose backups these are"):
                as_user("nobody", lambda work=work: work()["changed"])
