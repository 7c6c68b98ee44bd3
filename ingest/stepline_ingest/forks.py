"""Where forks and rewinds begin: "RUN_ID@STEP", held against what the run shows."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TypeVar

from stepline_ingest.errors import ServiceError, invalid
from stepline_ingest.lineage import STEP_END, STEP_MIN, Descent, Lineage
from stepline_ingest.run_record import RunRecord

Result = TypeVar("Result")

ReadExtents = Callable[[Sequence[int]], Mapping[int, Mapping[int, tuple[int, int]]]]
"""Run -> attempt -> the first and the last step that it has logged. Blocks, raises StoreError."""

_ORIGIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,63})@(-?\d{1,19})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Origin:
    """The step of a run after which another run, or an attempt of the same, begins."""

    run_id: str
    step: int

    def __str__(self) -> str:
        return f"{self.run_id}@{self.step}"


def origin(text: str) -> Origin | None:
    """None for an empty TEXT. Raises ServiceError(INVALID_ARGUMENT)."""
    if not text:
        return None
    found = _ORIGIN.fullmatch(text)
    if found is None or not STEP_MIN <= int(found[2]) < STEP_END - 1:
        raise invalid(f'fork_from {text[:100]!r} is not "RUN_ID@STEP": write it like "a1b2c3@5000"')
    return Origin(found[1], int(found[2]))


class Lineages:
    """What runs show at this moment."""

    def __init__(self, read: ReadExtents, executor: Executor) -> None:
        self._read = read
        self._executor = executor

    async def shown(self, run: RunRecord) -> Lineage:
        """The segments of RUN, each cut to what its attempt has logged."""
        lineage, _ = await self._shown(run)
        return lineage

    async def fork(self, run: int, parent: RunRecord, step: int) -> Descent:
        """The descent of the new RUN that begins with what PARENT shows up to and including STEP.

        Raises ServiceError(INVALID_ARGUMENT) when it shows nothing there.
        """
        lineage, (first, last) = await self._shown(parent)
        if first is None or last is None:
            raise invalid(
                f"run {parent.run_id} has no points yet to fork from; when they are on their way, "
                "send them with `stepline sync`, or start the run without fork_from"
            )
        if not first <= step <= last:
            raise _not_there(parent.run_id, step, first, last)
        return Descent.of_fork(run, lineage, step)

    async def check_rewind(self, run: RunRecord, step: int) -> None:
        """Raises ServiceError(INVALID_ARGUMENT) when RUN shows nothing up to STEP. Beyond its last
        step it may be rewound: points may be on their way."""
        _, (first, last) = await self._shown(run)
        if first is not None and last is not None and step < first:
            raise _not_there(run.run_id, step, first, last)

    async def _shown(self, run: RunRecord) -> tuple[Lineage, tuple[int | None, int | None]]:
        descent = run.descent
        runs = list(dict.fromkeys([descent.run, *(s.run for s in descent.base)]))
        loop = asyncio.get_running_loop()
        extents = await loop.run_in_executor(self._executor, lambda: self._read(runs))
        own = extents.get(descent.run, {})
        lineage = descent.lineage({number: first for number, (first, _) in own.items()})
        bounds = []
        for segment in lineage:
            logged = extents.get(segment.run, {}).get(segment.attempt or 0)
            if logged is None:
                continue
            first, last = max(logged[0], segment.from_step), min(logged[1], segment.to_step - 1)
            if first <= last:
                bounds.append((first, last))
        if not bounds:
            return lineage, (None, None)
        return lineage, (min(b[0] for b in bounds), max(b[1] for b in bounds))


def _not_there(run_id: str, step: int, first: int, last: int) -> ServiceError:
    return invalid(
        f"run {run_id} shows the steps {first} to {last}, not {step}: pass one of them as "
        f'fork_from="{run_id}@STEP"; points that wait on their host are sent by `stepline sync`'
    )
