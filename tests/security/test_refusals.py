"""Promise: whoever is refused is told by the code of the protocol, and by a message that ends with
what to do; and each refusal is counted under its reason."""

from __future__ import annotations

import ast
import gc
import re
import threading
import time
import urllib.error
import urllib.request
import uuid
import weakref
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import grpc
import pytest

import stepline_ingest
from stepline_ingest import errors
from stepline_ingest.access import Guard, Scope
from stepline_ingest.answering import answered
from stepline_ingest.budget import Budget
from stepline_ingest.errors import ServiceError, abort, invalid
from stepline_ingest.gen.stepline.v1 import ingest_pb2, ingest_pb2_grpc, runs_pb2, runs_pb2_grpc
from stepline_ingest.limits import Limits
from stepline_ingest.metrics import Metrics, Name, Refusal, metrics
from stepline_ingest.metrics.calls import CallMeter
from stepline_ingest.push import IngestService
from stepline_ingest.store.errors import StoreError
from tests.security.conftest import Guarded
from tests.support.connect_http import call
from tests.support.memory_store import MemoryStore
from tests.support.writers import FAST, Process, binding, columnar, damaged, plain

# --- over the wire ---


@dataclass(frozen=True)
class Told:
    """What somebody heard: a code of gRPC, or a status of HTTP, and the message."""

    code: str
    text: str


class Asker:
    """Calls of one test, in a project of its own."""

    def __init__(self, service: Guarded) -> None:
        self.service = service
        self.project = f"refused-{uuid.uuid4().hex[:8]}"
        self.key = service.key("ingest", self.project)
        self.run_id = f"{self.project}-run"
        self._channel = grpc.insecure_channel(service.grpc)
        self.runs = runs_pb2_grpc.RunsStub(self._channel)
        self._ingest = ingest_pb2_grpc.IngestStub(self._channel)

    def close(self) -> None:
        self._channel.close()

    def with_key(self, key: str) -> list[tuple[str, str]]:
        return [("authorization", f"Bearer {key}")]

    def create(self, **more: Any) -> None:
        request = runs_pb2.CreateRunRequest(
            run_id=self.run_id,
            project=self.project,
            writer=uuid.uuid4().bytes,
            launch_id=uuid.uuid4().hex,
            **more,
        )
        self.runs.CreateRun(request, metadata=self.with_key(self.key))

    def hello(self, **more: Any) -> ingest_pb2.PushRequest:
        given = {"writer": uuid.uuid4().bytes, "epoch": 1, "first_unacknowledged": 1} | more
        return ingest_pb2.PushRequest(
            hello=ingest_pb2.Hello(run_id=self.run_id, attempt=1, **given)
        )

    def push(self, *messages: ingest_pb2.PushRequest) -> None:
        """One stream, until it ends."""
        for _ in self._ingest.Push(iter(messages), metadata=self.with_key(self.key)):
            pass

    def push_beside(self, first: ingest_pb2.PushRequest, second: ingest_pb2.PushRequest) -> None:
        """The second stream is begun while the first one is open."""
        over = threading.Event()

        def requests() -> Iterator[ingest_pb2.PushRequest]:
            yield first
            over.wait(60)

        replies = self._ingest.Push(requests(), metadata=self.with_key(self.key))
        try:
            assert next(replies).WhichOneof("kind") == "welcome"
            self.push(second)
        finally:
            over.set()
            replies.cancel()


def batch_of(batch: ingest_pb2.Batch) -> ingest_pb2.PushRequest:
    return ingest_pb2.PushRequest(batch=batch)


def told(provoke: Callable[[], Any]) -> Told:
    try:
        answer = provoke()
    except grpc.RpcError as error:
        return Told(error.code().name, error.details())
    except urllib.error.HTTPError as error:
        with error:
            return Told(str(error.code), error.read().decode())
    assert isinstance(answer, Told), f"nothing was refused: {answer!r}"
    return answer


def no_hello(asker: Asker) -> None:
    asker.push(batch_of(plain(1, 3)))


def a_gap(asker: Asker) -> None:
    asker.create()
    asker.push(asker.hello(), batch_of(columnar(5, 6)))


def a_message_beyond_the_limit(asker: Asker) -> Told:
    body = b'{"x": "' + b" " * (9 << 20) + b'"}'
    headers = {"Authorization": f"Bearer {asker.service.admin}"}
    answer = call(asker.service.http, "Runs/ListRuns", body=body, **headers)
    return Told(str(answer.status), answer.data.decode())


def an_unknown_run(asker: Asker) -> None:
    request = runs_pb2.GetRunRequest(run_id="nobody-has-this")
    asker.runs.GetRun(request, metadata=asker.with_key(asker.service.admin))


def an_id_that_is_taken(asker: Asker) -> None:
    asker.create()
    asker.create(resume=runs_pb2.RESUME_NEVER)


