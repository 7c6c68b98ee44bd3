"""Every point of many series of a run, batch after batch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from .columns import Columns, Float64, Int64, float64, int64, need
from .errors import ServerUnreachable
from .expired import Expired, Fields, gaps_of, warn

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

Chunk = tuple[list[tuple[str, int, int, int, str]], bytes, bytes, bytes, list[Fields], bytes]
"""Slices as (metric, rank, attempt, rows, run or nothing), the columns step, time and value, what
has expired, and the cursor behind them.
"""

_PAUSES = (0.1, 0.5, 1.0, 2.0, 4.0)
"""Seconds between attempts to go on where a connection broke; they begin anew with each batch."""


class _ThroughArrow:
    """Something that becomes a pyarrow.Table, and through it what others have."""

    def to_arrow(self) -> pyarrow.Table:
        """The table."""
        raise NotImplementedError

    def to_pandas(self) -> pandas.DataFrame:
        """Like `to_arrow`, as a pandas.DataFrame. Needs pandas and pyarrow."""
        need("pandas", "to_pandas")
        return self.to_arrow().to_pandas()

    def to_polars(self) -> polars.DataFrame:
        """Like `to_arrow`, as a polars.DataFrame. Needs polars and pyarrow."""
        made = need("polars", "to_polars").from_arrow(self.to_arrow())
        return cast("polars.DataFrame", made)


@dataclass(frozen=True, kw_only=True, eq=False)
class PointBatch(_ThroughArrow, Columns):
    """Some points: series after series, each in the order of steps, equal steps in the order of
    logging.

    Arrays of shape (points,); `slices` says which of them belong to which series.
    """

    run_id: str
    slices: tuple[tuple[str, int, int, int, str], ...] = field(repr=False)
    """(metric, rank, attempt, points, run), in the order of the arrays. The run is empty but for
    points of another run, which this one was forked from."""
    step: Int64 = field(repr=False)
    time: Int64 = field(repr=False)
    """When it was logged: milliseconds since the epoch."""
    value: Float64 = field(repr=False)
    """As logged, NaN and infinities included."""

    def __len__(self) -> int:
        return len(self.step)

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """metric (str), rank, attempt (uint32), step, time, value."""
        metrics, ranks, attempts, rows = self._by_slice()
        return {
            "metric": np.repeat(np.array(metrics, dtype=object), rows),
            "rank": np.repeat(ranks, rows),
            "attempt": np.repeat(attempts, rows),
            "step": self.step,
            "time": self.time,
            "value": self.value,
        }

    def to_arrow(self) -> pyarrow.Table:
        """A pyarrow.Table with the columns run, metric (dictionaries of text), rank, attempt, step,
        time (timestamp in UTC) and value. Raises ImportError when pyarrow is not installed.
        """
        arrow = need("pyarrow", "to_arrow")
        metrics, ranks, attempts, rows = self._by_slice()
        names = list(dict.fromkeys(metrics))
        whose = [run or self.run_id for *_, run in self.slices]
        runs = list(dict.fromkeys(whose))
        place = {name: number for number, name in enumerate(names)}
        of_slice = np.array([place[metric] for metric in metrics], dtype=np.int32)
        return arrow.Table.from_arrays(
            [
                arrow.DictionaryArray.from_arrays(
                    np.repeat(np.array([runs.index(run) for run in whose], np.int32), rows),
                    arrow.array(runs, arrow.string()),
                ),
                arrow.DictionaryArray.from_arrays(
                    np.repeat(of_slice, rows), arrow.array(names, arrow.string())
                ),
                arrow.array(np.repeat(ranks, rows)),
                arrow.array(np.repeat(attempts, rows)),
                arrow.array(self.step),
                arrow.array(self.time).cast(arrow.timestamp("ms", "UTC")),
                arrow.array(self.value),
            ],
            schema=arrow_schema(),
        )

    def _by_slice(
        self,
    ) -> tuple[list[str], npt.NDArray[np.uint32], npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
        return (
            [metric for metric, *_ in self.slices],
            np.array([rank for _, rank, *_ in self.slices], dtype=np.uint32),
            np.array([attempt for _, _, attempt, *_ in self.slices], dtype=np.uint32),
            np.array([rows for _, _, _, rows, _ in self.slices], dtype=np.int64),
        )


class Points(_ThroughArrow):
    """A selection of the points of a run: nothing is read before it is iterated or turned into a
    table, and each time anew.

    Iterating gives `PointBatch`es of about 65,000 points, so that a selection of any size fits into
    memory. When the connection breaks, it is continued where it broke; ServerUnreachable is raised
    when that fails for some seconds. Of points that have expired `expired` tells, and an
    ExpiredPointsWarning at the end.
    """

    def __init__(self, run_id: str, read: Callable[[bytes], Iterable[Chunk]]) -> None:
        self._run_id = run_id
        self._read = read
        self._expired: dict[Fields, None] = {}

    @property
    def expired(self) -> tuple[Expired, ...]:
        """What was asked for and is not there any more, as far as it was read."""
        return gaps_of(self._expired, self._run_id)

    def __iter__(self) -> Iterator[PointBatch]:
        self._expired = {}
        for slices, step, moment, value, expired, _ in _continued(self._read):
            if expired:
                self._expired.update(dict.fromkeys(expired))
            if not slices:
                continue
            yield PointBatch(
                run_id=self._run_id,
                slices=tuple(slices),
                step=int64(step),
                time=int64(moment),
                value=float64(value),
            )
        warn(self.expired, stacklevel=2)

    def to_arrow(self) -> pyarrow.Table:
        """All of it as one pyarrow.Table; see `PointBatch.to_arrow`."""
        arrow = need("pyarrow", "to_arrow")
        tables = [batch.to_arrow() for batch in self]
        if not tables:
            return arrow_schema().empty_table()
        return arrow.concat_tables(tables).unify_dictionaries()


def _continued(read: Callable[[bytes], Iterable[Chunk]]) -> Iterator[Chunk]:
    """The chunks of READ, which is asked to go on behind the last one when a connection breaks."""
    cursor, broken = b"", 0
    while True:
        try:
            for chunk in read(cursor):
                cursor, broken = chunk[-1], 0
                yield chunk
        except ServerUnreachable:  # noqa: PERF203
            if broken == len(_PAUSES):
                raise
            time.sleep(_PAUSES[broken])
            broken += 1
        else:
            return


def arrow_schema() -> pyarrow.Schema:
    """The columns of points in Arrow. Raises ImportError when pyarrow is not installed."""
    arrow = need("pyarrow", "to_arrow")
    text = arrow.dictionary(arrow.int32(), arrow.string())
    return arrow.schema(
        [
            ("run", text),
            ("metric", text),
            ("rank", arrow.uint32()),
            ("attempt", arrow.uint32()),
            ("step", arrow.int64()),
            ("time", arrow.timestamp("ms", "UTC")),
            ("value", arrow.float64()),
        ]
    )
