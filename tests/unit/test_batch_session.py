"""`_core.WriterSession`: its inputs, its errors, and that both encodings give the same points."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest

from stepline import _core
from stepline_ingest.gen.stepline.v1 import ingest_pb2

OPTIONS: dict[str, Any] = {
    "writer": bytes(range(16)),
    "run": 1,
    "attempt": 1,
    "rank": 0,
    "max_batch_bytes": 10_000,
    "max_batch_points": 1_000,
    "max_decoded_bytes": 1 << 20,
    "max_name_bytes": 64,
    "max_metrics": 100,
}


def session(**changes: Any) -> _core.WriterSession:
    return _core.WriterSession(**{**OPTIONS, **changes})


def plain(**changes: Any) -> ingest_pb2.PlainBatch:
    fields: dict[str, Any] = {
        "metrics": ["a", "b"],
        "metric": [0, 1, 0, 1],
        "seq": [5, 5, 6, 7],
        "step": [0, 0, -1, 2**63 - 1],
        "time_ms": [10, 10, 20, 30],
        "value": [1.5, math.nan, -0.0, math.inf],
    }
    return ingest_pb2.PlainBatch(**{**fields, **changes})


def columns(batch: _core.Batch, after: int = 0) -> list[tuple[Any, ...]]:
    """(seq, metric, step, time, bits of the value), sorted."""
    pieces, rows = _core.build_block([(batch, after)], 0)

    def column(piece: int, code: str) -> tuple[Any, ...]:
        return struct.unpack(f"<{rows}{code}", pieces[piece][-struct.calcsize(code) * rows :])

    picked = [column(8, "Q"), column(1, "Q"), column(4, "q"), column(5, "q"), column(6, "Q")]
    return sorted(zip(*picked, strict=True))


def kind(error: pytest.ExceptionInfo[_core.CoreError]) -> str:
    message = str(error.value)
    assert message.endswith("."), message
    return error.value.kind


def test_plain_and_columnar_give_the_same_points() -> None:
    batch = session().decode_plain(5, 7, plain().SerializeToString())
    assert (batch.first_seq, batch.last_seq, batch.points) == (5, 7, 4)
    records = [
        (5, 0, 10, {"a": 1.5, "b": math.nan}),
        (6, -1, 20, {"a": -0.0}),
        (7, 2**63 - 1, 30, {"b": math.inf}),
    ]
    other = session().decode_columnar(5, 7, _core.encode_batch(records))
    assert columns(batch) == columns(other)
    assert columns(batch, after=6) == columns(other, after=6)
    assert dict(batch.new_metrics) == dict(other.new_metrics)


@pytest.mark.parametrize("convert", [bytes, bytearray, memoryview])
def test_data_may_be_any_bytes(convert: Any) -> None:
    data = _core.encode_batch([(1, 0, 0, {"a": 1.0})])
    assert session().decode_columnar(1, 1, convert(data)).points == 1


def test_data_of_another_type_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="bytes"):
        session().decode_columnar(1, 1, 7)  # type: ignore[arg-type]


def test_names_are_new_once_in_either_encoding() -> None:
    decoder = session()
    data = plain().SerializeToString()
    assert len(decoder.decode_plain(5, 7, data).new_metrics) == 2
    assert decoder.decode_plain(5, 7, data).new_metrics == []
    batch = decoder.decode_columnar(8, 8, _core.encode_batch([(8, 0, 0, {"b": 1.0, "c": 2.0})]))
    assert [name for _, name in batch.new_metrics] == ["c"]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"seq": [5, 5, 6]}, "different lengths"),
        ({"seq": [5, 5, 5, 7]}, "sequence 7 follows 5"),
        ({"seq": [5, 6, 5, 7]}, "sequence 5 follows 6"),
        ({"seq": [4, 5, 6, 7]}, "envelope"),
        ({"metric": [0, 1, 0, 2]}, "not in the batch's table"),
        ({"metric": [0, 0, 0, 1]}, "one metric with one sequence"),
        ({"metrics": ["a", "a"]}, "names a metric twice"),
        ({"metrics": ["a", ""]}, "empty"),
        ({"metrics": ["a", "b\0"]}, "NUL"),
        ({"metrics": ["a", "b" * 65]}, "65 bytes"),
        ({"metrics": [f"m{i}" for i in range(101)]}, "more than 100 metrics"),
    ],
)
def test_a_wrong_plain_batch_is_refused(changes: dict[str, Any], match: str) -> None:
    decoder = session()
    with pytest.raises(_core.CoreError, match=match) as error:
        decoder.decode_plain(5, 7, plain(**changes).SerializeToString())
    assert kind(error) in {"invalid", "corrupt"}
    assert len(decoder.decode_plain(5, 7, plain().SerializeToString()).new_metrics) == 2


def test_bytes_that_are_no_plain_batch_are_corrupt() -> None:
    with pytest.raises(_core.CoreError) as error:
        session().decode_plain(1, 1, b"\xff\xff\xff")
    assert kind(error) == "corrupt"


def test_the_kind_of_a_columnar_error_says_what_to_do() -> None:
    data = bytearray(_core.encode_batch([(1, 0, 0, {"a": 1.0})]))
    with pytest.raises(_core.CoreError) as error:
        session().decode_columnar(1, 2, data)
    assert kind(error) == "invalid"
    data[-1] ^= 1
    with pytest.raises(_core.CoreError, match="checksum") as error:
        session().decode_columnar(1, 1, data)
    assert kind(error) == "corrupt"
    data[0] = 9
    with pytest.raises(_core.CoreError, match="version 9") as error:
        session().decode_columnar(1, 1, data)
    assert kind(error) == "unsupported"


def test_limits_hold_for_both_encodings() -> None:
    small = session(max_batch_points=3, max_batch_bytes=60)
    with pytest.raises(_core.CoreError, match="more than 60") as error:
        small.decode_plain(5, 7, plain(metrics=["a" * 60, "b"]).SerializeToString())
    assert kind(error) == "invalid"
    roomy = session(max_batch_points=3)
    with pytest.raises(_core.CoreError, match="more than 3 points") as error:
        roomy.decode_plain(5, 7, plain().SerializeToString())
    assert kind(error) == "invalid"
    data = _core.encode_batch([(1, 0, 0, dict.fromkeys("abcd", 1.0))])
    with pytest.raises(_core.CoreError, match="more than 3 points") as error:
        roomy.decode_columnar(1, 1, data)
    assert kind(error) == "invalid"


def test_a_writer_id_has_sixteen_bytes() -> None:
    with pytest.raises(_core.CoreError, match="16 bytes"):
        session(writer=b"short")


def test_encoding_nothing_is_an_error() -> None:
    with pytest.raises(_core.CoreError, match="at least one"):
        _core.encode_batch([])
