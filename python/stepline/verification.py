"""Comparing what lies in a spool with what the service has stored, by checksums of ranges of
sequences. No point travels: both sides compute, `docs/protocol.md` says how.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

from . import _core, receipts
from .receipts import Receipt

Range = tuple[int, int]
"""First and last sequence."""
Outcome = Literal["equal", "different", "incomplete", "counted", "unknown"]

_FAN_OUT = 256
"""Ranges that are compared at a time; the first that differs is cut again."""


class Digester(Protocol):
    """What a comparison needs of the service; `_core.Connection` has it."""

    def writer_digests(
        self,
        run_id: str,
        writer: bytes,
        first_seq: int,
        last_seq: int,
        width: int,
        *,
        by_metric: bool = False,
    ) -> _core.WriterDigests: ...


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Where two copies of the same points part."""

    first_seq: int
    """The first sequence that differs."""
    last_seq: int
    """Up to here is what was compared in one range and differs somewhere."""
    metrics: tuple[str, ...]
    """That differ at first_seq."""
    here: int
    """Points at first_seq in the spool."""
    there: int
    """Points at first_seq at the service."""
    exact: bool = True
    """False when only checksums are left here: then nothing is known but the range, and the points
    are those of all of it."""

    @property
    def text(self) -> str:
        """For people."""
        if not self.exact:
            return (
                f"something in the sequences {self.first_seq}..{self.last_seq} is not stored as it "
                f"was sent ({self.here:,} points sent, {self.there:,} stored): `stepline doctor` "
                "looks for what the store alone can tell"
            )
        names = ", ".join(self.metrics[:5]) + (", .." if len(self.metrics) > 5 else "")
        if self.there == 0:
            what = "is not stored, though it was acknowledged"
        elif self.here == 0:
            what = "is stored, but is not in the spool"
        elif self.here != self.there:
            what = f"has {self.here} points here and {self.there} at the service"
        else:
            what = "has other contents at the service"
        more = f" (more may follow up to {self.last_seq})" if self.last_seq > self.first_seq else ""
        return f"sequence {self.first_seq}{f' ({names})' if names else ''} {what}{more}"


@dataclass(kw_only=True)
class Verdict:
    """What came of one writer. Counts are sequences, which are calls of log()."""

    writer: str
    run_id: str
    rank: int
    path: str = ""
    """The spool; empty when there is none here any more."""
    outcome: Outcome = "equal"
    """equal: all that is here is stored, bit for bit. incomplete: some of it is not stored yet, or
    was lost. counted: nothing is here to compare all of it by, but the service has every sequence.
    unknown: it could not be checked."""
    compared: int = 0
    """With the points themselves, or with the receipt of those that were deleted here."""
    points: int = 0
    """Points compared, all metrics together."""
    expired: int = 0
    """Stored, and expired since: only rollups are kept of them, so they are counted."""
    freed: int = 0
    """Acknowledged and deleted here, without a receipt: counted at the service, not compared."""
    unsent: int = 0
    beyond: int = 0
    """Stored by the service, but not in this copy of the spool."""
    rejected: list[tuple[int, int, str]] = field(default_factory=list)
    """(first, last, reason) as the service recorded it."""
    lost: list[Range] = field(default_factory=list)
    """Logged, but neither readable here nor stored."""
    differences: list[Difference] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """An object of `stepline verify --json`."""
        return asdict(self)


def verify_spool(
    path: str, service: Digester, *, progress: Callable[[int], None] = lambda _: None
) -> Verdict | None:
    """Compares the spool at PATH with SERVICE; None when it is gone by now.

    PROGRESS is called with the number of sequences that are dealt with. Raises CoreError.
    """
    status = _core.spool_status(path)
    if status is None:
        return None
    verdict = Verdict(
        writer=status["writer"], run_id=status["run_id"], rank=status["rank"], path=path
    )
    if not status["run_id"]:
        verdict.outcome = "unknown"
        verdict.notes.append(status["error"])
        return verdict
    first = _core.spool_first_seq(path)
    there = _There(service, status["run_id"], bytes.fromhex(status["writer"]))
    if not there.known:
        verdict.unsent = status["last_seq"]
        if verdict.unsent:
            verdict.outcome = "incomplete"
        return verdict
    verdict.rejected = there.rejected
    verdict.unsent = max(0, status["last_seq"] - there.mark)
    verdict.beyond = max(0, there.mark - status["last_seq"])
    _judge_freed(verdict, there, first - 1, receipts.of_spool(path))
    progress(first - 1)
    _compare(verdict, path, there, first, min(status["last_seq"], there.mark), progress)
    if verdict.differences:
        verdict.outcome = "different"
    elif verdict.unsent or verdict.lost:
        verdict.outcome = "incomplete"
    return verdict


