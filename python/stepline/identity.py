"""Making run ids, which people type."""

from __future__ import annotations

import hashlib
import secrets

# Crockford's base 32 in lower case: no letter that reads like a digit
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_LENGTH = 8


def random_run_id() -> str:
    """Eight characters, 40 random bits."""
    return _spell(secrets.token_bytes(8))


def derived_run_id(project: str, launch: str) -> str:
    """The same eight characters in every process that was given the same words."""
    return _spell(hashlib.sha256(f"{project}\0{launch}".encode()).digest())


def _spell(data: bytes) -> str:
    number = int.from_bytes(data[:8], "big")
    return "".join(_ALPHABET[number >> 5 * place & 31] for place in range(_LENGTH))
