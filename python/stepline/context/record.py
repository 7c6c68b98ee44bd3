"""The context of a run, as it is read back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any


class Context(Mapping[str, dict[str, Any]]):
    """What surrounded one process of one attempt: part -> JSON object.

    Parts are git, diff, program, packages, environment and machine, as far as they were captured.
    docs/capture.md says what they hold.
    """

    def __init__(self, attempt: int, rank: int, parts: Mapping[str, dict[str, Any]]) -> None:
        self.attempt = attempt
        """Of which start of the run; 0 when nothing was captured."""
        self.rank = rank
        self._parts = dict(parts)

    def __getitem__(self, part: str) -> dict[str, Any]:
        return self._parts[part]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def __repr__(self) -> str:
        words = ", ".join(self._parts) or "nothing"
        return f"<context of attempt {self.attempt}, rank {self.rank}: {words}>"

    @classmethod
    def from_reply(cls, found: Iterable[Mapping[str, Any]]) -> list[Context]:
        """Of ContextPart messages as the extension gives them: one for each rank."""
        places: dict[tuple[int, int], dict[str, dict[str, Any]]] = {}
        for part in found:
            place = places.setdefault((part["attempt"], part["rank"]), {})
            place[part["part"]] = json.loads(part["content_json"])
        return [cls(attempt, rank, parts) for (attempt, rank), parts in sorted(places.items())]
