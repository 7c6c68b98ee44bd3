"""`Table.parse`: rows as ClickHouse wrote them, as Python values."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from stepline import Table


def encoded(columns: dict[str, str], *rows: list[Any]) -> bytes:
    lines = [list(columns), list(columns.values()), *rows]
    return b"".join(json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in lines)


def parsed(columns: dict[str, str], *rows: list[Any]) -> Table:
    return Table.parse(encoded(columns, *rows))


def test_names_types_and_rows_are_kept_in_order() -> None:
    table = parsed({"run": "String", "n": "UInt32"}, ["a", 1], ["b", 2])
    assert (table.columns, table.types) == (("run", "n"), ("String", "UInt32"))
    assert list(table) == table.rows == [("a", 1), ("b", 2)]
    assert len(table) == 2


@pytest.mark.parametrize("kind", ["Float64", "Float32", "Nullable(Float64)"])
def test_quoted_numbers_that_json_lacks_become_floats(kind: str) -> None:
    table = parsed({"x": kind}, ["nan"], ["inf"], ["-inf"], [0.5], [3], [None])
    nan, *others = (row[0] for row in table)
    assert math.isnan(nan)
    assert others == [math.inf, -math.inf, 0.5, 3.0, None]
    assert [type(value) for value in others[:4]] == [float] * 4


@pytest.mark.parametrize("kind", ["Int64", "UInt64", "Int128", "UInt256", "Nullable(UInt64)"])
@pytest.mark.parametrize("value", [2**64 - 1, -(2**63), 2**53 + 1, 2**200])
def test_big_integers_are_exact_quoted_or_not(kind: str, value: int) -> None:
    table = parsed({"n": kind}, [str(value)], [value], [None])
    assert [row[0] for row in table][:2] == [value, value]
    assert table.rows[2] == (None,)


def test_nested_arrays_are_repaired_to_the_leaves() -> None:
    table = parsed(
        {"a": "Array(Array(Float64))", "b": "Array(Nullable(UInt64))"},
        [[["nan", 1], []], ["18446744073709551615", None]],
    )
    ((floats, integers),) = table.rows
    assert math.isnan(floats[0][0])
    assert floats[0][1:] == [1.0]
    assert floats[1] == []
    assert integers == [2**64 - 1, None]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("String", "nan"),
        ("LowCardinality(String)", "12"),
        ("Array(String)", ["inf", "7"]),
        ("DateTime64(3)", "2025-01-01 00:00:00.000"),
        ("IntervalDay", "3"),
        ("Bool", True),
        ("Nullable(Nothing)", None),
    ],
)
def test_what_looks_like_a_number_but_is_none_stays(kind: str, value: Any) -> None:
    assert parsed({"x": kind}, [value]).rows == [(value,)]


def test_a_text_may_hold_any_character() -> None:
    text = 'quote " line\nseparator \u2028 nul \0 ünï'
    assert parsed({"x": "String"}, [text], ["next"]).rows == [(text,), ("next",)]


def test_an_answer_without_rows_still_has_its_columns() -> None:
    table = parsed({"x": "Float64"})
    assert (table.columns, table.types, len(table)) == (("x",), ("Float64",), 0)


def test_no_answer_is_an_empty_table() -> None:
    table = Table.parse(b"")
    assert (table.columns, table.types, table.rows) == ((), (), [])


def test_it_becomes_a_table_of_other_libraries() -> None:
    table = parsed({"run": "String", "x": "Nullable(Float64)"}, ["a", 1], ["b", None], ["c", "inf"])
    expected = {"run": ["a", "b", "c"], "x": [1.0, None, math.inf]}
    assert table.to_arrow().to_pydict() == expected
    assert table.to_polars().to_dict(as_series=False) == expected
    frame = table.to_pandas()
    assert list(frame.columns) == ["run", "x"]
    assert frame["run"].tolist() == ["a", "b", "c"]
    assert math.isnan(frame["x"][1])


def test_an_empty_table_becomes_one_too() -> None:
    table = parsed({"x": "Float64"})
    assert table.to_arrow().column_names == ["x"]
    assert table.to_polars().columns == ["x"]
    assert list(table.to_pandas().columns) == ["x"]
