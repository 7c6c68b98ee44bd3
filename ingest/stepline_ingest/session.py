"""One stream after its Hello: which sequences were received, what they decode to, and when they are
handed to the committer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

import grpc

from stepline import _core
from stepline_ingest.budget import Budget, Exhausted
from stepline_ingest.errors import ServiceError, invalid, later
from stepline_ingest.gen.stepline.v1 import ingest_pb2
from stepline_ingest.items import Points, Reject, Sink
from stepline_ingest.limits import Limits
from stepline_ingest.metrics import Refusal, RejectReason, metrics
from stepline_ingest.names import RunNames, names_are_lost
from stepline_ingest.writers import Writer

log = logging.getLogger(__name__)

EXPANSION = 4
"""A batch is expected to take this many times its bytes once it is decoded; corrected then."""
INLINE_BYTES = 16 << 10
"""A batch up to this size is decoded at once: the way to a thread and back costs more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """What all sessions share."""

    limits: Limits
    budget: Budget
    decoders: Executor
    submit: Callable[[Points | Reject], None]


class Session:
    """Receives the batches of one writer in order. Knows nothing of gRPC."""

    def __init__(self, writer: Writer, names: RunNames, sink: Sink, pipeline: Pipeline) -> None:
        limits = pipeline.limits
        self._writer = writer
        self._names = names
        self._sink = sink
        self._pipeline = pipeline
        self._limits = limits
        self._account = pipeline.budget.account(writer.binding.tenant)
        self._received = writer.committed
        self._ended = False
        self._names_lost = False
        self._brought: list[tuple[int, str]] = []
        """Names of batches that were not needed themselves: the next one's to store."""
        self._decoder = _core.WriterSession(
            writer=writer.binding.writer,
            run=writer.binding.run,
            attempt=writer.binding.attempt,
            rank=writer.binding.rank,
            max_batch_bytes=limits.max_batch_bytes,
            max_batch_points=limits.max_batch_points,
            max_decoded_bytes=limits.max_decoded_bytes,
            max_name_bytes=limits.max_name_bytes,
            max_metrics=limits.max_metrics_per_run,
        )

    @property
    def received(self) -> int:
        """Everything up to here is stored or on its way."""
        return self._received

    @property
    def names_lost(self) -> bool:
        """A batch was rejected, and with it the names that it would have defined. Only a new stream
        brings them again, so nothing more is accepted."""
        return self._names_lost

    def end(self) -> None:
        """Nothing is handed over any more, not even what is being decoded."""
        self._ended = True

    def skip(self, last_seq: int, reason: str) -> None:
        """Records that the sequences up to LAST_SEQ will never come."""
        self._writer.enter(0)
        self._reject(RejectReason.LOST_BEFORE_UPLOAD, last_seq, reason, b"", nbytes=0, held=0)

    async def accept(self, message: ingest_pb2.Batch) -> bool:
        """Takes a batch; returns when there is room for the next one. False: all of it was known
        already.

        Raises ServiceError when the stream has to end. What can never be stored is rejected by way
        of the sink.
        """
        first, last = message.first_seq, message.last_seq
        columnar = message.WhichOneof("encoding") == "columnar"
        self._check_range(first, last)
        if not columnar and last <= self._received:
            metrics.repeated()
            return False
        data = message.columnar if columnar else message.plain.SerializeToString()
        nbytes = len(data)
        self._check_window(nbytes)
        metrics.received(nbytes=nbytes)
        self._writer.enter(nbytes)
        held = 0
        handed_over = False
        try:
            if nbytes > self._limits.max_batch_bytes:
                reason = (
                    f"the batch has {nbytes} bytes, {self._limits.max_batch_bytes} are allowed: "
                    "cut it"
                )
                head = data[: self._limits.max_rejected_bytes]
                del data
                await self._room(len(head))
                held = len(head)
                handed_over = self._reject(
                    RejectReason.TOO_LARGE, last, reason, head, nbytes=nbytes, held=held
                )
                self._lose_names(columnar, told=handed_over)
                return True
            expected = min(nbytes * EXPANSION, nbytes + self._limits.max_decoded_bytes)
            await self._room(expected)
            held = expected
            try:
                batch = await self._decode(columnar, first, last, data)
            except (_core.CoreError, _core.PanicException) as error:
                reason = self._judge(error, first, last)
                handed_over = self._reject(
                    RejectReason.UNDECODABLE, last, reason, data, nbytes=nbytes, held=held
                )
                columnar = columnar or isinstance(error, _core.PanicException)
                self._lose_names(columnar, told=handed_over)
                return True
            metrics.decoded(batch.points)
            if last <= self._received:
                metrics.repeated()
                self._brought += batch.new_metrics  # which later batches use
                return False
            new_metrics = [*self._brought, *batch.new_metrics]
            if not self._names.admit(new_metrics):
                reason = (
                    f"run {self._writer.binding.run_id} would have more than "
                    f"{self._limits.max_metrics_per_run} metrics: use fewer names"
                )
                handed_over = self._reject(
                    RejectReason.TOO_MANY_METRICS, last, reason, data, nbytes=nbytes, held=held
                )
                self._decoder.forget_names(batch)
                self._lose_names(columnar, told=handed_over)
                return True
            self._brought = []
            self._account.adjust(batch.nbytes - held)
            held = batch.nbytes
            handed_over = self._submit(
                Points(
                    writer=self._writer,
                    sink=self._sink,
                    account=self._account,
                    first_seq=max(first, self._received + 1),
                    last_seq=last,
                    nbytes=nbytes,
                    held=held,
                    batch=batch,
                    new_metrics=new_metrics,
                    names=self._names,
                )
            )
            return True
        finally:
            if not handed_over:
                self._account.release(held)
                self._writer.leave(nbytes)

    # --- checks ---

    def _check_range(self, first: int, last: int) -> None:
        if first < 1 or last < first:
            raise invalid(
                f"a batch of the sequences {first}..{last}: count from 1, the last above the first"
            )
        if last >= self._limits.max_seq:
            raise invalid(
                f"sequence {last}: sequences lie below {self._limits.max_seq}; begin a new writer"
            )
        if first > self._received + 1:
            raise invalid(
                f"a gap: the batch begins at sequence {first}, but {self._received} was the last "
                "one received; "
                f"send from {self._received + 1} on, or open a stream with lost_before_upload when "
                "they are lost",
                refusal=Refusal.SEQUENCE,
            )

    def _check_window(self, nbytes: int) -> None:
        writer, limits = self._writer, self._limits
        if (
            writer.inflight_batches >= limits.window_batches
            or writer.inflight_bytes + nbytes > limits.window_bytes + limits.max_batch_bytes
        ):
            raise ServiceError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"more is unacknowledged than the window of Welcome allows "
                f"({limits.window_batches} batches, "
                f"{limits.window_bytes} bytes): wait for acks before sending more",
                refusal=Refusal.WINDOW,
            )

    def _judge(self, error: _core.CoreError | _core.PanicException, first: int, last: int) -> str:
        """Why the batch is rejected. Raises ServiceError when it deserves another chance."""
        label = f"batch {first}..{last} of {self._writer.binding.label}"
        if isinstance(error, _core.PanicException):
            return f"the decoder cannot cope with it, which is a fault of the service: {error}"
        if error.kind == "unsupported":
            raise ServiceError(grpc.StatusCode.UNIMPLEMENTED, f"{label}: {error}") from error
        expected = self._received + 1
        if error.kind == "corrupt" and self._writer.suspect != expected and last >= expected:
            self._writer.suspect = expected
            log.warning("%s arrived damaged and is asked for again: %s", label, error)
            raise later(
                f"{label} arrived damaged, send it again: {error}",
                after=0.1,
                refusal=Refusal.DAMAGED,
            ) from error
        return str(error)

    # --- the way of a batch ---

    async def _room(self, nbytes: int) -> None:
        """Waits for its turn. Raises ServiceError when the line is too long."""
        try:
            await self._account.acquire(nbytes)
        except Exhausted as full:
            raise later(
                f"{full}; nothing is lost, send again later what was not acknowledged",
                after=2.0,
                refusal=Refusal.OVERLOADED,
            ) from full

    async def _decode(self, columnar: bool, first: int, last: int, data: bytes) -> _core.Batch:
        decode = self._decoder.decode_columnar if columnar else self._decoder.decode_plain
        if len(data) <= INLINE_BYTES:
            return decode(first, last, data)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pipeline.decoders, decode, first, last, data)

    def _reject(
        self,
        cause: RejectReason,
        last: int,
        reason: str,
        payload: bytes,
        *,
        nbytes: int,
        held: int,
    ) -> bool:
        if last <= self._received:
            return False
        first = self._received + 1
        log.error(
            "batch %d..%d of %s is rejected: %s", first, last, self._writer.binding.label, reason
        )
        return self._submit(
            Reject(
                writer=self._writer,
                sink=self._sink,
                account=self._account,
                first_seq=first,
                last_seq=last,
                nbytes=nbytes,
                held=held,
                cause=cause,
                reason=reason,
                payload=payload,
            )
        )

    def _lose_names(self, columnar: bool, *, told: bool) -> None:
        """A batch is passed over that may have defined names. TOLD: the sink will hear of it."""
        self._names_lost = columnar
        if columnar and not told:
            raise names_are_lost()

    def _submit(self, item: Points | Reject) -> bool:
        if self._ended:
            return False
        self._received = item.last_seq
        self._pipeline.submit(item)
        return True
