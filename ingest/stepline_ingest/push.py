"""The Push stream: Hello, Welcome, batches in, cumulative acks out. docs/protocol.md gives the
rules."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc

from stepline import _core
from stepline_ingest import access
from stepline_ingest.errors import ServiceError, abort, fault, invalid, later
from stepline_ingest.gen.stepline.v1 import ingest_pb2, ingest_pb2_grpc
from stepline_ingest.limits import MIB
from stepline_ingest.metrics import Refusal
from stepline_ingest.names import NamesRegistry, names_are_lost
from stepline_ingest.pace import catch_up, hold_back
from stepline_ingest.session import Pipeline, Session
from stepline_ingest.store.errors import StoreError
from stepline_ingest.wire import Malformed, malformed
from stepline_ingest.writers import Binding, Writer, Writers

log = logging.getLogger(__name__)

FAREWELL = 2.0
"""Seconds that a client gets to take its last replies while the service drains."""


class IngestService(ingest_pb2_grpc.IngestServicer):
    """stepline.v1.Ingest."""

    def __init__(
        self,
        *,
        writers: Writers,
        names: NamesRegistry,
        pipeline: Pipeline,
        bind: Callable[[ingest_pb2.Hello], Awaitable[Binding]],
        check: Callable[[Binding], None] = lambda place: None,
    ) -> None:
        """CHECK raises ServiceError when a stream that was bound may not begin any more."""
        self.writers = writers
        self.names = names
        self.pipeline = pipeline
        self.bind = bind
        self.check = check
        self._streams: set[PushStream] = set()
        self._draining = False

    @property
    def streams(self) -> int:
        return len(self._streams)

    def attempts(self) -> set[tuple[str, int]]:
        """The attempts that have a stream: run id and number."""
        places = [stream.place for stream in self._streams]
        return {(place.run_id, place.attempt) for place in places if place is not None}

    async def Push(
        self, request_iterator: AsyncIterator[ingest_pb2.PushRequest], context: Any
    ) -> None:
        stream = PushStream(self, context)
        self._streams.add(stream)
        try:
            await catch_up()
            if self._draining:
                raise _stopping()
            await stream.run()
            log.info("a stream of %s is done", stream.label, extra=stream.event("stream_closed"))
        except asyncio.CancelledError:
            log.info(
                "a stream of %s was hung up", stream.label, extra=stream.event("stream_closed")
            )
            raise
        except ServiceError as error:
            log.info(
                "a stream of %s ends: %s",
                stream.label,
                error,
                extra=stream.event("stream_closed", error),
            )
            refusals = 1 + stream.to_answer_for
            await abort(context, error, refusals=refusals, on_stream=stream.welcomed)
        except StoreError as error:
            log.warning(
                "a stream of %s ends, the store fails: %s",
                stream.label,
                error,
                extra=stream.event("stream_closed") | {"reason": Refusal.STORE_FAILS.value},
            )
            await abort(
                context, later(f"the store fails: {error}; nothing is lost, try again later")
            )
        finally:
            self._streams.discard(stream)
            stream.ended.set()

    async def recheck(self, check: Callable[[access.Key], Awaitable[None]]) -> None:
        """Ends the streams whose key is good no more: CHECK raises ServiceError for it."""
        for stream in list(self._streams):
            if stream.key is not None:
                try:
                    await check(stream.key)
                except ServiceError as error:
                    stream.fail(error)

    async def drain(self) -> None:
        """Lets no stream receive any more; returns when what they had received is settled and
        acknowledged."""
        self._draining = True
        for stream in list(self._streams):
            stream.drain()
        await asyncio.gather(*(stream.gone() for stream in list(self._streams)))


class PushStream:
    """One call of Push. It is the sink of its session: it turns what became of the batches into
    replies."""

    def __init__(self, service: IngestService, context: Any) -> None:
        self._service = service
        self._context = context
        self.key = access.caller()
        """What the stream was let in with; None where no key was asked for."""
        self._session: Session | None = None
        self._writer: Writer | None = None
        self._opening: asyncio.Task[bool] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._error: ServiceError | None = None
        self._draining = False
        self._acked = 0
        self._repeat_ack = False
        self._rejected: list[ingest_pb2.Rejected] = []
        self._hears = asyncio.Event()
        """The client takes its replies: not many rejections wait to be told."""
        self._hears.set()
        self.to_answer_for = 0
        """Rejections since the last pause for some; a large one counts once more for each MiB."""
        self._wake = asyncio.Event()
        """There may be something to say, or a reason to end."""
        self.ended = asyncio.Event()

    def event(self, name: str, error: ServiceError | None = None) -> dict[str, object]:
        """The keys of a line of the log."""
        keys: dict[str, object] = {"event": name}
        if self._writer is not None:
            place = self._writer.binding
            keys |= {
                "run": place.run_id,
                "rank": place.rank,
                "attempt": place.attempt,
                "writer": place.writer.hex(),
                "committed": self._writer.committed,
            }
        if error is not None:
            keys |= {"code": error.code.name, "reason": error.refusal.value}
        return keys

    @property
    def place(self) -> Binding | None:
        """Whose stream it is, once it has said so."""
        return self._writer.binding if self._writer is not None else None

    @property
    def welcomed(self) -> bool:
        return self._reading is not None

    @property
    def label(self) -> str:
        return self._writer.binding.label if self._writer is not None else "nobody yet"

    # --- what became of the batches: called by the committer and by the registry of writers ---

    def stored(self) -> None:
        self._wake.set()

    def rejected(self, first_seq: int, last_seq: int, reason: str, *, nbytes: int) -> None:
        self.to_answer_for += 1 + nbytes // MIB
        self._rejected.append(
            ingest_pb2.Rejected(first_seq=first_seq, last_seq=last_seq, reason=reason[:1024])
        )
        if len(self._rejected) >= self._service.pipeline.limits.window_batches:
            self._hears.clear()
        session = self._session
        if session is not None and session.names_lost and last_seq >= session.received:
            self.fail(names_are_lost())
        self._wake.set()

    def fail(self, error: ServiceError) -> None:
        if self._error is None:
            self._error = error
        if self._session is not None:
            self._session.end()
        if self._reading is not None:
            self._reading.cancel()
        self._wake.set()

    def drain(self) -> None:
        """Receives no more; what was received is still settled and acknowledged."""
        self._draining = True
        for task in (self._opening, self._reading):
            if task is not None:
                task.cancel()
        self._wake.set()

    async def gone(self) -> None:
        """Until it has ended. A client that takes no replies is not waited for, once nothing of it
        is in flight."""
        ended = asyncio.ensure_future(self.ended.wait())
        if self._writer is not None:
            settled = asyncio.ensure_future(self._writer.settled())
            await asyncio.wait({ended, settled}, return_when=asyncio.FIRST_COMPLETED)
            settled.cancel()
        await asyncio.wait({ended}, timeout=FAREWELL)
        ended.cancel()

    # --- the call ---

    async def run(self) -> None:
        """Until the client has said all; raises ServiceError when the stream has to end before."""
        try:
            if await self._opened():
                if self._draining:
                    raise _stopping()
                self._reading = asyncio.create_task(self._read())
                self._reading.add_done_callback(lambda _: self._wake.set())
                await self._reply()
        finally:
            if self._session is not None:
                self._session.end()
            try:
                if self._reading is not None:
                    await _cancel(self._reading)
            finally:
                if self._writer is not None:
                    self._service.writers.release(self._writer, self)

    async def _opened(self) -> bool:
        self._opening = asyncio.create_task(self._open())
        try:
            return await self._opening
        except asyncio.CancelledError:
            if self._draining and self._opening.cancelled():
                raise _stopping() from None
            await _cancel(self._opening)
            raise

    async def _open(self) -> bool:
        """Hello and Welcome. False when the client said nothing at all."""
        message = await self._next()
        if message is grpc.aio.EOF:
            return False
        if message.WhichOneof("kind") != "hello":
            raise invalid("the first message of a stream is not Hello: say Hello first")
        hello = message.hello
        binding = await self._service.bind(hello)
        self._writer = writer = await self._service.writers.claim(binding, hello.epoch, self)
        names = await self._service.names.open(binding.run)
        if self._error is not None:
            raise self._error  # fenced meanwhile: nothing more of it may be recorded
        self._session = session = Session(writer, names, self, self._service.pipeline)
        # From here on whoever deletes the run finds this stream, and ends it.
        self._service.check(binding)
        if hello.first_unacknowledged > writer.committed + 1:
            await self._skip_lost(session, writer, hello)
        await self._welcome(writer)
        log.info("a stream of %s begins", self.label, extra=self.event("stream_opened"))
        return True

    async def _skip_lost(self, session: Session, writer: Writer, hello: ingest_pb2.Hello) -> None:
        most = self._service.pipeline.limits.max_seq
        if hello.first_unacknowledged > most:
            raise invalid(
                f"first_unacknowledged is {hello.first_unacknowledged}: sequences lie below "
                f"{most}; begin a new writer"
            )
        lost = f"{writer.committed + 1}..{hello.first_unacknowledged - 1}"
        if not hello.lost_before_upload:
            raise ServiceError(
                grpc.StatusCode.DATA_LOSS,
                f"the sequences {lost} of {writer.binding.label} are not stored and the client "
                "cannot send them "
                "any more; to go on without them say Hello with lost_before_upload",
            )
        session.skip(
            hello.first_unacknowledged - 1, f"the sequences {lost} were lost before upload"
        )
        while writer.inflight_batches and self._error is None:
            self._wake.clear()
            await self._wake.wait()
        self._rejected.clear()  # Welcome tells it
        self.to_answer_for = 0
        if self._error is not None:
            raise self._error

    async def _welcome(self, writer: Writer) -> None:
        limits = self._service.pipeline.limits
        self._acked = writer.committed
        await self._say(
            welcome=ingest_pb2.Welcome(
                committed_seq=writer.committed,
                window_batches=limits.window_batches,
                window_bytes=limits.window_bytes,
                max_batch_bytes=limits.max_batch_bytes,
                max_batch_points=limits.max_batch_points,
            )
        )

    async def _read(self) -> None:
        """Batches, until the client has said all. An error is left for the other task, which ends
        the stream."""
        assert self._session is not None
        try:
            session = self._session
            while not session.names_lost:
                await self._hears.wait()
                message = await self._next()
                if message is grpc.aio.EOF:
                    break
                if message.WhichOneof("kind") != "batch":
                    raise invalid(
                        "only batches follow Hello: open another stream for another writer"
                    )
                if not await session.accept(message.batch):
                    self._repeat_ack = True
                    self._wake.set()
                if self.to_answer_for:
                    del message  # it may be large, and the pause long
                    refusals, self.to_answer_for = self.to_answer_for, 0
                    await hold_back(Refusal.INVALID, refusals, on_stream=True)
        except ServiceError as error:
            self.fail(_bare(error))
        except (Exception, _core.PanicException):
            log.exception("a stream of %s ends in an unforeseen way", self.label)
            self.fail(fault("the stream"))

    async def _next(self) -> Any:
        """A PushRequest, or EOF."""
        message = await self._context.read()
        if isinstance(message, Malformed):
            raise malformed()
        return message

    async def _reply(self) -> None:
        """Rejections and acks, until the stream has failed or everything received is settled and
        nothing more will come."""
        assert self._writer is not None
        assert self._reading is not None
        while True:
            await self._wake.wait()
            self._wake.clear()
            finished = self._reading.done() and not self._writer.inflight_batches
            await self._flush()
            if self._error is not None:
                raise self._error
            if finished:
                if self._draining:
                    raise _stopping()
                return
            if self._reading.done() and not self._writer.inflight_batches:
                self._wake.set()

    async def _flush(self) -> None:
        assert self._writer is not None
        while self._rejected:
            await self._say(rejected=self._rejected.pop(0))
            self._hears.set()
        committed = self._writer.committed
        if committed > self._acked or self._repeat_ack:
            self._acked = committed
            self._repeat_ack = False
            await self._say(ack=ingest_pb2.Ack(committed_seq=committed))

    async def _say(self, **reply: Any) -> None:
        await self._context.write(ingest_pb2.PushReply(**reply))


def _bare(error: ServiceError) -> ServiceError:
    """Without the frames that it came from: it may be told late, and the batch is in them."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _stopping() -> ServiceError:
    return later("the service is stopping; come back when it runs again", refusal=Refusal.STOPPING)


async def _cancel(task: asyncio.Task[Any]) -> None:
    """Ends TASK and waits for it. Its errors were told elsewhere."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
