# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every failure a user can meet: one class per stable ``error_code``.

A message says what is wrong and what to do next; ``details`` carries the data (paths, ids, partial results) for
whoever handles the error by program. Nothing here imports more than :mod:`errno`, because the beat path uses it.
"""

from __future__ import annotations

import errno as _errno

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional


class HeartbeatError(Exception):
    """Base of all errors; never raised itself.

    :param message: what is wrong, and what to do next.
    :param cause: the exception behind it; its code, path and errno are kept in the result.
    :param details: data for programs; values must be JSON-serialisable.
    """

    error_code = "HEARTBEAT_ERROR"

    def __init__(self, message: str, cause: Optional[BaseException] = None, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details: Dict[str, Any] = details
        if isinstance(cause, HeartbeatError):
            self.details.setdefault("cause_code", cause.error_code)
            for key in ("path", "errno"):
                if key in cause.details:
                    self.details.setdefault(key, cause.details[key])
        elif isinstance(cause, OSError):
            self.details.setdefault("errno", errno_name(cause))
            if cause.filename is not None:
                self.details.setdefault("path", str(cause.filename))

    def as_result(self) -> Dict[str, Any]:
        """The error as the keys that a module returns."""
        return dict(self.details, error_code=self.error_code)


class HeartbeatRegistrationFailed(HeartbeatError):
    error_code = "HEARTBEAT_REGISTRATION_FAILED"


class InvalidMachineId(HeartbeatError):
    error_code = "INVALID_MACHINE_ID"


class InvalidMetadata(HeartbeatError):
    error_code = "INVALID_METADATA"


class InvalidSettings(HeartbeatError):
    error_code = "INVALID_SETTINGS"


class IdentityConflict(HeartbeatError):
    error_code = "IDENTITY_CONFLICT"


class StoreUnavailable(HeartbeatError):
    error_code = "STORE_UNAVAILABLE"


class StoreCorrupt(HeartbeatError):
    error_code = "STORE_CORRUPT"


class DiskSpaceLow(HeartbeatError):
    error_code = "DISK_SPACE_LOW"


class LockTimeout(HeartbeatError):
    error_code = "LOCK_TIMEOUT"


class ServiceAlreadyRunning(HeartbeatError):
    error_code = "SERVICE_ALREADY_RUNNING"


class MachineUnknown(HeartbeatError):
    error_code = "MACHINE_UNKNOWN"


class MachineNotOffline(HeartbeatError):
    error_code = "MACHINE_NOT_OFFLINE"


class MachineNotOnline(HeartbeatError):
    error_code = "MACHINE_NOT_ONLINE"


class SyncOfflineFailed(HeartbeatError):
    error_code = "SYNC_OFFLINE_FAILED"


class BackupNotFound(HeartbeatError):
    error_code = "BACKUP_NOT_FOUND"


class BackupCorrupt(HeartbeatError):
    error_code = "BACKUP_CORRUPT"


class RestoreFailed(HeartbeatError):
    error_code = "RESTORE_FAILED"


class WaitTimeout(HeartbeatError):
    error_code = "WAIT_TIMEOUT"


class SyncOnlineFailed(HeartbeatError):
    error_code = "SYNC_ONLINE_FAILED"


class SyncMassDelete(HeartbeatError):
    error_code = "SYNC_MASS_DELETE"


_NO_SPACE = (_errno.ENOSPC, getattr(_errno, "EDQUOT", _errno.ENOSPC))

_ADVICE = {
    _errno.ENOENT: "create the fleet with heartbeat_fleet, or mount the share that holds it",
    _errno.ENOTDIR: "name a directory as the store",
    _errno.EACCES: "give this user write access to the store (group-writable, setgid directories)",
    _errno.EPERM: "give this user write access to the store (group-writable, setgid directories)",
    _errno.EISDIR: "remove what lies there: a store holds regular files only",
    _errno.EROFS: "remount the store read-write",
    _errno.EIO: "look at the file server and the kernel log; the store is asked again at the next beat or check",
    _errno.ELOOP: "remove the symbolic link: links are not followed inside a store",
}


def errno_name(exc: OSError) -> str:
    """``ENOSPC`` rather than 28: the name is what people search for."""
    return _errno.errorcode.get(exc.errno or 0, str(exc.errno))


def from_os_error(exc: OSError, doing: str, path: str, advice: Optional[str] = None) -> HeartbeatError:
    """The error for a failed system call on the store.

    :param doing: what was attempted, as a verb phrase (``"write a heartbeat"``).
    :param path: the path concerned, for a person to look at.
    :param advice: what to do next, where the caller knows better than the number of the error.
    """
    name = errno_name(exc)
    if exc.errno in _NO_SPACE:
        return DiskSpaceLow(
            "cannot %s: no space left at %s (%s); free space or raise the quota there" % (doing, path, name),
            errno=name,
            path=path,
        )
    advice = advice or _ADVICE.get(exc.errno or 0, "check that the store is mounted and answers")
    return StoreUnavailable(
        "cannot %s: %s: %s (%s); %s" % (doing, path, exc.strerror or exc, name, advice), errno=name, path=path
    )
