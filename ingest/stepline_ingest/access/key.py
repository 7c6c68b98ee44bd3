"""A key: 256 random bits behind a prefix that secret scanners can look for.

The service keeps the SHA-256 of the text. A plain digest is enough for that: there is nothing to
guess in 256 random bits, so a slow hash would only cost the service time.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from enum import Enum

PREFIX = "stepline_"
_RANDOM_BYTES = 32
_ID_DIGITS = 12


class Scope(Enum):
    """What a key is for. The values are what people type and what the store holds."""

    INGEST = "ingest"
    READ = "read"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key as it is stored. Nothing in it is secret."""

    digest: str
    """SHA-256 of the text in hexadecimal digits."""
    scope: Scope
    project: str
    """What it is bound to; empty for an admin key, which is bound to nothing."""
    name: str
    created_ms: int
    expires_ms: int | None = None
    revoked_ms: int | None = None

    @property
    def id(self) -> str:
        """What people name it by."""
        return self.digest[:_ID_DIGITS]

    def allows(self, scope: Scope) -> bool:
        return self.scope is Scope.ADMIN or self.scope is scope


def new_secret() -> str:
    """The text of a new key."""
    return PREFIX + secrets.token_hex(_RANDOM_BYTES)


def digest(secret: str) -> str:
    """What is kept of SECRET."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
