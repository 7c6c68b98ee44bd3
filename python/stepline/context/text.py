"""Text of unknown origin, such as arguments and paths, as JSON can hold it."""

from __future__ import annotations

_LONGEST = 8 << 10


def clean(text: str, longest: int = _LONGEST) -> str:
    """Without what UTF-8 cannot hold, and at most LONGEST characters."""
    if len(text) > longest:
        text = f"{text[:longest]}... ({len(text) - longest:,} more characters)"
    return text.encode("utf-8", "replace").decode()
