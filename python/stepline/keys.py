"""API keys as the command line shows them, from a service or from a data directory."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal

from .errors import InvalidRequest

KeyScope = Literal["ingest", "read", "admin"]
SCOPES: tuple[KeyScope, ...] = ("ingest", "read", "admin")

_SPAN = re.compile(r"(\d{1,6})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


@dataclass(frozen=True, kw_only=True)
class KeyInfo:
    """What is known of a key; not the key."""

    id: str
    """What it is revoked by: 12 hexadecimal digits."""
    scope: str
    project: str
    """Empty for an admin key, which is for all projects."""
    name: str
    created: datetime
    expires: datetime | None
    revoked: datetime | None

    @classmethod
    def from_reply(cls, reply: Mapping[str, Any]) -> KeyInfo:
        """REPLY has the fields of the message Key."""
        return cls(
            id=reply["id"],
            scope=reply["scope"],
            project=reply["project"],
            name=reply["name"],
            created=_moment(reply["created_ms"]),
            expires=_optional(reply["expires_ms"]),
            revoked=_optional(reply["revoked_ms"]),
        )

    @property
    def state(self) -> Literal["valid", "expired", "revoked"]:
        """Whether it still opens anything."""
        if self.revoked is not None:
            return "revoked"
        expired = self.expires is not None and self.expires <= datetime.now(timezone.utc)
        return "expired" if expired else "valid"


def expiry_ms(span: str | None) -> int | None:
    """The time SPAN from now ("90d", "12h"), in milliseconds since the epoch; None for None.

    Raises InvalidRequest.
    """
    if span is None:
        return None
    found = _SPAN.fullmatch(span)
    if found is None or int(found[1]) == 0:
        raise InvalidRequest(
            f"--expires {span} is no time: write a number and s, m, h, d or w, such as 90d."
        )
    return (int(time.time()) + int(found[1]) * _SECONDS[found[2]]) * 1_000


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1_000, timezone.utc)


def _optional(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else _moment(milliseconds)
