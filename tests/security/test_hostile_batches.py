"""Promise: a client with a good key and bad batches harms nothing but its own: refusals are typed,
what is stored stays, and the stream of an honest writer goes on."""

from __future__ import annotations

import queue
import threading
import uuid
from collections.abc import Iterator

import grpc
import pytest

import stepline
from stepline_ingest.gen.stepline.v1 import ingest_pb2, ingest_pb2_grpc, runs_pb2, runs_pb2_grpc
from tests.security.conftest import Guarded


class Client:
    """One writer of one run, batch by batch."""

    def __init__(self, service: Guarded) -> None:
        self.project = f"bad-{uuid.uuid4().hex[:8]}"
        self.run_id = f"{self.project}-run"
        self._metadata = [("authorization", f"Bearer {service.key('ingest', self.project)}")]
        self._channel = grpc.insecure_channel(
            service.grpc, options=[("grpc.max_send_message_length", -1)]
        )
        self.writer = uuid.uuid4().bytes
        runs = runs_pb2_grpc.RunsStub(self._channel)
        request = runs_pb2.CreateRunRequest(
            run_id=self.run_id, project=self.project, writer=self.writer
        )
        self.attempt = runs.CreateRun(request, metadata=self._metadata).attempt
        self._requests: queue.SimpleQueue[ingest_pb2.PushRequest | None] = queue.SimpleQueue()
        self.replies = iter(())

    def open(self, epoch: int = 1) -> ingest_pb2.Welcome:
        self._requests = queue.SimpleQueue()
        hello = ingest_pb2.Hello(
            writer=self.writer,
            run_id=self.run_id,
            attempt=self.attempt,
            epoch=epoch,
            first_unacknowledged=1,
        )
        self._requests.put(ingest_pb2.PushRequest(hello=hello))
        self.replies = ingest_pb2_grpc.IngestStub(self._channel).Push(
            iter(self._requests.get, None), metadata=self._metadata, timeout=120
        )
        return next(self.replies).welcome

    def send(self, batch: ingest_pb2.Batch) -> None:
        self._requests.put(ingest_pb2.PushRequest(batch=batch))

    def close(self) -> None:
        self._requests.put(None)
        self._channel.close()


def outcome(client: Client, last_seq: int) -> grpc.StatusCode | None:
    """How the stream ended before LAST_SEQ was stored; None when it was."""
    try:
        while next(client.replies).ack.committed_seq < last_seq:
            pass
    except grpc.RpcError as error:
        return error.code()
    return None


def plain(first: int, last: int, value: float, name: str = "loss") -> ingest_pb2.Batch:
    columns = ingest_pb2.PlainBatch(metrics=[name])
    for seq in range(first, last + 1):
        columns.metric.append(0)
        columns.seq.append(seq)
        columns.step.append(seq)
        columns.time_ms.append(1_700_000_000_000)
        columns.value.append(value)
    return ingest_pb2.Batch(first_seq=first, last_seq=last, plain=columns)


@pytest.fixture
def client(guarded: Guarded) -> Iterator[Client]:
    made = Client(guarded)
    made.open()
    yield made
    made.close()


def test_a_replay_with_other_content_changes_nothing(guarded: Guarded, client: Client) -> None:
    client.send(plain(1, 10, 1.0))
    assert next(client.replies).ack.committed_seq == 10
    for epoch, batch in ((2, plain(1, 10, 666.0)), (3, plain(5, 12, 666.0))):
        client.open(epoch)
        client.send(batch)
        assert next(client.replies).ack.committed_seq >= 10
    with stepline.connect(guarded.grpc, api_key=guarded.key("read", client.project)) as reader:
        history = reader.run(client.run_id).history("loss")
    assert list(history.value) == [1.0] * 10 + [666.0] * 2
    assert list(history.step) == list(range(1, 13))


@pytest.mark.parametrize(
    ("batch", "code"),
    [
        (plain(5, 6, 1.0), grpc.StatusCode.INVALID_ARGUMENT),
        (plain(2**40, 2**40 + 1, 1.0), grpc.StatusCode.INVALID_ARGUMENT),
        (
            ingest_pb2.Batch(first_seq=1, last_seq=2**63, columnar=b"x"),
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
        (
            ingest_pb2.Batch(first_seq=9, last_seq=1, columnar=b"x"),
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
        (ingest_pb2.Batch(), grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
def test_sequences_that_jump_end_the_stream(
    client: Client, batch: ingest_pb2.Batch, code: grpc.StatusCode
) -> None:
    client.send(batch)
    with pytest.raises(grpc.RpcError) as caught:
        next(client.replies)
    assert caught.value.code() is code
    assert len(caught.value.details()) > 20


def test_batches_that_can_never_be_stored_are_put_aside(guarded: Guarded, client: Client) -> None:
    bad = [
        plain(1, 1, 1.0, name="x" * 5_000),
        plain(2, 2, 1.0, name=""),
        plain(3, 250_002, 1.0),
        ingest_pb2.Batch(
            first_seq=250_003,
            last_seq=250_003,
            plain=ingest_pb2.PlainBatch(metrics=["y" * (5 << 20)]),
        ),
    ]
    for batch in bad:
        client.send(batch)
        reply = next(client.replies)
        while reply.WhichOneof("kind") == "ack":
            reply = next(client.replies)
        rejected = reply.rejected
        assert (rejected.first_seq, rejected.last_seq) == (batch.first_seq, batch.last_seq)
        assert rejected.reason
    client.send(plain(250_004, 250_010, 2.0))
    while next(client.replies).ack.committed_seq < 250_010:
        pass
    with stepline.connect(guarded.grpc, api_key=guarded.key("read", client.project)) as reader:
        assert len(reader.run(client.run_id).history("loss")) == 7


def test_more_than_the_window_is_refused_and_holds_nobody_else_up(guarded: Guarded) -> None:
    greedy, honest = Client(guarded), Client(guarded)
    greedy.open()
    honest.open()

    def flood() -> None:
        for first in range(1, 2_001):
            greedy.send(plain(first, first, 1.0))

    flooding = threading.Thread(target=flood)
    flooding.start()
    for first in range(1, 101, 10):
        honest.send(plain(first, first + 9, 1.0))
        while next(honest.replies).ack.committed_seq < first + 9:
            pass
    flooding.join()
    assert outcome(greedy, 2_000) in (None, grpc.StatusCode.RESOURCE_EXHAUSTED)
    greedy.close()
    honest.close()