def a_run_that_lives(asker: Asker) -> None:
    asker.create()
    asker.create(resume=runs_pb2.RESUME_ALLOW)


def a_deleted_run(asker: Asker) -> None:
    asker.create()
    request = runs_pb2.DeleteRunRequest(run_id=asker.run_id)
    asker.runs.DeleteRun(request, metadata=asker.with_key(asker.key))
    asker.push(asker.hello())


def an_older_epoch(asker: Asker) -> None:
    asker.create()
    writer = uuid.uuid4().bytes
    asker.push_beside(asker.hello(writer=writer, epoch=2), asker.hello(writer=writer, epoch=1))


def sequences_that_nobody_has(asker: Asker) -> None:
    asker.create()
    asker.push(asker.hello(first_unacknowledged=10))


def a_flipped_byte(asker: Asker) -> None:
    asker.create()
    asker.push(asker.hello(), batch_of(damaged(1, 3)))


def no_key(asker: Asker) -> None:
    asker.runs.ListRuns(runs_pb2.ListRunsRequest())


def another_scope(asker: Asker) -> None:
    asker.key = asker.service.key("read", asker.project)
    asker.create()


def a_query_without_end(asker: Asker) -> None:
    query = "query=SELECT+groupArray(number)+FROM+numbers(10000000)&max_memory_usage=1000000"
    request = urllib.request.Request(
        f"http://{asker.service.sql}/?{query}", headers={"X-ClickHouse-Key": asker.service.admin}
    )
    urllib.request.urlopen(request, timeout=60).close()


def an_unknown_method(asker: Asker) -> Told:
    headers = {"Authorization": f"Bearer {asker.service.admin}"}
    answer = call(asker.service.http, "Runs/Invented", **headers)
    return Told(str(answer.status), answer.data.decode())


WIRE: dict[Refusal, tuple[Callable[[Asker], Any], str, str]] = {
    Refusal.INVALID: (no_hello, "INVALID_ARGUMENT", "say Hello first"),
    Refusal.SEQUENCE: (a_gap, "INVALID_ARGUMENT", "send from 1 on"),
    Refusal.TOO_LARGE: (a_message_beyond_the_limit, "429", "send less at a time"),
    Refusal.NOT_FOUND: (an_unknown_run, "NOT_FOUND", "`stepline runs`"),
    Refusal.CONFLICT: (an_id_that_is_taken, "ALREADY_EXISTS", "pass resume='allow'"),
    Refusal.LIVE: (a_run_that_lives, "ABORTED", "on_live='take_over'"),
    Refusal.DELETED: (a_deleted_run, "FAILED_PRECONDITION", "begin a run with another id"),
    Refusal.FENCED: (an_older_epoch, "ABORTED", "leave the writer to it"),
    Refusal.DATA_LOSS: (sequences_that_nobody_has, "DATA_LOSS", "say Hello with lost_before_up"),
    Refusal.DAMAGED: (a_flipped_byte, "UNAVAILABLE", "send it again"),
    Refusal.UNAUTHENTICATED: (no_key, "UNAUTHENTICATED", "set STEPLINE_API_KEY"),
    Refusal.DENIED: (another_scope, "PERMISSION_DENIED", "`stepline key create --scope ingest`"),
    Refusal.QUERY_LIMIT: (a_query_without_end, "500", "ask for less at a time"),
    Refusal.UNSUPPORTED: (an_unknown_method, "404", "their names are in proto/"),
}


@pytest.mark.parametrize("reason", WIRE, ids=lambda reason: reason.value)
def test_a_refusal_over_the_wire(guarded: Guarded, reason: Refusal) -> None:
    provoke, code, remedy = WIRE[reason]
    asker = Asker(guarded)
    before = guarded.counted("stepline_refusals_total", reason.value)
    try:
        heard = told(lambda: provoke(asker))
    finally:
        asker.close()
    assert (heard.code, remedy in heard.text) == (code, True), heard
    assert guarded.counted("stepline_refusals_total", reason.value) == before + 1


@pytest.mark.parametrize("method", ["Runs/GetRun", "Query/Export", "Ingest/Push"])
def test_what_is_no_message_is_refused(guarded: Guarded, method: str) -> None:
    """Not with UNKNOWN, after which clients try again, and without the name of a class."""
    asker = Asker(guarded)
    asker.create()
    before = guarded.counted("stepline_refusals_total", Refusal.INVALID.value)
    with grpc.insecure_channel(guarded.grpc) as channel:
        call = channel.stream_stream(f"/stepline.v1.{method}")
        with pytest.raises(grpc.RpcError) as caught:
            list(call(iter([b"\xff\xff"]), metadata=asker.with_key(guarded.admin), timeout=60))
    asker.close()
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert ".proto files" in caught.value.details()
    assert guarded.counted("stepline_refusals_total", Refusal.INVALID.value) == before + 1


