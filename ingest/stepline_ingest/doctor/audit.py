"""All checks, one after the other, in steps that can be shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import Any

from stepline_ingest.store.contract import Store
from stepline_ingest.store.errors import StoreError

from .doubles import check_doubles
from .finding import Finding
from .lineage import check_lineage
from .names import check_tables, check_unnamed, check_writers
from .parts import UNREADABLE, check_engine, check_parts, check_schema, tables, unreadable
from .pieces import LAST_ID, PIECE_POINTS, Piece, read_pieces
from .reading import STANDING, Reader
from .rollups import ROLLUPS, check_ledger, check_rollup
from .sequences import check_sequences

SLICE_POINTS = 100_000_000
"""Points whose sequences are held as bitmaps at a time."""

LOOKS = 3
"""Times that something is seen before it is a finding."""

_COUNTS = (
    f"SELECT (SELECT count() FROM raw_points WHERE {STANDING}), "  # noqa: S608
    "(SELECT uniqExact(run) FROM raw_runs), "
    "(SELECT uniqExact(writer) FROM raw_writers), "
    "(SELECT sum(last - first_seq + 1) FROM (SELECT run, writer, first_seq, "
    "max(last_seq) AS last FROM raw_rejects GROUP BY run, writer, first_seq)), "
    "(SELECT sum(n) FROM raw_kept WHERE width = 0)"
)


@dataclass(frozen=True, slots=True)
class Step:
    """DONE of TOTAL units of work are done, WHAT is next. Units are about the same time each."""

    what: str
    done: int
    total: int


@dataclass(slots=True)
class Report:
    """What an audit came to."""

    findings: list[Finding] = field(default_factory=list)
    points: int = 0
    runs: int = 0
    writers: int = 0
    rejected: int = 0
    """Sequences that are recorded as rejected, or as lost before upload."""
    expired: int = 0
    """Points of which only rollups are kept."""

    @property
    def clean(self) -> bool:
        """Nothing was found."""
        return not self.findings

    def to_json(self) -> dict[str, Any]:
        """What `stepline doctor --json` prints."""
        counts = ("points", "runs", "writers", "rejected", "expired")
        return {
            "clean": self.clean,
            **{name: getattr(self, name) for name in counts},
            "findings": [finding.to_json() for finding in self.findings],
        }


def audit(store: Store, *, progress: Callable[[Step], None] = lambda _: None) -> Report:
    """Audits STORE, which may be written to meanwhile. Blocks; raises StoreError when the store
    cannot be read."""
    report = Report()
    for event in examine(store):
        if isinstance(event, Finding):
            report.findings.append(event)
        elif isinstance(event, Step):
            progress(event)
        else:
            event.findings = report.findings
            report = event
    return report


def examine(
    store: Store, *, piece_points: int = PIECE_POINTS, slice_points: int = SLICE_POINTS
) -> Iterator[Step | Finding | Report]:
    """The same as a stream: steps, findings as they come, and at last the counts as a Report
    without findings. After a finding of kind SCHEMA nothing else is looked at."""
    reader = Reader(store)
    wrong = list(check_schema(store))
    if wrong:
        yield from wrong
        yield Report()
        return
    yield Step("reading the keys", 0, 1)
    try:
        reader.load_run_ids()
        pieces = read_pieces(reader, piece_points)
    except StoreError as error:
        if error.code not in UNREADABLE:
            raise
        yield unreadable("the keys", error)
        pieces = []
    checks = [*_checks(reader, pieces, slice_points)]
    for number, (what, check) in enumerate(checks):
        yield Step(what, number, len(checks))
        try:
            # What is left of a run that was deleted goes away by itself.
            yield from (f for f in _confirmed(check) if f.run not in reader.deleted)
        except StoreError as error:
            if error.code not in UNREADABLE:
                raise
            yield unreadable(what, error)
    yield Step("done", len(checks), len(checks))
    try:
        ((points, runs, writers, rejected, expired),) = reader.rows(_COUNTS)
    except StoreError as error:
        if error.code not in UNREADABLE:
            raise
        yield unreadable("the counts", error)
        points, runs, writers, rejected, expired = 0, 0, 0, 0, 0
    yield Report(
        points=points, runs=runs, writers=writers, rejected=rejected or 0, expired=expired or 0
    )


Check = Callable[[], Iterator[Finding]]


def _checks(reader: Reader, pieces: list[Piece], slice_points: int) -> Iterator[tuple[str, Check]]:
    yield "names and references", partial(check_tables, reader)
    yield "lineage", partial(check_lineage, reader)
    yield "writers", partial(check_writers, reader)
    for first_run, last_run, points in _runs(pieces, slice_points):
        slices = -(-points // slice_points)
        for number in range(slices):
            yield (
                "sequences",
                partial(check_sequences, reader, first_run, last_run, slices=slices, number=number),
            )
    for piece in pieces:
        yield "doubles", partial(check_doubles, reader, piece)
        yield "metric names", partial(check_unnamed, reader, piece)
    yield "ledger", partial(check_ledger, reader)
    for piece in pieces:
        for rollup in ROLLUPS:
            yield f"rollup {rollup.name}", partial(check_rollup, reader, rollup, piece)
    for table in tables(reader):
        yield f"files of {table}", partial(check_parts, reader, table)
    yield "the engine", partial(check_engine, reader)


def _confirmed(check: Check) -> list[Finding]:
    """What CHECK finds at every look. A store that is written to may change between two of the
    questions of one look; what is wrong stays wrong."""
    findings = list(check())
    for _ in range(LOOKS - 1):
        if not findings:
            break
        again = {finding.subject for finding in check()}
        findings = [finding for finding in findings if finding.subject in again]
    return findings


def _runs(pieces: list[Piece], limit: int) -> Iterator[tuple[int, int, int]]:
    """(first run, last run, points): pieces joined up to LIMIT points. Together they are all runs
    that there can be, also those that have no point any more."""
    begin, points = 0, 0
    by_run = groupby(pieces, key=lambda piece: (piece.first_run, piece.last_run))
    for (first, _), group in by_run:
        size = sum(piece.points for piece in group)
        if points and points + size > limit:
            yield begin, first - 1, points
            begin, points = first, 0
        points += size
    yield begin, LAST_ID, max(points, 1)
