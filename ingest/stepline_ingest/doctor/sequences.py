"""Sequences: from 1 to the highest of a writer, each is stored or recorded as rejected or lost.

A bitmap of sequences is exact and takes a bit for each, so the sequences of 100 million points fit
into 13 MB. What is counted first is only the number of bits; where they are missing is asked for
those writers that lack some.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from stepline_ingest.query.select import plain, select
from stepline_ingest.store.contract import Param

from .expired import read_expired
from .finding import Finding, Kind
from .reading import STANDING, Reader, writer_text

Range = tuple[int, int]
"""First and last sequence."""

_PLACE = ("run", "attempt", "rank", "writer")
_BLOCK = 1 << 16
_SHOWN = 8
"""Ranges that a finding lists."""
_MAX_SEQ = 1 << 44

_REJECTS = select(
    {**plain(*_PLACE, "first_seq"), "last": "max(last_seq)"},
    "raw_rejects",
    where=["run BETWEEN {first_run:UInt64} AND {last_run:UInt64}"],
    group_by=(*_PLACE, "first_seq"),
)
_WHOSE = "run BETWEEN {first_run:UInt64} AND {last_run:UInt64}"
_SLICE = "writer % {slices:UInt32} = {slice:UInt32}"
_OF_POINTS = select(
    {
        **plain(*_PLACE),
        "points": "count()",
        "held": "groupBitmapState(seq)",
        "alone": "groupBitmap(seq)",
        "lowest": "min(seq)",
        "highest": "max(seq)",
        "gone": "0",
    },
    "raw_points",
    where=[STANDING, _WHOSE, _SLICE],
    group_by=_PLACE,
)
_OF_EXPIRED = select(
    {
        **plain(*_PLACE),
        "points": "sum(m.points)",
        "held": "groupBitmapMergeState(seqs)",
        "alone": "groupBitmapMerge(seqs)",
        "lowest": "min(first_seq)",
        "highest": "max(last_seq)",
        "gone": "1",
    },
    "raw_marked AS m",
    where=[_WHOSE, _SLICE],
    group_by=("fill", *_PLACE),
)
_STORED = select(
    {
        **plain(*_PLACE),
        "all_points": "sum(points)",
        "sequences": "groupBitmapMerge(held)",
        "least": "min(lowest)",
        "most": "max(highest)",
        "apart": "sum(alone)",
        "expired": "max(gone)",
    },
    f"({_OF_POINTS} UNION ALL {_OF_EXPIRED})",
    group_by=_PLACE,
)
_WRITER = (
    "run = {run:UInt64}",
    "attempt = {attempt:UInt32}",
    "rank = {rank:UInt32}",
    "writer = {writer:UInt128}",
)
_OF_WRITER = (STANDING, *_WRITER)
_COUNTS = select(
    {"block": f"intDiv(seq, {_BLOCK})", "sequences": "groupBitmap(seq)"},
    "raw_points",
    where=_OF_WRITER,
    group_by=("block",),
    order_by=("block",),
)
_WITHIN = select(
    {"sequences": "arraySort(groupUniqArray(seq))"},
    "raw_points",
    where=(*_OF_WRITER, "seq BETWEEN {first:UInt64} AND {last:UInt64}"),
)


@dataclass(slots=True)
class Stored:
    """What is stored of one writer in one place."""

    run: int
    attempt: int
    rank: int
    writer: int
    points: int
    sequences: int
    lowest: int
    highest: int
    apart: int
    """The sum of what is stored and of what each month that expired had."""
    expired: bool
    rejected: list[Range] = field(default_factory=list)
    """Merged and sorted."""


def check_sequences(
    reader: Reader, first_run: int, last_run: int, *, slices: int = 1, number: int = 0
) -> Iterator[Finding]:
    """The writers of these runs whose id is NUMBER modulo SLICES."""
    # Points first: whatever was rejected below the highest of them was recorded before it.
    params: dict[str, Param] = {"first_run": first_run, "last_run": last_run}
    found = reader.rows(_STORED, {**params, "slices": slices, "slice": number})
    rejects = _rejects(reader, params)
    for row in found:
        stored = Stored(*row)
        key = (stored.run, stored.attempt, stored.rank, stored.writer)
        stored.rejected = rejects.get(key, [])
        yield from _check(reader, stored)


def _rejects(reader: Reader, params: dict[str, Param]) -> dict[tuple[int, ...], list[Range]]:
    by_writer: dict[tuple[int, ...], list[Range]] = defaultdict(list)
    for *key, first, last in reader.rows(_REJECTS, params):
        by_writer[tuple(key)].append((first, last))
    return {key: merged(ranges) for key, ranges in by_writer.items()}


def _check(reader: Reader, stored: Stored) -> Iterator[Finding]:
    place = _place(reader, stored)
    if stored.lowest < 1 or stored.highest >= _MAX_SEQ:
        yield Finding(
            kind=Kind.BAD_SEQUENCE,
            message=f"sequences {stored.lowest} to {stored.highest} are stored, but they count "
            f"from 1 and lie below {_MAX_SEQ}",
            first_seq=stored.lowest,
            last_seq=stored.highest,
            **place,
        )
        return
    if stored.apart > stored.sequences:
        yield Finding(
            kind=Kind.DOUBLE,
            message=f"{stored.apart - stored.sequences:,} sequences are stored, or have expired, "
            "more than once: points that had expired were stored again",
            about="expired",
            **place,
        )
    rejected = clipped(stored.rejected, stored.highest)
    if stored.sequences + length(rejected) == stored.highest and not _overlap(
        reader, stored, rejected
    ):
        return
    holes, both = _compare(reader, stored, rejected)
    if holes:
        yield Finding(
            kind=Kind.HOLE,
            message=f"{length(holes):,} of {stored.highest:,} sequences are neither stored nor "
            f"recorded as rejected: {shown(holes)}",
            first_seq=holes[0][0],
            last_seq=holes[-1][1],
            **place,
        )
    if both:
        yield Finding(
            kind=Kind.REJECTED_BUT_STORED,
            message=f"{length(both):,} sequences are recorded as rejected and have points: "
            f"{shown(both)}",
            first_seq=both[0][0],
            last_seq=both[-1][1],
            **place,
        )


def _overlap(reader: Reader, stored: Stored, rejected: Sequence[Range]) -> bool:
    """A reject that has points could hide a hole of the same length."""
    return bool(rejected) and any(
        numbers
        for first, last in rejected
        for (numbers,) in reader.rows(_WITHIN, {**_params(stored), "first": first, "last": last})
    )


def _compare(
    reader: Reader, stored: Stored, rejected: Sequence[Range]
) -> tuple[list[Range], list[Range]]:
    """(neither stored nor rejected, both), block by block: only blocks in which the numbers do not
    fit are looked at in full."""
    counts = dict(reader.rows(_COUNTS, _params(stored)))
    expired = (
        read_expired(reader.store, " AND ".join(_WRITER), _params(stored), {})
        if (stored.expired)
        else []
    )
    holes: list[Range] = []
    both: list[Range] = []
    for block in _blocks(counts, stored.highest):
        first, last = max(1, block * _BLOCK), min((block + 1) * _BLOCK - 1, stored.highest)
        settled = within(rejected, first, last)
        if counts.get(block, 0) == last - first + 1 and not settled:
            continue
        params: dict[str, Param] = {**_params(stored), "first": first, "last": last}
        ((numbers,),) = reader.rows(_WITHIN, params) if block in counts else [([],)]
        holes += missing(numbers, [*settled, *within(expired, first, last)], first, last)
        both += [(n, n) for n in numbers if within(settled, n, n)]
    return merged(holes), merged(both)


def _blocks(counts: dict[int, int], highest: int) -> Iterable[int]:
    """All blocks; beyond any sane number of them, those with points and their neighbours."""
    number = highest // _BLOCK + 1
    if number <= 1 << 20:
        return range(number)
    near = {near for block in counts for near in (block - 1, block, block + 1)}
    return sorted(block for block in near | {0} if 0 <= block < number)


def _params(stored: Stored) -> dict[str, Param]:
    return {
        "run": stored.run,
        "attempt": stored.attempt,
        "rank": stored.rank,
        "writer": stored.writer,
    }


def _place(reader: Reader, stored: Stored) -> dict[str, Any]:
    return {
        "run": reader.run_id(stored.run),
        "attempt": stored.attempt,
        "rank": stored.rank,
        "writer": writer_text(stored.writer),
    }


# --- ranges ---


def merged(ranges: Iterable[Range]) -> list[Range]:
    """Sorted, with those that touch joined; inverted ones are left out."""
    result: list[Range] = []
    for first, last in sorted(r for r in ranges if r[0] <= r[1]):
        if result and first <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(result[-1][1], last))
        else:
            result.append((first, last))
    return result


def clipped(ranges: Iterable[Range], highest: int) -> list[Range]:
    """What of RANGES lies in 1 .. HIGHEST."""
    return within(ranges, 1, highest)


def within(ranges: Iterable[Range], first: int, last: int) -> list[Range]:
    """What of RANGES lies in FIRST .. LAST."""
    return [(max(a, first), min(b, last)) for a, b in ranges if a <= last and b >= first]


def length(ranges: Iterable[Range]) -> int:
    """How many sequences RANGES hold."""
    return sum(last - first + 1 for first, last in ranges)


def missing(numbers: Sequence[int], settled: Iterable[Range], first: int, last: int) -> list[Range]:
    """What of FIRST .. LAST is neither in NUMBERS, which are sorted, nor in SETTLED."""
    covered = merged([*((n, n) for n in numbers), *settled])
    holes = []
    expected = first
    for begin, end in covered:
        if begin > expected:
            holes.append((expected, begin - 1))
        expected = max(expected, end + 1)
    if expected <= last:
        holes.append((expected, last))
    return holes


def shown(ranges: Sequence[Range]) -> str:
    """ "3, 7..9, and 2 more"."""
    texts = [str(a) if a == b else f"{a}..{b}" for a, b in ranges[:_SHOWN]]
    more = len(ranges) - len(texts)
    return ", ".join(texts) + (f", and {more:,} more" if more else "")