def test_a_request_without_a_message_is_refused(guarded: Guarded) -> None:
    with grpc.insecure_channel(guarded.grpc) as channel:
        call = channel.stream_stream("/stepline.v1.Runs/GetRun")
        metadata = [("authorization", f"Bearer {guarded.admin}")]
        with pytest.raises(grpc.RpcError) as caught:
            list(call(iter([]), metadata=metadata, timeout=60))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_who_hangs_up_before_its_message_is_refused_nothing(guarded: Guarded) -> None:
    before = guarded.counted("stepline_refusals_total", Refusal.INVALID.value)
    metadata = [("authorization", f"Bearer {guarded.admin}")]
    more = threading.Event()
    with grpc.insecure_channel(guarded.grpc) as channel:
        method = channel.stream_unary("/stepline.v1.Query/ListMetrics")
        calls = [method.future(iter(more.wait, True), metadata=metadata) for _ in range(5)]
        time.sleep(0.5)
        for call in calls:
            call.cancel()
        time.sleep(1.0)
        more.set()
    assert guarded.counted("stepline_refusals_total", Refusal.INVALID.value) == before


@pytest.mark.parametrize(
    ("method", "size", "most"),
    [("Runs/Heartbeat", 1 << 20, "1,048,576"), ("Live/Watch", 2 << 20, "2,097,152")],
)
def test_a_request_larger_than_its_call_takes(
    guarded: Guarded, method: str, size: int, most: str
) -> None:
    """One byte decides; what is at the limit is parsed."""
    metadata = [("authorization", f"Bearer {guarded.admin}")]
    before = guarded.counted("stepline_refusals_total", Refusal.TOO_LARGE.value)
    heard = []
    with grpc.insecure_channel(guarded.grpc) as channel:
        call = channel.stream_stream(f"/stepline.v1.{method}")
        for data in (b"\x0a\x00" * (size // 2), b"\x0a\x00" * (size // 2) + b"\x10"):
            with pytest.raises(grpc.RpcError) as caught:
                list(call(iter([data]), metadata=metadata, timeout=60))
            heard.append((caught.value.code().name, caught.value.details()))
    assert [code for code, _ in heard] == ["INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"]
    assert heard[1][1] == (
        f"the message has {size + 1:,} bytes, this call takes {most}: send less at a time"
    )
    assert guarded.counted("stepline_refusals_total", Refusal.TOO_LARGE.value) == before + 1


# --- what takes a broken or a busy service ---


class Aborted(grpc.aio.AbortError):
    pass


class Context:
    """A call, as a handler sees it."""

    def __init__(self, request: object = None) -> None:
        self.heard: Told | None = None
        self._requests = [request]

    async def read(self) -> object:
        return self._requests.pop()

    def code(self) -> None:
        return None

    async def abort(
        self, code: grpc.StatusCode, details: str = "", metadata: object = ()
    ) -> NoReturn:
        self.heard = Told(code.name, details)
        raise Aborted


async def a_service_that_starts(context: Context) -> None:
    await Guard(required=True).admit("a key", Scope.READ)


async def a_service_that_stops(context: Context) -> None:
    process = Process(MemoryStore())
    service = IngestService(
        writers=process.writers, names=process.names, pipeline=process.pipeline, bind=_nobody
    )
    await service.drain()
    await service.Push(_nothing(), context)


async def a_store_that_fails(context: Context) -> None:
    class Runs:
        @answered
        async def GetRun(self, request: object) -> None:
            raise StoreError("no answer")

    await Runs().GetRun(None, context)


async def a_window_that_is_full(context: Context) -> None:
    await _push_to(Process(MemoryStore(), replace(FAST, window_batches=0)))


async def a_service_without_room(context: Context) -> None:
    process = Process(MemoryStore())
    process.pipeline = replace(process.pipeline, budget=Budget(1, max_waiting=0))
    other = process.pipeline.budget.account("other")
    await other.acquire(1)
    await _push_to(process)


async def a_fault(context: Context) -> None:
    async def handler(request: object, context: object) -> None:
        raise KeyError("the inside of the service")

    async def continuation(details: object) -> Any:
        return grpc.unary_unary_rpc_method_handler(handler)

    class Details:
        method = "/stepline.v1.Runs/GetRun"

    meter = CallMeter(Metrics(), Limits())
    wrapped = await meter.intercept_service(continuation, Details())  # type: ignore[arg-type]
    await wrapped.stream_unary(None, context)


async def _push_to(process: Process) -> None:
    async with process:
        stream = await process.open(binding())
        assert stream.session is not None
        await stream.session.accept(columnar(1, 3))


async def _ended(provoke: Callable[[Context], Awaitable[None]], context: Context) -> None:
    try:
        await provoke(context)
    except ServiceError as error:  # what a handler lets out ends its call
        await abort(context, error)


async def _nobody(hello: ingest_pb2.Hello) -> NoReturn:
    raise AssertionError("nobody says Hello")


async def _nothing() -> Any:
    return
    yield


INSIDE: dict[Refusal, tuple[Callable[[Context], Awaitable[None]], str, str]] = {
    Refusal.STARTING: (a_service_that_starts, "UNAVAILABLE", "try again later"),
    Refusal.STOPPING: (a_service_that_stops, "UNAVAILABLE", "come back when it runs again"),
    Refusal.STORE_FAILS: (a_store_that_fails, "UNAVAILABLE", "try again later"),
    Refusal.WINDOW: (a_window_that_is_full, "RESOURCE_EXHAUSTED", "wait for acks"),
    Refusal.OVERLOADED: (a_service_without_room, "UNAVAILABLE", "send again later"),
    Refusal.INTERNAL: (a_fault, "INTERNAL", "report it"),
}


@pytest.mark.parametrize("reason", INSIDE, ids=lambda reason: reason.value)
async def test_a_refusal_of_a_service_in_trouble(reason: Refusal) -> None:
    provoke, code, remedy = INSIDE[reason]
    context = Context()
    before = metrics.value(Name.REFUSALS, reason.value)
    with pytest.raises(Aborted):
        await _ended(provoke, context)
    assert context.heard is not None
    assert (context.heard.code, remedy in context.heard.text) == (code, True), context.heard
    assert "inside" not in context.heard.text
    assert metrics.value(Name.REFUSALS, reason.value) == before + 1


class Request:
    """Of many megabytes."""


class Held(Context):
    """A call whose refusal is told late: when it is, nobody has its request any more."""

    def __init__(self) -> None:
        request = Request()
        self.request = weakref.ref(request)
        super().__init__(request)
        self.kept: list[str] = []

    async def hold_back(self, *_: object, **__: object) -> None:
        request = self.request()
        if request is not None:
            self.kept = [str(type(keeper)) for keeper in gc.get_referrers(request)]


class Servicer:
    @answered
    async def unary(self, request: Request) -> None:
        try:
            await self._deeper(request)
        except ValueError as error:
            raise invalid("it is none: send another one") from error

    async def stream(self, request: Request, context: Context) -> Any:
        try:
            yield 1
            await self._deeper(request)
        except ValueError:
            await abort(context, invalid("it is none: send another one"))

    async def _deeper(self, request: Request) -> None:
        raise ValueError(id(request))


async def test_a_request_is_let_go_before_its_refusal_is_held_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Details:
        method = "/stepline.v1.Runs/GetRun"

    async def measured(handler: Any) -> Any:
        async def continuation(details: object) -> Any:
            return handler

        meter = CallMeter(Metrics(), Limits())
        return await meter.intercept_service(continuation, Details())  # type: ignore[arg-type]

    unary = await measured(grpc.unary_unary_rpc_method_handler(Servicer().unary))
    stream = await measured(grpc.unary_stream_rpc_method_handler(Servicer().stream))

    async def ask(context: Context) -> None:
        await unary.stream_unary(None, context)

    async def watch(context: Context) -> None:
        async for _ in stream.stream_stream(None, context):
            pass

    for provoke in (ask, watch):
        context = Held()
        monkeypatch.setattr(errors, "hold_back", context.hold_back)
        with pytest.raises(Aborted):
            await provoke(context)
        assert context.heard == Told("INVALID_ARGUMENT", "it is none: send another one")
        assert context.kept == []


def test_every_reason_is_provoked_here() -> None:
    assert set(WIRE) | set(INSIDE) == set(Refusal)


# --- the words ---


def words(node: ast.expr) -> str | None:
    """The text of a message as far as it is written down; X for what is put in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(words(value) or "X" for value in node.values)
    return None


def messages() -> Iterator[tuple[str, str]]:
    """(place, message) of everything that is refused with words of its own."""
    root = Path(stepline_ingest.__file__).parent
    for path in sorted(root.rglob("*.py")):
        if "gen" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                at = {"ServiceError": 1, "invalid": 0, "later": 0, "refused": 1}.get(node.func.id)
                message = words(node.args[at]) if at is not None and at < len(node.args) else None
                if message is not None:
                    yield f"{path.relative_to(root)}:{node.lineno}", message


def test_what_is_wrong_is_followed_by_what_to_do() -> None:
    """In two words or more, or in a text that is put in."""
    found = list(messages())
    assert len(found) > 100
    silent = [f"{at}: {text}" for at, text in found if not re.search(r"[:;,] (X|\S+ \S+)", text)]
    assert silent == []
