"""Promise: whatever strangers send to its ports, the service stays well, stays small, and an honest
writer beside them loses nothing.

Each attack speaks to real sockets. STEPLINE_FAULT_ROUNDS makes them longer; 10,000 idle connections
are opened where the system allows as many files.
"""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import struct
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import psutil
import pytest

import stepline
from stepline_ingest.gen.stepline.v1 import runs_pb2, runs_pb2_grpc
from tests.security.conftest import Guarded
from tests.support.processes import wait_until

ROUNDS = int(os.environ.get("STEPLINE_FAULT_ROUNDS", "0"))
LONG = ROUNDS > 0
BOMB_BYTES = 64 << 20
"""What any single message may cost in memory."""

FILES_OF_THE_ENGINE = 64
"""By so many the open files of a service rise and fall by themselves."""

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, CONTINUATION = 0, 1, 3, 4, 6, 9


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def literal(name: bytes, value: bytes) -> bytes:
    """A header in HPACK: literal, not indexed, no Huffman coding."""
    return b"\x00" + _length(name) + name + _length(value) + value


def _length(text: bytes) -> bytes:
    size = len(text)
    if size < 127:
        return bytes([size])
    out, size = b"\x7f", size - 127
    while size >= 128:
        out += bytes([size & 127 | 128])
        size >>= 7
    return out + bytes([size])


PUSH = b"".join(
    literal(*header)
    for header in (
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", b"/stepline.v1.Ingest/Push"),
        (b":authority", b"x"),
        (b"content-type", b"application/grpc"),
        (b"te", b"trailers"),
    )
)


def connect(place: str) -> socket.socket:
    host, port = place.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=30)


@contextlib.contextmanager
def http2(place: str) -> Iterator[socket.socket]:
    with connect(place) as sock:
        sock.sendall(PREFACE + frame(SETTINGS, 0, 0))
        yield sock


def send(sock: socket.socket, data: bytes) -> bool:
    """False when the other side has hung up, or takes no more."""
    try:
        sock.sendall(data)
    except OSError:
        return False
    return True


# --- the attacks: each returns when it has done its worst ---


