# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One beat of the agent, the quick way: a single file of ``posix`` and ``time``, run as a script.

    python3 -I -S .../_engine/agent/quick.py [/etc/roosync-heartbeat/agent.conf [COMMAND]]

It runs on every host of a fleet, twice a minute, for years, so it costs little more than the interpreter itself. It
beats only if *nothing* has changed since the last careful beat (:mod:`.beater`): the configuration, the boot, the
host's identity, the fleet's settings, this machine's own record. In every other case, whatever it is, the careful way
is taken instead. So there is no rule in here: what the rules said last time still holds.
"""

import posix
import time

DEFAULT_CONFIG = "/etc/roosync-heartbeat/agent.conf"
DEFAULT_STATE_DIR = "/var/lib/roosync-heartbeat"
BOOT_ID = "/proc/sys/kernel/random/boot_id"
FORMAT = "roosync.heartbeat prepared 1"
LAST_WIDTH = 160
HANGS_NS = 5000000000
_CHUNK = 1 << 16  # a larger buffer would be mapped and unmapped at every read
_READ = posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NOFOLLOW
_CREATE = posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_CLOEXEC | posix.O_NOFOLLOW


class Changed(Exception):
    """Something is not as it was prepared: beat the careful way."""


def read_file(path: str) -> str:
    fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        return read_all(fd)
    finally:
        posix.close(fd)


def read_all(fd: int) -> str:
    data = part = posix.read(fd, _CHUNK)
    while len(part) == _CHUNK:
        part = posix.read(fd, _CHUNK)
        data += part
    return data.decode()


def signature(path: str, dir_fd: "int | None" = None) -> str:
    """Which file this is, and which state of it."""
    state = posix.stat(path, dir_fd=dir_fd)
    return "%d:%d:%d" % (state.st_ino, state.st_size, state.st_mtime_ns)


def last_line(sequence: int, latency_ms: float, record: "posix.stat_result") -> str:
    """The line that changes at every beat, of one fixed width, so that it is replaced in place."""
    text = "%d %.3f %d:%d:%d" % (sequence, latency_ms, record.st_ino, record.st_size, record.st_mtime_ns)
    return text.ljust(LAST_WIDTH)


def pack(config: str, boot_id: str, host: str, store: str, mark: str, name: str, head: str, last: str) -> bytes:
    """The prepared file: the changing line first, the configuration (which may have any number of lines) last."""
    return "\n".join((last, FORMAT, boot_id, host, mark, store, name, head, config)).encode()


def setting(config: str, key: str, default: str) -> str:
    for line in config.split("\n"):
        name, separator, value = line.partition("=")
        if separator and name.strip() == key:
            return value.strip() or default
    return default


def lock(state_dir: str) -> int:
    fd = posix.open(state_dir + "/agent.lock", posix.O_RDWR | posix.O_CREAT | posix.O_CLOEXEC | posix.O_NOFOLLOW, 0o600)
    try:
        posix.lockf(fd, posix.F_TLOCK, 0)
    except OSError:
        posix.close(fd)
        raise Changed from None
    write_pid(fd)
    return fd


def write_pid(fd: int) -> None:
    """Put this process's id into the lock file, in one width: emptying the file first costs as much as the fsync."""
    try:
        posix.pwrite(fd, (b"%d\n" % posix.getpid()).ljust(16, b"\n"), 0)
    except OSError:
        # A full disk must not stop the beats; but the pid of another process must not stay there.
        posix.ftruncate(fd, 0)


def exists(path: str) -> bool:
    try:
        posix.stat(path)
    except FileNotFoundError:
        return False
    return True


