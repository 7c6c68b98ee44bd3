"""Where a run's points go: the spool, or nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from typing_extensions import Buffer


class PointWriter(Protocol):
    """What a run needs of a writer; `_core.Writer` has it."""

    def log(self, metrics: Mapping[str, object], step: int | None = None) -> None: ...
    def log_array(self, name: str, steps: Buffer, values: Buffer) -> None: ...
    def control(self, payload_json: str) -> None: ...
    def sync(self) -> None: ...
    def collect(self, timeout: float | None = None) -> int: ...
    def close(self) -> None: ...
    def last_seq(self) -> int: ...
    def stats(self) -> dict[str, int]: ...
    def latency(self) -> tuple[list[tuple[int, int]], int]: ...
    @property
    def buffered(self) -> bool: ...
    @property
    def path(self) -> str: ...


class NullWriter:
    """The writer of a disabled run: takes everything, keeps nothing, touches no file."""

    path = ""
    buffered = False

    def log(self, metrics: Mapping[str, object], step: int | None = None) -> None:
        pass

    def log_array(self, name: str, steps: Buffer, values: Buffer) -> None:
        pass

    def control(self, payload_json: str) -> None:
        pass

    def sync(self) -> None:
        pass

    def collect(self, timeout: float | None = None) -> int:
        return 0

    def close(self) -> None:
        pass

    def last_seq(self) -> int:
        return 0

    def stats(self) -> dict[str, int]:
        return {"points": 0, "records": 0, "bytes": 0, "refused": 0, "gaps": 0, "pending": 0}

    def latency(self) -> tuple[list[tuple[int, int]], int]:
        return [], 0