def verify_count(
    run_id: str, writer: bytes, rank: int, service: Digester, receipt: Receipt | None = None
) -> Verdict:
    """Of a writer whose spool is not here: whether the service has each of its sequences, and has
    them as the RECEIPT says that they were.
    """
    there = _There(service, run_id, writer)
    verdict = Verdict(writer=writer.hex(), run_id=run_id, rank=rank, outcome="counted")
    verdict.rejected = there.rejected
    _judge_freed(verdict, there, there.mark, receipt)
    if verdict.differences:
        verdict.outcome = "different"
    elif verdict.lost:
        verdict.outcome = "incomplete"
    elif verdict.compared and not verdict.freed:
        verdict.outcome = "equal"
    return verdict


class _There:
    """What the service has of one writer."""

    def __init__(self, service: Digester, run_id: str, writer: bytes) -> None:
        self._service = service
        self._ids = (run_id, writer)
        self.known = True
        self.mark = 0
        self.rejected: list[tuple[int, int, str]] = []
        self.expired: list[Range] = []
        try:
            head = service.writer_digests(*self._ids, 1, 0, 1)
        except _core.RpcError as error:
            if error.code != "NOT_FOUND":
                raise
            self.known = False
            return
        self.mark, self.rejected = head["committed_seq"], head["rejected"]
        self.expired = merged(head["expired"])

    def ranges(self, first: int, last: int, width: int) -> dict[int, tuple[int, int, int]]:
        """(points, sequences, sum) by first sequence."""
        found = self._service.writer_digests(*self._ids, first, last, width)
        return {start: (points, seqs, total) for start, _, points, seqs, total in found["digests"]}

    def metrics(self, seq: int) -> dict[int, tuple[int, int, int]]:
        """The same of one sequence by metric id."""
        found = self._service.writer_digests(*self._ids, seq, seq, 1, by_metric=True)
        return {metric: (p, s, total) for _, metric, p, s, total in found["digests"]}

    def total(self, first: int, last: int) -> tuple[int, int]:
        """(points, sum) of the range."""
        found = self.ranges(first, last, last - first + 1).get(first, (0, 0, 0))
        return found[0], found[2]

    def sequences(self, first: int, last: int) -> int:
        """How many of these are stored, or were and have expired."""
        if first > last:
            return 0
        gone = sum(b - a + 1 for a, b in within(self.expired, first, last))
        return gone + sum(n for _, n, _ in self.ranges(first, last, last - first + 1).values())


def _judge_freed(verdict: Verdict, there: _There, last: int, receipt: Receipt | None) -> None:
    """What is not here any more must be there, stored or recorded as rejected; and stored as the
    receipt says, as far as there is one.
    """
    acknowledged = max((part.last for part in receipt.parts), default=0) if receipt else 0
    if acknowledged > there.mark:
        verdict.lost.append((there.mark + 1, acknowledged))
        verdict.notes.append(
            f"the service has nothing above sequence {there.mark}, though it acknowledged "
            f"{acknowledged}: was its store restored from a backup?"
        )
    last = max(0, min(last, there.mark))
    settled = merged((a, b) for a, b, _ in there.rejected)
    rejected = sum(b - a + 1 for a, b in within(settled, 1, last))
    missing = last - rejected - there.sequences(1, last)
    if missing > 0:
        verdict.lost.append((1, last))
        verdict.notes.append(
            f"{missing:,} of the sequences 1..{last} were acknowledged and freed here, and are not "
            "stored: `stepline doctor` says which"
        )
    compared = 0
    for part in receipt.parts if receipt else ():
        # of a part of which some was rejected, or has expired, the service can only have the rest
        if part.last > last or within(settled, part.first, part.last):
            continue
        if within(there.expired, part.first, part.last):
            continue
        compared += part.last - part.first + 1
        verdict.points += part.points
        points, total = there.total(part.first, part.last)
        if (points, total) != (part.points, part.sum):
            verdict.differences.append(
                Difference(
                    first_seq=part.first,
                    last_seq=part.last,
                    metrics=(),
                    here=part.points,
                    there=points,
                    exact=False,
                )
            )
    verdict.compared += compared
    verdict.freed = last - compared
    _note_expired(verdict, there)


