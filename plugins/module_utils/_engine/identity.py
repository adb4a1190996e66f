# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who a machine is: the one name it goes by, and the fingerprint that tells two hosts of one name apart."""

from __future__ import annotations

import os

from .errors import InvalidMachineId

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Sequence

MAX_MACHINE_ID = 253
_ALLOWED = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-")
_ALLOWED_RAW = _ALLOWED.union("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
MACHINE_ID_FILES = ("/etc/machine-id", "/var/lib/dbus/machine-id")
BOOT_ID_FILE = "/proc/sys/kernel/random/boot_id"
_FINGERPRINT_KEY = b"roosync.heartbeat fingerprint v1"


def normalise_machine_id(raw: object, what: str = "machine_id") -> str:
    """The canonical form of a machine id: lower case letters, digits, ``.``, ``_`` and ``-``.

    :param what: how the error names the value.
    :raises InvalidMachineId: anything that is not such a name, anything that could be a path, anything too long.
    """
    if not isinstance(raw, str):
        raise InvalidMachineId("%s must be a string, not %s" % (what, type(raw).__name__))
    given = raw.strip()
    name = given.lower()
    if not name:
        raise InvalidMachineId("%s is empty; give the host name or another stable name" % what)
    if len(name) > MAX_MACHINE_ID:
        raise InvalidMachineId(
            "%s has %d characters, at most %d are allowed: %r..." % (what, len(name), MAX_MACHINE_ID, name[:40])
        )
    # Of what was given: a few other letters (the Kelvin sign) become ASCII ones in lower case.
    bad = sorted(set(given) - _ALLOWED_RAW)
    if bad:
        raise InvalidMachineId(
            "%s %r has characters that are not allowed (%s); use letters, digits, '.', '_' and '-'"
            % (what, given[:80], " ".join(repr(c)[1:-1] for c in bad[:5])),
            machine_id=given[:80],
        )
    if name[0] in ".-" or name[-1] == "." or ".." in name:
        raise InvalidMachineId(
            "%s %r must begin with a letter or a digit, and have no '..' and no '.' at its end" % (what, name[:80]),
            machine_id=name[:80],
        )
    return name


def is_machine_id(name: str) -> bool:
    """Whether ``name`` is already in canonical form (used on names found in a store)."""
    try:
        return normalise_machine_id(name) == name
    except InvalidMachineId:
        return False


def read_first_line(path: str) -> str:
    """The first line of a small file, or ``""`` when it cannot be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(fd, 256).decode("ascii", "replace").split("\n", 1)[0].strip()
    except OSError:
        return ""
    finally:
        os.close(fd)


def boot_id() -> str:
    """The kernel's id of this boot, or ``""`` where there is none."""
    return read_first_line(BOOT_ID_FILE)


def host_secret(files: Sequence[str] = MACHINE_ID_FILES) -> str:
    """The raw machine id of this host; never to be stored or shown as it is (``man 5 machine-id``)."""
    for path in files:
        text = read_first_line(path)
        if text and text != "uninitialized":
            return text
    return ""


def fingerprint(secret: str) -> str:
    """A keyed hash of the host's machine id: tells hosts apart without giving the id away.

    Source of the rule: ``sd_id128_get_machine_app_specific(3)`` (HMAC-SHA256). ``""`` for an empty secret.
    """
    if not secret:
        return ""
    import hashlib
    import hmac

    return hmac.new(_FINGERPRINT_KEY, secret.encode(), hashlib.sha256).hexdigest()[:32]


def local_names() -> tuple[str, ...]:
    """The names this host calls itself by, in canonical form: full name first, then its short form."""
    full = os.uname().nodename.lower().rstrip(".")
    short = full.split(".", 1)[0]
    return tuple(name for name in dict.fromkeys((full, short)) if is_machine_id(name))


def default_machine_id() -> Optional[str]:
    """The machine id a host has when none is configured: its host name."""
    names = local_names()
    return names[0] if names else None