def garbage(service: Guarded) -> None:
    noise = [b"\0" * 4096, os.urandom(4096), b"GET " + b"/" * 70_000, PREFACE + os.urandom(4096)]
    noise += [b"\x16\x03\x01" + os.urandom(512), b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"]
    for place in (service.grpc, service.http, service.sql):
        for data in noise:
            with connect(place) as sock:
                send(sock, data)


def header_flood(service: Guarded) -> None:
    for count in range(20 + ROUNDS):
        with http2(service.grpc) as sock:
            block = PUSH + b"".join(
                literal(b"x-%d-%d" % (count, n), b"v" * 4000) for n in range(100)
            )
            parts = [block[at : at + 16_000] for at in range(0, len(block), 16_000)]
            send(sock, frame(HEADERS, 0, 1, parts[0]))
            for part in parts[1:]:
                send(sock, frame(CONTINUATION, 0, 1, part))


def endless_continuation(service: Guarded) -> None:
    with http2(service.grpc) as sock:
        send(sock, frame(HEADERS, 0, 1, PUSH))
        part = b"".join(literal(b"x-%d" % n, b"v" * 100) for n in range(100))
        for _ in range(2_000 + 100 * ROUNDS):
            if not send(sock, frame(CONTINUATION, 0, 1, part)):
                break


def ping_flood(service: Guarded) -> None:
    with http2(service.grpc) as sock:
        pings = frame(PING, 0, 0, b"12345678") * 1_000
        for _ in range(50 + 10 * ROUNDS):
            if not send(sock, pings):
                break


def settings_flood(service: Guarded) -> None:
    with http2(service.grpc) as sock:
        for _ in range(50 + 10 * ROUNDS):
            if not send(sock, frame(SETTINGS, 0, 0) * 1_000):
                break


def rapid_reset(service: Guarded) -> None:
    """Streams that are reset as soon as they are opened (CVE-2023-44487)."""
    with http2(service.grpc) as sock:
        for start in range(1, 20_000 + 2_000 * ROUNDS, 200):
            burst = b"".join(
                frame(HEADERS, 4, stream, PUSH) + frame(RST_STREAM, 0, stream, b"\0\0\0\x08")
                for stream in range(start, start + 200, 2)
            )
            if not send(sock, burst):
                break


def slowloris(service: Guarded) -> None:
    """Requests that never end, on every port."""
    half = [
        (service.http, b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-A: "),
        (service.sql, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nSELECT"),
        (service.grpc, PREFACE + frame(SETTINGS, 0, 0) + frame(HEADERS, 4, 1, PUSH)),
        (service.grpc, PREFACE[:10]),
    ]
    with contextlib.ExitStack() as stack:
        held = []
        for _ in range(25 + ROUNDS):
            for place, data in half:
                sock = stack.enter_context(connect(place))
                send(sock, data)
                held.append(sock)
        for _ in range(3):
            time.sleep(0.2)
            for sock in held:
                send(sock, b"a")


def idle_connections(service: Guarded) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 10_000 if LONG else 500
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, wanted + 2_000), hard))
    try:
        with contextlib.ExitStack() as stack:
            for _ in range(wanted):
                sock = stack.enter_context(connect(service.grpc))
                send(sock, PREFACE + frame(SETTINGS, 0, 0))
            time.sleep(1.0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def wrong_keys(service: Guarded) -> None:
    """Many at a time: what is refused so often is told late."""

    def ask(runs: runs_pb2_grpc.RunsStub, number: int) -> grpc.Future:
        metadata = [("authorization", f"Bearer stepline_{number:064x}")]
        return runs.ListRuns.future(runs_pb2.ListRunsRequest(), metadata=metadata)

    with grpc.insecure_channel(service.grpc) as channel:
        runs = runs_pb2_grpc.RunsStub(channel)
        for turn in range(1 + ROUNDS // 3):
            for call in [ask(runs, 300 * turn + number) for number in range(300)]:
                assert call.exception().code() is grpc.StatusCode.UNAUTHENTICATED


def giant_metadata(service: Guarded) -> None:
    """Headers beyond what a key needs, one large and many small ones."""
    with grpc.insecure_channel(service.grpc) as channel:
        runs = runs_pb2_grpc.RunsStub(channel)
        for size in (10_000, 100_000, 1_000_000):
            for metadata in (
                [("x-large", "v" * size)],
                [(f"x-{number}", "v" * 90) for number in range(size // 100)],
                [("authorization", "Bearer " + "k" * size)],
            ):
                for _ in range(1 + ROUNDS // 10):
                    with pytest.raises(grpc.RpcError) as caught:
                        runs.ListRuns(runs_pb2.ListRunsRequest(), metadata=metadata, timeout=60)
                    assert caught.value.code() in REFUSED


REFUSED = (
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.UNAVAILABLE,
)


def many_streams(service: Guarded) -> None:
    """Of one connection, opened and left open; those beyond what the service allows too."""
    with http2(service.grpc) as sock:
        for start in range(1, 20_000 + 2_000 * ROUNDS, 200):
            burst = b"".join(
                frame(HEADERS, 4, stream, PUSH) for stream in range(start, start + 200, 2)
            )
            if not send(sock, burst):
                break
        time.sleep(0.5)


NO_HTTP = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,  # a TLS hello
    PREFACE + frame(SETTINGS, 0, 0),
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET  HTTP/1.1\r\n\r\n",
    b"\r\n" * 5_000,
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 5_000 + b"\r\n",
    b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n" * 2_000,
)


def http_garbage(service: Guarded) -> None:
    for _ in range(10 + ROUNDS):
        for place in (service.http, service.sql):
            for data in (*NO_HTTP, os.urandom(4096)):
                with connect(place) as sock:
                    send(sock, data)


def http_bodies_without_end(service: Guarded) -> None:
    """To a call of the gateway, in pieces, as fast as the service takes them."""
    head = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n"
    piece = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    for place, path, kind in (
        (service.http, b"/stepline.v1.Runs/ListRuns", b"application/json"),
        (service.http, b"/stepline.v1.Query/Chart", b"application/connect+proto"),
        (service.sql, b"/?query=SELECT", b"text/plain"),
    ):
        with contextlib.ExitStack() as stack:
            held = [stack.enter_context(connect(place)) for _ in range(8)]
            for sock in held:
                send(sock, head % (path, kind))
            for _ in range(300 + 30 * ROUNDS):
                held = [sock for sock in held if send(sock, piece)]


def http_connections(service: Guarded) -> None:
    """More than a port takes: the others are told so, and the ports beside it have theirs."""
    with contextlib.ExitStack() as stack:
        for _ in range(350):
            for place in (service.http, service.sql):
                send(stack.enter_context(connect(place)), b"GET / HTTP/1.1\r\nHost: x\r\n")


ATTACKS = (
    garbage,
    http_garbage,
    http_bodies_without_end,
    http_connections,
    header_flood,
    endless_continuation,
    ping_flood,
    settings_flood,
    rapid_reset,
    slowloris,
    idle_connections,
    many_streams,
    giant_metadata,
    wrong_keys,
)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_an_honest_writer_beside_loses_nothing(
    guarded: Guarded, spools: Path, attack: Callable[[Guarded], None]
) -> None:
    """
    Scenario: a run logs before, while and after strangers attack.
    Guarantees: every point is acknowledged and stored once; the service lives and answers probes,
    and has let go of every connection when the attackers have left.
    """
    attacked = psutil.Process(guarded.pid)
    project = f"honest-{uuid.uuid4().hex[:8]}"
    run = stepline.init(
        project=project,
        server=guarded.grpc,
        api_key=guarded.key("ingest", project),
        dir=spools,
        uploader="thread",
    )
    steps = iter(range(1_000_000))

    def log(count: int) -> None:
        for _ in range(count):
            step = next(steps)
            run.log({"loss": float(step)}, step=step)

    log(500)
    files_before = attacked.num_fds()
    attack(guarded)
    log(500)
    report = run.finish(timeout=120)
    assert report.complete, (report, guarded.log_tail())
    with stepline.connect(guarded.grpc, api_key=guarded.key("read", project)) as reader:
        history = reader.run(run.id).history("loss")
    assert list(history.step) == list(range(1_000))
    with urllib.request.urlopen(f"http://{guarded.http}/health", timeout=60) as answer:
        assert answer.status == 200
    assert guarded.alive
    wait_until(
        lambda: attacked.num_fds() < files_before + FILES_OF_THE_ENGINE,
        what=f"about {files_before} files are open, as before the attack: {attacked.num_fds()}",
    )


# --- bombs ---


def peak_while(pid: int, call: Callable[[], None]) -> int:
    """How far the memory of PID rose above where it was, as far as the system noticed."""
    process = psutil.Process(pid)
    before = process.memory_info().rss
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # forget the high-water mark
    call()
    status = Path(f"/proc/{pid}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) * 1024 - before


@pytest.mark.parametrize("mib", [20, 200])
def test_a_compressed_message_is_refused_unopened(guarded: Guarded, mib: int) -> None:
    bomb = b"\0" * (mib << 20)
    metadata = [("authorization", f"Bearer {guarded.admin}")]
    codes: list[grpc.StatusCode] = []

    def send_it() -> None:
        with grpc.insecure_channel(
            guarded.grpc,
            compression=grpc.Compression.Gzip,
            options=[("grpc.max_send_message_length", -1)],
        ) as channel:
            call = channel.unary_unary("/stepline.v1.Runs/GetRun")
            try:
                call(bomb, metadata=metadata, timeout=120)
            except grpc.RpcError as error:
                codes.append(error.code())

    assert peak_while(guarded.pid, send_it) < BOMB_BYTES
    assert codes == [grpc.StatusCode.UNIMPLEMENTED]


def test_a_message_beyond_the_limit_is_refused(guarded: Guarded) -> None:
    metadata = [("authorization", f"Bearer {guarded.admin}")]
    codes: list[grpc.StatusCode] = []

    def send_it() -> None:
        with grpc.insecure_channel(
            guarded.grpc, options=[("grpc.max_send_message_length", -1)]
        ) as channel:
            call = channel.unary_unary("/stepline.v1.Runs/GetRun")
            try:
                call(b"\0" * (200 << 20), metadata=metadata, timeout=120)
            except grpc.RpcError as error:
                codes.append(error.code())

    assert peak_while(guarded.pid, send_it) < BOMB_BYTES
    assert codes == [grpc.StatusCode.RESOURCE_EXHAUSTED]


@pytest.mark.parametrize("method", ["Runs/Heartbeat", "Live/Watch", "Capture/ReadConsole"])
def test_a_message_of_millions_of_parts_is_refused_unparsed(guarded: Guarded, method: str) -> None:
    """As objects they would take thirty times the bytes that arrive."""
    parts = b"\x0a\x00" * (11 << 20)
    metadata = [("authorization", f"Bearer {guarded.admin}")]
    codes: list[grpc.StatusCode] = []

    def send_it() -> None:
        with grpc.insecure_channel(guarded.grpc) as channel:
            call = channel.stream_stream(f"/stepline.v1.{method}")
            try:
                list(call(iter([parts]), metadata=metadata, timeout=120))
            except grpc.RpcError as error:
                codes.append(error.code())

    assert peak_while(guarded.pid, send_it) < BOMB_BYTES
    assert codes == [grpc.StatusCode.RESOURCE_EXHAUSTED]


# --- SQL in every text ---

METACHARACTERS = (
    "'; DROP TABLE raw_runs; --",
    "\\'; SELECT 1 --",
    "%' OR '1'='1",
    "`x`; {p:String}",
    "a\nFORMAT Null",
    "/* */ UNION ALL SELECT",
    "\x01\t\u202e",
)


def test_sql_in_every_text_is_text(guarded: Guarded, spools: Path) -> None:
    for number, text in enumerate(METACHARACTERS):
        project = f"{text}{uuid.uuid4().hex[:8]}"
        run_id = f"sql-{uuid.uuid4().hex[:12]}"
        run = stepline.init(
            project=project,
            run_id=run_id,
            name=text,
            tags=[text],
            group=text,
            job_type=text,
            config={text: text},
            server=guarded.grpc,
            api_key=guarded.key("ingest", project),
            dir=spools,
            uploader="thread",
        )
        run.log({text: float(number)}, step=0)
        run.summary[text] = text
        assert run.finish(timeout=120).complete
        with stepline.connect(guarded.grpc, api_key=guarded.key("read", project)) as reader:
            (info,) = reader.runs(project)
            assert (info.project, info.name, list(info.tags)) == (project, text, [text])
            view = reader.run(run_id)
            assert [metric.name for metric in view.metrics(prefix=text)] == [text]
            assert list(view.history(text).value) == [float(number)]
            assert list(view.chart(text).last) == [float(number)]
            (row,) = reader.sql("SELECT project, name, tags[1], `group`, job_type FROM runs")
            assert tuple(row) == (project, text, text, text, text)
            (row,) = reader.sql("SELECT metric, value FROM points")
            assert tuple(row) == (text, float(number))
            with pytest.raises(stepline.errors.InvalidRequest):
                reader.run(text)
    with stepline.connect(guarded.grpc, api_key=guarded.admin) as admin:
        assert len(admin.runs()) >= len(METACHARACTERS)


def test_parameters_of_the_sql_port_are_values(guarded: Guarded) -> None:
    for text in METACHARACTERS[:-1]:
        escaped = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")
        query = urllib.parse.urlencode(
            {"query": "SELECT {p:String} FORMAT RawBLOB", "param_p": escaped}
        )
        request = urllib.request.Request(
            f"http://{guarded.sql}/?{query}", headers={"X-ClickHouse-Key": guarded.admin}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.read().decode() == text
