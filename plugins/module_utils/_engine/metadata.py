# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metadata of a machine: a JSON object of plain values, bounded in depth and size."""

from __future__ import annotations

import json
import math

from .errors import InvalidMetadata

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List, Optional, Tuple

MAX_DEPTH = 20
WARN_BYTES = 10_000
MAX_BYTES = 65_536
_MAX_INT_BITS = 1024


def encode_metadata(value: Any) -> Tuple[str, Optional[str]]:
    """Validate metadata and give its JSON text, with a warning when it is large.

    :raises InvalidMetadata: names the path of the bad value (``metadata.disks[2].size``).
    """
    if value is None:
        value = {}
    if not isinstance(value, dict):
        raise InvalidMetadata("metadata must be a JSON object (a dictionary), not %s" % type(value).__name__)
    validate(value, "metadata", 1)
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    size = len(text)
    if size > MAX_BYTES:
        raise InvalidMetadata(
            "metadata is %d bytes as JSON, at most %d are allowed; keep facts that change often elsewhere"
            % (size, MAX_BYTES),
            bytes=size,
        )
    if size > WARN_BYTES:
        return text, "metadata is %d bytes as JSON; over %d every beat and check gets slower" % (size, WARN_BYTES)
    return text, None


def decode_metadata(text: str) -> Any:
    """Parse metadata a person wrote as JSON: duplicate keys, NaN and bottomless nesting are refused.

    :raises InvalidMetadata: not such JSON.
    """
    try:
        return strict_json(text)
    except ValueError as exc:
        raise InvalidMetadata("metadata is not valid JSON: %s" % exc) from exc


def strict_json(text: str) -> Any:
    """JSON without its traps: a duplicate key, ``NaN`` or ``Infinity``, or too deep nesting is a ValueError."""
    try:
        return _STRICT.decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def plain_json(data: bytes, what: str) -> Any:
    """A document that anybody may have edited, if its values can be written down again: valid Unicode, finite numbers.

    :param what: how errors name it.
    :raises ValueError: it is none.
    """
    value = strict_json(data.decode("utf-8"))
    try:
        validate(value, what, 0)
    except InvalidMetadata as exc:
        raise ValueError(exc.message) from exc
    return value


def _no_duplicates(pairs: List[Tuple[str, Any]]) -> Any:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen = set()
        for key, _value in pairs:
            if key in seen:
                raise ValueError("duplicate key %r" % key[:80])
            seen.add(key)
    return result


def _no_constant(name: str) -> Any:
    raise ValueError("%s is not JSON" % name)


# Made once: json.loads would make one at each call, which takes nearly as long as decoding a record with it.
_STRICT = json.JSONDecoder(object_pairs_hook=_no_duplicates, parse_constant=_no_constant)


def validate(value: Any, path: str, depth: int) -> None:
    """See that a value is plain, of valid Unicode and not nested too deeply.

    :raises InvalidMetadata: names the path of the bad value.
    """
    if depth > MAX_DEPTH:
        raise InvalidMetadata("%s... is nested deeper than %d levels" % (path[:120], MAX_DEPTH), path=path[:120])
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise InvalidMetadata(
                    "%s has a key that is no string: %r (%s)" % (path, str(key)[:40], type(key).__name__), path=path
                )
            _check_text(key, path + " (a key)")
            # A path is for one line of a log, whatever the keys are.
            shown = key[:60] if key.isprintable() else repr(key[:60])[1:-1]
            validate(item, "%s.%s" % (path, shown), depth + 1)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            validate(item, "%s[%d]" % (path, index), depth + 1)
    elif isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidMetadata("%s is %r, which JSON cannot hold" % (path, value), path=path)
    elif isinstance(value, int):
        if value.bit_length() > _MAX_INT_BITS:
            raise InvalidMetadata("%s is a number of more than %d bits" % (path, _MAX_INT_BITS), path=path)
    elif value is not None:
        raise InvalidMetadata(
            "%s is a %s; only strings, numbers, booleans, null, lists and dictionaries are metadata"
            % (path, type(value).__name__),
            path=path,
        )


def _check_text(text: str, path: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidMetadata("%s is not valid Unicode text" % path, path=path) from None