def _note_expired(verdict: Verdict, there: _There) -> None:
    verdict.expired = sum(b - a + 1 for a, b in there.expired)
    if verdict.expired:
        verdict.notes.append(
            f"the points of {verdict.expired:,} calls have expired: they were stored, and only "
            "rollups of them are kept, so they are counted and not compared"
        )


def _compare(
    verdict: Verdict,
    path: str,
    there: _There,
    first: int,
    last: int,
    progress: Callable[[int], None],
) -> None:
    if first > last:
        return
    whole = _core.spool_digests(path, first, last, last - first + 1)
    verdict.notes += whole["damage"]
    rejected = merged((a, b) for a, b, _ in there.rejected)
    for a, b in whole["lost"]:
        for gap in subtracted((a, b), rejected):
            if there.sequences(*gap) < gap[1] - gap[0] + 1:
                verdict.lost.append(gap)
    for a, b in subtracted((first, last), merged([*whole["lost"], *rejected, *there.expired])):
        verdict.compared += b - a + 1
        found = _first_difference(path, there, a, b, verdict)
        if found is not None:
            verdict.differences.append(found)
        progress(b)


def _first_difference(
    path: str, there: _There, first: int, last: int, verdict: Verdict | None = None
) -> Difference | None:
    """Cuts the range, compares, and cuts the first part that differs, down to one sequence."""
    end = last
    while True:
        width = max(1, -(-(last - first + 1) // _FAN_OUT))
        found = _core.spool_digests(path, first, last, width)["ranges"]
        here = {start: (points, seqs, total) for start, points, seqs, total in found}
        stored = there.ranges(first, last, width)
        if verdict is not None:
            verdict.points += sum(points for points, _, _ in here.values())
            verdict = None
        differing = [s for s in sorted({*here, *stored}) if here.get(s) != stored.get(s)]
        if not differing:
            return None
        start = differing[0]
        if width == 1:
            return Difference(
                first_seq=start,
                last_seq=end if len(differing) > 1 or end > last else start,
                metrics=_metrics(path, there, start),
                here=here.get(start, (0, 0, 0))[0],
                there=stored.get(start, (0, 0, 0))[0],
            )
        end = min(end, differing[-1] + width - 1)
        first, last = start, min(start + width - 1, last)


def _metrics(path: str, there: _There, seq: int) -> tuple[str, ...]:
    found = _core.spool_digests(path, seq, seq, 1, by_metric=True)["metrics"]
    here = {_core.siphash64(name): (name, (p, s, total)) for name, p, s, total in found}
    stored = there.metrics(seq)
    names = [name for metric, (name, digest) in here.items() if stored.get(metric) != digest]
    return tuple(sorted(names) + [f"#{metric}" for metric in sorted(stored.keys() - here.keys())])


def merged(ranges: Iterable[Range]) -> list[Range]:
    """Sorted, with those that touch joined."""
    result: list[Range] = []
    for first, last in sorted(ranges):
        if result and first <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(result[-1][1], last))
        else:
            result.append((first, last))
    return result


def within(ranges: Iterable[Range], first: int, last: int) -> list[Range]:
    """What of RANGES lies in FIRST .. LAST."""
    return [(max(a, first), min(b, last)) for a, b in ranges if a <= last and b >= first]


def subtracted(whole: Range, holes: Iterable[Range]) -> list[Range]:
    """WHOLE without HOLES, which are merged."""
    first, last = whole
    rest = []
    for a, b in within(holes, first, last):
        if a > first:
            rest.append((first, a - 1))
        first = b + 1
    if first <= last:
        rest.append((first, last))
    return rest
