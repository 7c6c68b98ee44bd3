"""Printed lines, as they are read back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal

_Place = tuple[bytes, int]


@dataclass(frozen=True, kw_only=True)
class ConsoleLine:
    """The last state of one line."""

    text: str
    stream: Literal["out", "err", "note"]
    """Standard output, standard error, or a note of what was left out."""
    time: datetime
    line: int
    """From 1 within the process that printed it."""
    open: bool
    """It has no end yet, such as a progress bar on its way."""
    writer: bytes
    """The process."""

    @classmethod
    def from_reply(cls, line: Mapping[str, Any]) -> ConsoleLine:
        """Of a ConsoleLine message as the extension gives it."""
        return cls(
            text=line["text"],
            stream=line["stream"],
            time=datetime.fromtimestamp(line["time_ms"] / 1000, tz=timezone.utc),
            line=line["line"],
            open=line["open"],
            writer=line["writer"],
        )


def in_order(states: Iterable[ConsoleLine]) -> list[ConsoleLine]:
    """The last of the STATES of each line: process after process in the order of their starts."""
    lines: dict[_Place, ConsoleLine] = {(state.writer, state.line): state for state in states}
    return [lines[place] for place in sorted(lines)]