def compose(head: str, sequence: int, latency_ms: str) -> str:
    now = time.time_ns()
    sent = "%04d-%02d-%02dT%02d:%02d:%02d" % time.gmtime(now // 1000000000)[:6]
    return '%s"sequence":%d,"sent_at":"%s.%06dZ","latency_ms":%s,"leaving":null,"missed":null}\n' % (
        head,
        sequence,
        sent,
        now % 1000000000 // 1000,
        latency_ms,
    )


class Stalled(Changed):
    """The store hung and went on: what was to be written is of a time long gone."""


def write_record(folder: int, name: str, data: bytes, started: int) -> "posix.stat_result":
    """Temporary file, write, fsync, rename; the state of what now lies there."""
    temporary = ".tmp-%d-%s" % (posix.getpid(), posix.urandom(6).hex())
    fd = posix.open(temporary, _CREATE, 0o664, dir_fd=folder)
    try:
        if posix.write(fd, data) != len(data):
            raise Changed
        posix.fsync(fd)
        record = posix.fstat(fd)
        if time.monotonic_ns() - started > HANGS_NS:
            raise Stalled
        posix.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        return record
    except BaseException:
        posix.unlink(temporary, dir_fd=folder)
        raise
    finally:
        posix.close(fd)


def note_hang(state_dir: str, boot_id: str, took: int) -> None:
    """The store hung and went on. The careful beat that follows says so; see :class:`.local.Spool` for the form."""
    ended = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    window = '{"boot_id":"%s","began":%d,"ended":%d,"count":1,"why":"STORE_SLOW","recovered":true}'
    fd = posix.open(state_dir + "/missed.json", _CREATE, 0o600)
    try:
        posix.write(fd, (window % (boot_id, ended - took, ended)).encode())
    finally:
        posix.close(fd)


def beat(config_path: str) -> int:
    """Beat if nothing has changed.

    :raises Changed: something has.
    :raises OSError: something cannot be reached, which is a change too.
    """
    config = read_file(config_path)
    state_dir = setting(config, "state_dir", DEFAULT_STATE_DIR)
    lock_fd = lock(state_dir)
    try:
        return beat_locked(config, state_dir)
    finally:
        posix.close(lock_fd)


def beat_locked(config: str, state_dir: str) -> int:
    started = time.monotonic_ns()
    flags = posix.O_RDWR | posix.O_CLOEXEC | posix.O_NOFOLLOW | posix.O_NONBLOCK
    prepared_fd = posix.open(state_dir + "/prepared", flags)
    folder = store_fd = -1
    try:
        prepared = read_all(prepared_fd)
        last, form, boot_id, host, mark, store, name, head, prepared_for = prepared.split("\n", 8)
        sequence, latency_ms, record = last.split()
        if form != FORMAT or prepared_for != config or boot_id != read_file(BOOT_ID).strip():
            raise Changed
        host_id = setting(config, "host_id", "/etc/machine-id")
        if host != signature(host_id) or exists(state_dir + "/missed.json"):
            raise Changed
        store_fd = posix.open(store, _READ | posix.O_DIRECTORY)
        if signature("fleet.json", store_fd) != mark:
            raise Changed
        folder = posix.open("heartbeats", _READ | posix.O_DIRECTORY, dir_fd=store_fd)
        if signature(name, folder) != record:
            raise Changed
        number = int(sequence) + 1
        try:
            state = write_record(folder, name, compose(head, number, latency_ms).encode(), started)
        except Stalled:
            note_hang(state_dir, boot_id, time.monotonic_ns() - started)
            raise
        took = (time.monotonic_ns() - started) / 1e6
        posix.pwrite(prepared_fd, last_line(number, took, state).encode(), 0)
        return number
    finally:
        for fd in (folder, store_fd, prepared_fd):
            if fd >= 0:
                posix.close(fd)


def careful(argv: "list[str]") -> int:
    """Beat the careful way, in this process."""
    import os
    import sys

    # Not by way of the link to the release in use: an upgrade may switch that between two imports.
    root, package = os.path.realpath(__file__).rsplit("/", 3)[:2]
    sys.path.insert(0, root)
    status: int = __import__(package + ".agent.cli", fromlist=["main"]).main(argv)
    return status


def main(argv: "list[str]") -> None:
    """Beat; if that had to be done the careful way, end with its exit status.

    :raises SystemExit: see there.
    """
    config_path = argv[1] if len(argv) > 1 else DEFAULT_CONFIG
    if len(argv) > 2:  # another of the agent's commands, such as stop: a service manager needs but one path
        raise SystemExit(careful([argv[2], "--config", config_path]))
    posix.umask(0o002)  # those who check must be able to read the record; on this host all modes are given
    try:
        beat(config_path)
    except (Changed, OSError, ValueError):
        raise SystemExit(careful(["beat", "--config", config_path])) from None


if __name__ == "__main__":
    import sys

    main(sys.argv)
    # Nothing is open and nothing is buffered, and what the interpreter tidies up at its end takes as long as the beat.
    posix._exit(0)
