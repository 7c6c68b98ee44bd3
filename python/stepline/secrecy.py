"""What of a config or summary is stored: everything but its secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import notices
from .config import RESERVED
from .errors import InvalidRequest
from .jsonable import dumps
from .redaction import REDACTED, redacted

LARGEST = 16 << 20
"""Bytes; the service has the same limit."""
_SHOWN = 5
_told: set[str] = set()
"""Where secrets were found in this process; each is spoken of once."""


def json_to_store(values: Mapping[str, Any], what: str, *, redact: bool, tell: bool) -> str:
    """The JSON of VALUES, without secrets when REDACT is set. TELL says so on standard error, once
    for each key. This process keeps the values themselves. Raises InvalidRequest for more than the
    service takes."""
    text = dumps(_without_secrets(values, what, tell=tell) if redact else values)
    size = len(text) if text.isascii() else len(text.encode())
    if size > LARGEST:
        raise InvalidRequest(
            f"{what} has {size:,} bytes of JSON, {LARGEST:,} are allowed: keep large data in files "
            "and put their names here."
        )
    return text


def _without_secrets(values: Mapping[str, Any], what: str, *, tell: bool) -> dict[str, Any]:
    own = {RESERVED: values[RESERVED]} if RESERVED in values else {}
    shown, paths = redacted({key: value for key, value in values.items() if key != RESERVED})
    fresh = [path for path in paths if f"{what}.{path}" not in _told]
    if fresh and tell:
        _told.update(f"{what}.{path}" for path in fresh)
        listed = ", ".join(fresh[:_SHOWN]) + (", .." if len(fresh) > _SHOWN else "")
        notices.line(
            f'secrets of the {what} are stored as "{REDACTED}": {listed}. '
            "To store them as they are: init(redact=False) or STEPLINE_REDACT=0."
        )
    return {**shown, **own}
