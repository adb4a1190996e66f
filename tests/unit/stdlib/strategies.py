# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hypothesis draws from: metadata, beats and trees as they may be."""

from __future__ import annotations

from hashlib import sha256

from hypothesis import strategies as st

from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.clock import iso
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.metadata import encode_metadata
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.record import Beat, Missed
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.manifest import Entry, Manifest
from ansible_collections.roosync.heartbeat.plugins.module_utils._engine.sync.paths import decode

MACHINE_IDS = st.from_regex(r"\A[a-z0-9_]([a-z0-9._-]{0,251}[a-z0-9_-])?\Z", fullmatch=True).filter(
    lambda name: ".." not in name
)
TEXT = st.text(max_size=30)
COUNTS = st.integers(0, 2**63 - 1)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**1024) + 1, 2**1024 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
METADATA = st.dictionaries(TEXT, JSON, max_size=5)
# Up to the year 9999, which is the last one that ISO 8601 writes without a sign.
TIMES = st.integers(0, 253_402_300_799_999_999_999)
MISSED = st.builds(Missed, count=COUNTS, began_ms=COUNTS, ended_ms=COUNTS, why=TEXT)
BEATS = st.builds(
    Beat,
    machine_id=MACHINE_IDS,
    sequence=COUNTS,
    sent_at=TIMES.map(iso) | TEXT,
    fingerprint=TEXT,
    boot_id=TEXT,
    agent_version=TEXT,
    latency_ms=st.none() | st.floats(0, 1e14),
    missed=st.none() | MISSED,
    leaving=st.none() | TEXT,
    took_over=st.none() | TEXT,
    previous_boot_id=TEXT,
    instance=TEXT,
    replaced=st.dictionaries(TEXT, COUNTS, max_size=5),
    metadata_json=METADATA.map(lambda value: encode_metadata(value)[0]),
)


# Any name that a file system can hold, as bytes: often text, sometimes not.
NAMES = (
    (st.binary(min_size=1, max_size=12) | st.text(min_size=1, max_size=12).map(lambda t: t.encode("utf-8", "replace")))
    .map(lambda name: name.replace(b"/", b"-").replace(b"\0", b"_"))
    .filter(lambda name: name not in (b".", b"..", b".roosync-sync"))
)
_OWNERS = st.sampled_from(["", "root", "www-data"])
_INTS = st.integers(0, 2**63 - 1)


@st.composite
def _entries(draw: st.DrawFn, path: str, kind: str) -> Entry:
    content = {"f": st.binary().map(lambda data: sha256(data).hexdigest()), "l": NAMES.map(decode), "d": st.just("")}
    return Entry(
        path,
        kind,
        0o777 if kind == "l" else draw(st.integers(0, 0o7777)),
        draw(st.integers(0, 2**32 - 1)),
        draw(st.integers(0, 2**32 - 1)),
        draw(_OWNERS),
        draw(_OWNERS),
        draw(_INTS) if kind == "f" else 0,
        draw(st.integers(-(2**63) + 1, 2**63 - 1)),
        draw(content[kind]),
        draw(st.integers(0, 3)) if kind == "f" else 0,
        draw(st.sampled_from(["", "system_u:object_r:etc_t:s0"])),
    )


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    """A valid manifest of any shape."""
    made = Manifest("www", {})
    directories = [""]
    for name in draw(st.lists(NAMES.map(decode), max_size=8)):
        above = draw(st.sampled_from(directories))
        path = above + "/" + name if above else name
        if path in made.entries or path in made.unknown:
            continue
        kind = draw(st.sampled_from("fdlu"))
        if kind == "u":
            made.unknown[path] = draw(st.sampled_from(["unreadable (EACCES)", "unsteady"]))
            continue
        made.entries[path] = draw(_entries(path, kind))
        if kind == "d":
            directories.append(path)
    return made


MANIFESTS = manifests()
