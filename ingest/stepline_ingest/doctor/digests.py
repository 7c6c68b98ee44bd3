"""What is stored of one writer, as checksums over ranges of sequences: the service's half of
`stepline verify`. The words are in proto/stepline/v1/audit.proto, the other half in
rust/core/src/digest.rs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stepline_ingest.errors import ServiceError, invalid
from stepline_ingest.gen.stepline.v1 import audit_pb2, ingest_pb2
from stepline_ingest.query.select import plain, select
from stepline_ingest.store.contract import Param, Setting, Store
from stepline_ingest.writers import Binding

from .expired import read_expired

MAX_RANGES = 4_096
MAX_METRICS = 1_000_000

_BYTES = ", ".join(
    f"reinterpretAsFixedString({column})"
    for column in ("seq", "metric", "step", "toUnixTimestamp64Milli(time)", "value")
)
POINT_HASH = f"sipHash64(concat({_BYTES}))"

_OF_WRITER = (
    "run = {run:UInt64}",
    "attempt = {attempt:UInt32}",
    "rank = {rank:UInt32}",
    "writer = {writer:UInt128}",
)
_PLACE_OF_WRITER = " AND ".join(_OF_WRITER)
_SPAN = (*_OF_WRITER, "seq BETWEEN {first:UInt64} AND {last:UInt64}")
_NUMBERS = {"points": "count()", "sequences": "groupBitmap(seq)", "total": f"sum({POINT_HASH})"}
_BY_RANGE = select(
    {"place": "intDiv(seq - {first:UInt64}, {width:UInt64})", **_NUMBERS},
    "raw_points",
    where=_SPAN,
    group_by=("place",),
    order_by=("place",),
)
_BY_METRIC = select(
    {"metric": "metric", **_NUMBERS},
    "raw_points",
    where=_SPAN,
    group_by=("metric",),
    order_by=("metric",),
    limit=MAX_METRICS,
)
_REJECTS = select(
    {**plain("first_seq"), "last": "max(last_seq)", "why": "any(reason)"},
    "raw_rejects",
    where=_OF_WRITER,
    group_by=("first_seq",),
    order_by=("first_seq",),
    limit=100_000,
)
_STORED = select({"mark": "max(seq)"}, "raw_points", where=_OF_WRITER)
_WRITERS = select(
    {**plain("attempt", "rank", "writer")},
    "raw_writers",
    where=["run = {run:UInt64}"],
    group_by=("attempt", "rank", "writer"),
    order_by=("attempt", "rank", "writer"),
    limit=1_000_000,
)


_WIDEST = 1 << 62
"""Wide enough for all sequences; the engine takes twice of it for a negative number."""


@dataclass(frozen=True, slots=True)
class Span:
    """Which sequences, cut how."""

    first: int
    last: int
    width: int
    by_metric: bool

    @classmethod
    def of(cls, request: audit_pb2.WriterDigestsRequest) -> Span:
        """Raises ServiceError(INVALID_ARGUMENT)."""
        first, last, width = request.first_seq, request.last_seq, request.width
        if first <= last:
            if first < 1:
                raise invalid("first_seq is 0: sequences count from 1")
            if not width:
                raise invalid("width is 0: say how many sequences a range has")
            ranges = (last - first) // width + 1
            if ranges > (1 if request.by_metric else MAX_RANGES):
                raise invalid(
                    f"the sequences {first}..{last} in ranges of {width} are {ranges} ranges, "
                    f"{1 if request.by_metric else MAX_RANGES} are possible: take wider ones"
                )
        return cls(first, last, width, request.by_metric)


def read_digests(
    store: Store, place: Binding, span: Span, limits: Mapping[str, Setting]
) -> audit_pb2.WriterDigestsReply:
    """The answer for one writer. Blocks; raises StoreError."""
    settings: dict[str, Setting] = {**limits, "optimize_use_projections": 0}
    return store.expired.settled(lambda _: _read_digests(store, place, span, settings, limits))


def _read_digests(
    store: Store,
    place: Binding,
    span: Span,
    settings: Mapping[str, Setting],
    limits: Mapping[str, Setting],
) -> audit_pb2.WriterDigestsReply:
    params: dict[str, Param] = {
        "run": place.run,
        "attempt": place.attempt,
        "rank": place.rank,
        "writer": int.from_bytes(place.writer, "big"),
    }
    digests: list[audit_pb2.Digest] = []
    if span.first <= span.last:
        asked = {**params, "first": span.first, "last": span.last}
        if span.by_metric:
            for metric, points, sequences, total in store.query(_BY_METRIC, asked, settings):
                digests.append(_digest(span.first, points, sequences, total, metric))
        else:
            asked["width"] = min(span.width, _WIDEST)
            for number, points, sequences, total in store.query(_BY_RANGE, asked, settings):
                first = span.first + int(str(number)) * span.width
                digests.append(_digest(first, points, sequences, total, 0))
    # After the points: what is stored meanwhile lies above them.
    expired = read_expired(store, _PLACE_OF_WRITER, params, limits)
    ((highest,),) = store.query(_STORED, params, limits)
    rejected = [
        ingest_pb2.Rejected(first_seq=int(str(a)), last_seq=int(str(b)), reason=str(why)[:1024])
        for a, b, why in store.query(_REJECTS, params, limits)
    ]
    ends = [*(reject.last_seq for reject in rejected), *(last for _, last in expired)]
    mark = max([int(str(highest)), *ends])
    return audit_pb2.WriterDigestsReply(
        attempt=place.attempt,
        rank=place.rank,
        committed_seq=mark,
        digests=digests,
        rejected=rejected,
        expired=[audit_pb2.SequenceRange(first_seq=a, last_seq=b) for a, b in expired],
    )


def read_writers(
    store: Store, run: int, limits: Mapping[str, Setting]
) -> list[audit_pb2.WriterPlace]:
    """All writers of a run. Blocks; raises StoreError."""
    return [
        audit_pb2.WriterPlace(
            writer=int(str(writer)).to_bytes(16, "big"),
            attempt=int(str(attempt)),
            rank=int(str(rank)),
        )
        for attempt, rank, writer in store.query(_WRITERS, {"run": run}, limits)
    ]


def unknown_writer(writer: bytes, run_id: str) -> ServiceError:
    """NOT_FOUND, for a writer that never said Hello."""
    import grpc

    return ServiceError(
        grpc.StatusCode.NOT_FOUND,
        f"writer {writer.hex()} of run {run_id} is not known here: nothing of it was ever sent; "
        "`stepline sync` sends what waits in a spool",
    )


def _digest(
    first: int, points: object, sequences: object, total: object, metric: object
) -> audit_pb2.Digest:
    return audit_pb2.Digest(
        first_seq=first,
        metric=int(str(metric)),
        points=int(str(points)),
        sequences=int(str(sequences)),
        sum=int(str(total)),
    )
