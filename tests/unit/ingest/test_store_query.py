"""Promise: values travel to the engine and back unchanged, and no value becomes part of a
statement."""

from __future__ import annotations

import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepline_ingest.store import StoreError

ONE_STORE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@ONE_STORE
@given(TEXT, st.lists(TEXT, max_size=4))
def test_texts_as_parameters(shared, text, texts):
    found = shared.query(
        "SELECT {a:String}, {b:Array(String)}, length({a:String})", {"a": text, "b": texts}
    )
    assert found == [(text, texts, len(text.encode()))]


@ONE_STORE
@given(
    st.integers(0, 2**64 - 1),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.lists(st.integers(0, 2**64 - 1), max_size=4),
)
def test_numbers_as_parameters(shared, unsigned, signed, real, several):
    found = shared.query(
        "SELECT {u:UInt64}, {s:Int64}, {f:Float64}, {l:Array(UInt64)}",
        {"u": unsigned, "s": signed, "f": real, "l": several},
    )
    assert repr(found) == repr([(unsigned, signed, real, several)])


def test_types_of_small_results(shared):
    expressions = (
        "true",
        "toInt8(-1)",
        "toFloat32(0.5)",
        "toDateTime64('2026-09-21 00:00:00.123', 3, 'UTC')",
        "CAST(NULL AS Nullable(String))",
        "[['a'], []]",
        "toUInt128(-1)",
        "toFixedString('ab', 2)",
        "toDate('1970-01-03')",
    )
    found = shared.query(f"SELECT {', '.join(expressions)}")
    assert found == [(True, -1, 0.5, 1789948800123, None, [["a"], []], 2**128 - 1, b"ab", 2)]


def test_a_type_that_cannot_be_read_says_so(shared):
    with pytest.raises(StoreError, match="CAST") as caught:
        shared.query("SELECT map('a', 1)")
    assert caught.value.blames_query


def test_no_rows(shared):
    assert shared.query("SELECT 1 WHERE 0") == []
    assert list(shared.stream_native("SELECT 1 AS x WHERE 0")) == []


def test_a_stream_gives_buffers_in_order(shared):
    rows = 300_000
    blocks = list(
        shared.stream_native(
            "SELECT toInt64(number) - {off:Int64} AS step, toFloat64(number) / 3 AS value "
            "FROM numbers({n:UInt64}) ORDER BY step",
            {"n": rows, "off": 5},
            {"max_threads": 1},
        )
    )
    assert len(blocks) > 1
    steps = b"".join(b["step"].buffer for b in blocks)
    assert struct.unpack(f"<{rows}q", steps) == tuple(range(-5, rows - 5))
    assert {b["value"].dtype for b in blocks} == {"<f8"}
    assert sum(len(b["value"].buffer) for b in blocks) == 8 * rows


def test_a_stream_of_groups_is_whole(shared):
    found = shared.stream_native(
        "SELECT number % 150000 AS k, count() AS n FROM numbers(300000) GROUP BY k"
    )
    assert sum(sum(b["n"].values()) for b in found) == 300_000


def test_a_stream_may_be_left_early(shared):
    for _ in range(3):
        blocks = shared.stream_native("SELECT number FROM numbers(3000000)")
        assert next(blocks).rows > 0
        blocks.close()
    assert shared.query("SELECT 1") == [(1,)]


def test_an_error_inside_a_stream_is_raised(shared):
    with pytest.raises(StoreError) as caught:
        list(shared.stream_native("SELECT throwIf(number = 200000) FROM numbers(300000)"))
    assert caught.value.code == 395


def test_an_answer_that_breaks_off_is_an_error(server, fault):
    fault("break_answer")
    with pytest.raises(StoreError) as caught:
        list(server.stream_native("SELECT number FROM numbers(100000)"))
    assert caught.value.code == 241
    assert caught.value.is_retryable


def test_output_of_a_failed_query_does_not_reach_the_next_one(shared):
    for _ in range(5):
        with pytest.raises(StoreError):
            shared.query_raw(
                "SELECT throwIf(number = 500000), number FROM numbers(1000000)",
                "TSV",
                readonly=False,
            )
        assert shared.query_raw("SELECT 42", "TSV", readonly=False) == b"42\n"


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELECT nope", 47),
        ("SELEC 1", 62),
        ("SELECT * FROM nowhere", 60),
        ("SELECT {p:UInt8}", 456),
    ],
)
def test_errors_blame_the_query(shared, sql, code):
    with pytest.raises(StoreError) as caught:
        shared.query(sql)
    assert (caught.value.code, caught.value.blames_query) == (code, True)
    assert not caught.value.is_retryable
    assert "(version" not in str(caught.value)
    assert "http://" not in str(caught.value)


def test_settings_hold_for_one_call(shared):
    sql = "SELECT getSetting('max_block_size')"
    assert shared.query(sql, settings={"max_block_size": 1234}) == [(1234,)]
    assert shared.query(sql) != [(1234,)]


@pytest.mark.parametrize("name", ["a b", "x = 1, y", "", "a-b"])
def test_a_setting_with_no_name_is_refused(shared, name):
    with pytest.raises(StoreError):
        shared.query("SELECT 1", settings={name: 1})


def test_formats(shared):
    assert shared.query_raw("SELECT 1 AS a", "JSONEachRow", readonly=False) == b'{"a":1}\n'
    assert shared.query_raw("SELECT 1 AS a FORMAT CSV", "JSONEachRow", readonly=False) == b"1\n"
    with pytest.raises(StoreError):
        shared.query_raw("SELECT 1", "CSV SETTINGS", readonly=False)
