"""What of a config or summary is stored: everything but its secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import notices
from .config import RESERVED
from .redaction import REDACTED, redacted

_SHOWN = 5
_told: set[str] = set()
"""Where secrets were found in this process; each is spoken of once."""


def to_store(values: Mapping[str, Any], what: str, *, redact: bool, tell: bool) -> dict[str, Any]:
    """VALUES, which are JSON, without secrets when REDACT is set. TELL says so on standard error,
    once for each key. This process keeps the values themselves."""
    if not redact:
        return dict(values)
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
