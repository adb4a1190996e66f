# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's one config file: ``key = value`` lines, so that the fastest path can read it without a parser.

============= ========================================================================================================
store         the store's address; required
fleet         the fleet's name (default ``default``)
machine_id    the name this machine goes by (default: its host name)
metadata      a JSON object on one line
state_dir     where sequence, spool and lock are kept (default ``/var/lib/roosync-heartbeat``)
host_id       the file whose first line identifies this host (default ``/etc/machine-id``)
takeover      ``true`` lets this host take its name over from another live one
capture_every after how many beats the running agent captures this machine's trees (default 0: never)
============= ========================================================================================================
"""

from __future__ import annotations

from ..errors import InvalidSettings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Sequence

DEFAULT_CONFIG = "/etc/roosync-heartbeat/agent.conf"
DEFAULT_STATE_DIR = "/var/lib/roosync-heartbeat"
KEYS = ("store", "fleet", "machine_id", "metadata", "state_dir", "host_id", "takeover", "capture_every")
MOST_BEATS = 1_000_000


class Config:
    """The agent's settings on this host, validated."""

    def __init__(self, path: str, text: str) -> None:
        from ..identity import default_machine_id, normalise_machine_id
        from ..metadata import decode_metadata, encode_metadata
        from ..stores import open_store

        values = parse(path, text)
        self.path = path
        self.text = text
        if not values.get("store"):
            raise InvalidSettings("%s: store is missing; name the store's directory" % path, path=path)
        self.store = values["store"]
        self.fleet = values.get("fleet") or "default"
        open_store(self.store, self.fleet)  # touches nothing; an address that cannot be meant is refused here
        self.machine_id = normalise_machine_id(values.get("machine_id") or default_machine_id() or "")
        metadata: Any = decode_metadata(values["metadata"]) if values.get("metadata") else {}
        self.metadata_json, self.warning = encode_metadata(metadata)
        self.state_dir = values.get("state_dir") or DEFAULT_STATE_DIR
        if not self.state_dir.startswith("/"):
            raise InvalidSettings("%s: state_dir must be an absolute path, not %r" % (path, self.state_dir), path=path)
        self.host_id = values.get("host_id") or ""
        takeover = (values.get("takeover") or "false").lower()
        if takeover not in ("true", "false"):
            raise InvalidSettings("%s: takeover must be true or false, not %r" % (path, takeover), path=path)
        self.takeover = takeover == "true"
        every = values.get("capture_every") or "0"
        if not (every.isascii() and every.isdigit() and len(every) < 8 and int(every) <= MOST_BEATS):
            raise InvalidSettings(
                "%s: capture_every must be a number of beats from 0 (never) to %d, not %.80r"
                % (path, MOST_BEATS, every),
                path=path,
            )
        self.capture_every = int(every)


def parse(path: str, text: str, keys: Sequence[str] = KEYS) -> Dict[str, str]:
    """The file's keys and values.

    :param keys: those that may be there.
    :raises InvalidSettings: a line that is neither, an unknown key, or a key given twice.
    """
    values: Dict[str, str] = {}
    if "\0" in text:
        raise InvalidSettings("%s is no text file; write lines of key = value" % path, path=path)
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        key, separator, value = stripped.partition("=")
        key = key.strip()
        if not separator:
            raise InvalidSettings(
                "%s, line %d: %r has no '='; write key = value" % (path, number, stripped[:40]), path=path
            )
        if key not in keys or key in values:
            reason = "is given twice" if key in values else "is not one of %s" % ", ".join(keys)
            raise InvalidSettings("%s, line %d: %r %s" % (path, number, key[:40], reason), path=path)
        values[key] = value.strip()
    return values


def load(path: str) -> Config:
    """Read and validate the config file.

    :raises InvalidSettings: it cannot be read, or something in it makes no sense.
    """
    return Config(path, text_of(path))


def text_of(path: str) -> str:
    """A config file's text.

    :raises InvalidSettings: it cannot be read.
    """
    try:
        # Line ends stay as they are, so that the text is the one that a quick beat compares.
        with open(path, encoding="utf-8", newline="") as stream:
            return stream.read(1 << 20)
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
        raise InvalidSettings(
            "cannot read the configuration %s: %s; write it, or name another file with --config" % (path, reason),
            path=path,
        ) from exc
