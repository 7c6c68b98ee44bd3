"""The points cut into ranges of the primary key, so that no question about them needs more memory
than a few million rows take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from stepline_ingest.query.select import plain, select
from stepline_ingest.store.contract import Param

from .reading import RAW, Reader

PIECE_POINTS = 8_000_000
LAST_ID = 2**64 - 1

CONDITION = (
    "run BETWEEN {first_run:UInt64} AND {last_run:UInt64}",
    "metric BETWEEN {first_metric:UInt64} AND {last_metric:UInt64}",
)


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole runs, or some metrics of one run; always whole series."""

    first_run: int
    last_run: int
    first_metric: int
    last_metric: int
    points: int

    @property
    def params(self) -> dict[str, Param]:
        """For CONDITION."""
        return {
            "first_run": self.first_run,
            "last_run": self.last_run,
            "first_metric": self.first_metric,
            "last_metric": self.last_metric,
        }


def read_pieces(reader: Reader, limit: int = PIECE_POINTS) -> list[Piece]:
    """All points, in the order of the key. A metric with more than LIMIT points is a piece of its
    own: what is asked is answered in the order of the key, rank by rank."""
    keys = ("run", "metric")
    sql = select(
        {**plain(*keys), "points": "count()"},
        "raw_points",
        where=[RAW],
        group_by=keys,
        order_by=keys,
    )
    return list(cut(reader.stream(sql), limit))


def cut(sizes: Iterable[tuple[int, int, int]], limit: int) -> Iterator[Piece]:
    """SIZES are (run, metric, points) in order."""
    whole: list[tuple[int, int]] = []  # runs that fit together
    for run, metrics in _by_run(sizes):
        points = sum(size for _, size in metrics)
        if whole and sum(size for _, size in whole) + points > limit:
            yield _joined(whole)
            whole = []
        if points <= limit:
            whole.append((run, points))
        else:
            yield from _split(run, metrics, limit)
    if whole:
        yield _joined(whole)


def _by_run(
    sizes: Iterable[tuple[int, int, int]],
) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    current: int | None = None
    metrics: list[tuple[int, int]] = []
    for run, metric, points in sizes:
        if current is not None and run != current:
            yield current, metrics
            metrics = []
        current = run
        metrics.append((metric, points))
    if current is not None:
        yield current, metrics


def _joined(runs: list[tuple[int, int]]) -> Piece:
    return Piece(runs[0][0], runs[-1][0], 0, LAST_ID, sum(points for _, points in runs))


def _split(run: int, metrics: list[tuple[int, int]], limit: int) -> Iterator[Piece]:
    first, last, points = metrics[0][0], metrics[0][0], 0
    for metric, size in metrics:
        if points and points + size > limit:
            yield Piece(run, run, first, last, points)
            first, points = metric, 0
        last, points = metric, points + size
    yield Piece(run, run, first, last, points)
