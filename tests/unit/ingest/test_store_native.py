"""Promise: the reader gives what the writer wrote, however the bytes are cut, and tells a torn
end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepline_ingest.store import StoreError
from stepline_ingest.store.native import block_shape, read_blocks, write_block

VALUES = {
    "Bool": st.booleans(),
    "UInt8": st.integers(0, 255),
    "Int16": st.integers(-(2**15), 2**15 - 1),
    "UInt32": st.integers(0, 2**32 - 1),
    "Int64": st.integers(-(2**63), 2**63 - 1),
    "Float64": st.floats(allow_nan=False),
    "DateTime64(3, 'UTC')": st.integers(-(2**40), 2**40),
    "UInt128": st.integers(0, 2**128 - 1),
    "Int128": st.integers(-(2**127), 2**127 - 1),
    "String": st.text(st.characters(exclude_categories=["Cs"])),
    "Nullable(Int32)": st.none() | st.integers(-(2**31), 2**31 - 1),
    "Nullable(String)": st.none() | st.text(st.characters(exclude_categories=["Cs"])),
    "Array(String)": st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=3),
    "Array(Array(UInt8))": st.lists(st.lists(st.integers(0, 255), max_size=3), max_size=3),
}


@st.composite
def blocks(draw):
    rows = draw(st.integers(1, 5))
    types = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=6))
    return [
        (f"c{i}", type_, draw(st.lists(VALUES[type_], min_size=rows, max_size=rows)))
        for i, type_ in enumerate(types)
    ]


@given(st.lists(blocks(), max_size=3), st.data())
def test_what_is_written_is_read_wherever_it_is_cut(given_blocks, data):
    stream = b"".join(write_block(columns) for columns in given_blocks)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    found = list(read_blocks(pieces))
    assert [[(c.name, c.type, c.values()) for c in block.columns] for block in found] == [
        [(name, type_, list(values)) for name, type_, values in columns] for columns in given_blocks
    ]


@given(blocks(), st.data())
def test_a_stream_that_ends_inside_a_block_is_an_error(columns, data):
    stream = write_block(columns)
    end = data.draw(st.integers(1, len(stream) - 1))
    with pytest.raises(StoreError) as caught:
        list(read_blocks([stream[:end]]))
    assert caught.value.is_retryable


def test_fixed_columns_are_not_copied():
    stream = write_block([("a", "UInt64", [1, 2, 3]), ("b", "Float64", [0.5, 1.5, 2.5])])
    (block,) = read_blocks([stream])
    assert block["b"].buffer.obj is stream
    assert [block[name].dtype for name in "ab"] == ["<u8", "<f8"]
    assert block.tuples() == [(1, 0.5), (2, 1.5), (3, 2.5)]


def test_columns_without_a_buffer_say_so():
    (block,) = read_blocks([write_block([("s", "String", ["x"]), ("w", "Int128", [1])])])
    with pytest.raises(TypeError, match="no single buffer"):
        _ = block["s"].buffer
    with pytest.raises(TypeError, match="no NumPy type"):
        _ = block["w"].dtype
    with pytest.raises(KeyError):
        _ = block["nope"]


def test_shape_is_read_from_cut_headers():
    stream = write_block([("a", "UInt8", [1] * 300)])
    assert block_shape([stream[i : i + 1] for i in range(len(stream))]) == (1, 300)


def test_a_header_without_rows_is_no_block():
    assert list(read_blocks([write_block([("a", "UInt8", [])])])) == []
