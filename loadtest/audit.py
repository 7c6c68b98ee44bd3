"""What was acknowledged against what is stored, exactly: no point lost, doubled, changed or
invented."""

from __future__ import annotations

from dataclasses import dataclass

import stepline
from loadtest.values import WRONG


@dataclass(frozen=True, kw_only=True)
class Expected:
    """One writer: steps 1..rows of every metric."""

    rank: int
    rows: int
    metrics: int

    @property
    def points(self) -> int:
        return self.rows * self.metrics


@dataclass(frozen=True, kw_only=True)
class Verdict:
    acknowledged: int
    stored: int
    faults: tuple[str, ...]

    @property
    def sound(self) -> bool:
        return not self.faults and self.acknowledged == self.stored

    def __str__(self) -> str:
        if self.sound:
            return f"{self.stored:,} points acknowledged, all of them stored, none twice"
        shown = "; ".join(self.faults[:5])
        return f"{self.acknowledged:,} points acknowledged, {self.stored:,} stored: {shown}"


def audit(
    server: str, run_id: str, expected: list[Expected], *, api_key: str | None = None
) -> Verdict:
    """Compares every series of the run: its count, the sum of its steps, each of its values."""
    with stepline.connect(server, api_key=api_key) as client:
        rows = client.sql(
            "SELECT rank, count(), sum(n), min(n), max(n), min(total), max(total), sum(wrong) "  # noqa: S608
            f"FROM (SELECT rank, metric, count() AS n, sum(step) AS total, countIf({WRONG}) "
            f"AS wrong FROM points WHERE run = '{run_id}' GROUP BY rank, metric) GROUP BY rank"
        ).rows
    found = {int(rank): tuple(map(int, rest)) for rank, *rest in rows}
    wanted = {writer.rank: writer for writer in expected if writer.rows}
    faults = [f"rank {rank} was invented" for rank in sorted(found.keys() - wanted.keys())]
    for rank, writer in sorted(wanted.items()):
        total = writer.rows * (writer.rows + 1) // 2
        must = (writer.metrics, writer.points, writer.rows, writer.rows, total, total, 0)
        if found.get(rank) != must:
            faults.append(
                f"rank {rank}: (metrics, points, least and most of a metric, least and most sum "
                f"of steps, wrong values) are {found.get(rank)} instead of {must}"
            )
    return Verdict(
        acknowledged=sum(writer.points for writer in expected),
        stored=sum(values[1] for values in found.values()),
        faults=tuple(faults),
    )
