# Copyright (c) 2026, roosync.heartbeat maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents that carry their own checksum, so that a torn or edited one is told from a whole one.

The form is plain JSON: ``{"body":{...},"sha256":"<64 hex>"}``; the sum is over the body's bytes as they stand.
"""

from __future__ import annotations

import hashlib

_HEAD = b'{"body":'
_MIDDLE = b',"sha256":"'
_TAIL = b'"}\n'
_FOOTER = len(_MIDDLE) + 64 + len(_TAIL)


def seal(body: bytes) -> bytes:
    """Wrap a JSON value with its checksum."""
    return _HEAD + body + _MIDDLE + hashlib.sha256(body).hexdigest().encode() + _TAIL


def unseal(data: bytes) -> bytes:
    """The JSON value inside a sealed document.

    :raises ValueError: torn, edited, or never sealed.
    """
    data = data.lstrip(b"\n")
    if not data.startswith(_HEAD) or not data.endswith(_TAIL) or data[-_FOOTER:][: len(_MIDDLE)] != _MIDDLE:
        raise ValueError("torn: %d bytes without a proper end" % len(data))
    body = data[len(_HEAD) : -_FOOTER]
    if hashlib.sha256(body).hexdigest().encode() != data[-_FOOTER + len(_MIDDLE) : -len(_TAIL)]:
        raise ValueError("its checksum does not match: it was edited or damaged")
    return body
