"""A filter that cannot be understood says where, and what to write instead; a hostile one ends."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone

import pytest

from stepline_ingest.catalogue import fields
from stepline_ingest.catalogue.fields import (
    MAX_ADDRESS,
    MAX_ADDRESSES,
    Kind,
    Value,
    fields_of,
    value_of,
)
from stepline_ingest.catalogue.filter_parse import parse_fields, parse_filter, parse_sort
from stepline_ingest.catalogue.filter_text import MAX_TEXT, quoted, typed_name
from stepline_ingest.catalogue.filter_tree import Both, Comparison, Either, Not
from stepline_ingest.errors import ServiceError
from stepline_ingest.run_request import json_text

NOW = datetime(2026, 1, 8, tzinfo=timezone.utc)


def refusal(text: str) -> str:
    with pytest.raises(ServiceError) as caught:
        parse_filter(text)
    return caught.value.message


def test_not_binds_closer_than_and_and_and_closer_than_or() -> None:
    tree = parse_filter('state = "failed" or not id = "a" AND config.lr > 1')
    assert isinstance(tree, Either)
    first, second = tree.parts
    assert isinstance(first, Comparison)
    assert isinstance(second, Both)
    assert isinstance(second.parts[0], Not)
    assert parse_filter(" \n") is None


def test_keys_with_odd_characters_and_metrics() -> None:
    for text, name in (
        ("config.model/depth = 1", "model/depth"),
        ('config."a b".c = 1', "a b.c"),
        ("summary.'it\\'s \"x\"'.min = 1", 'it\'s "x".min'),
        ("summary.val/acc@5-top.max = 1", "val/acc@5-top.max"),
        ("config.größe = 1", "größe"),
    ):
        tree = parse_filter(text)
        assert isinstance(tree, Comparison)
        assert tree.field.name == name


@pytest.mark.parametrize("name", ["a", "a b", 'a"b', "a\\", "1", "a.b", "val/loss", "and", ""])
def test_a_name_that_was_written_is_read_again(name: str) -> None:
    (field,) = parse_fields("key", [typed_name("config", name)])
    assert field.name == name
    tree = parse_filter(f"notes = {quoted(name)}")
    assert isinstance(tree, Comparison)
    assert tree.value == name


def test_times() -> None:
    tree = parse_filter('created > "7d" and updated <= "2026-01-01T12:00:00+02:00"', now=NOW)
    assert isinstance(tree, Both)
    ago, then = tree.parts
    assert isinstance(ago, Comparison)
    assert isinstance(then, Comparison)
    assert ago.value == datetime(2026, 1, 1, tzinfo=timezone.utc).timestamp() * 1000
    assert then.value == datetime(2026, 1, 1, 10, tzinfo=timezone.utc).timestamp() * 1000


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("config.lr >", 12, "a value is missing"),
        ("config.lr 3", 11, "an operator is missing"),
        ("state = running", 9, 'put texts in quotes, like "running"'),
        ('state = "runing"', 9, "this is no state: use running"),
        ('stat = "x"', 1, "did you mean state?"),
        ("confg.lr = 1", 1, "did you mean config.lr?"),
        ("lr = 1", 1, "or config.lr or summary.lr for a key"),
        ("config = 1", 1, "config.KEY"),
        ("(config.lr = 1", 15, "the ( of character 1 is not closed"),
        ("config.lr = 1)", 14, "closes nothing"),
        ("config.lr = 1 config.b = 2", 15, "`and` or `or` is missing"),
        ('created > "soon"', 11, "this is no time"),
        ('created > "²d"', 11, "this is no time"),
        ("created > 1__0", 11, "1__0 is no number"),
        ("config.lr > 1_", 13, "1_ is no number"),
        ("config.a = 1e999", 12, "too large"),
        ('tags = "a"', 6, '"big" in tags'),
        ('notes = "a', 9, "has no end"),
        ("config.a in 3", 13, "a list is missing"),
        ("config.a in (1 2)", 16, "is not closed"),
        ("5 > config.a", 1, "begins with a field"),
        ("config.a = config.b", 12, "two fields cannot be compared"),
        ("config.a < true", 12, "= and != only"),
        ("config.a > null", 12, "= and != only"),
        ("attempts = 'x'", 12, "is a number"),
        ("name = 3", 8, "is text"),
        ("config.a ; DROP TABLE raw_runs", 10, "stands for nothing"),
        ("and", 1, "a comparison is missing"),
        ("not", 4, "a comparison is missing"),
    ],
)
def test_a_mistake_is_pointed_at(text: str, place: int, said: str) -> None:
    message = refusal(text)
    assert message.startswith(f"filter, character {place}, at ")
    assert said in message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("(" * 60_000 + "config.a = 1" + ")" * 100, "parentheses and nots"),
        ("(" * 100_000, "bytes are allowed"),
        ("not " * 15_000 + "config.a = 1", "parentheses and nots"),
        ("x" * (1 << 20), "bytes are allowed"),
        ("ü" * MAX_TEXT, "bytes are allowed"),
        ("config.a = 1 or " * 4_000, "more than 100 comparisons"),
        (f"config.a in ({'1,' * 30_000}1)", "more than 1,000 values"),
        ('"' + "\\" * 60_000, "has no end"),
        ("config." + "a." * 30_000, "no number"),
        ("config." + "'" * 30_000, "operator is missing"),
        ("1" * 60_000, "too large"),
        ("\0\x01\ufffe", "stands for nothing"),
    ],
)
def test_a_hostile_text_is_refused(text: str, said: str) -> None:
    message = refusal(text)
    assert said in message
    assert len(message) < 500


def test_sort_keys_and_columns() -> None:
    keys = parse_sort(["-config.lr", "created", '-summary."a b".min'])
    assert [(key.field.name, key.descending) for key in keys] == [
        ("lr", True),
        ("created", False),
        ("a b.min", True),
    ]
    for wrong in ("", "-", "created desc", "--created", "config.lr > 3", "lr"):
        with pytest.raises(ServiceError, match="sort key, character"):
            parse_sort([wrong])
    with pytest.raises(ServiceError, match="one sort key too many"):
        parse_sort(["created"] * 9)


def test_keys_beyond_the_limit_are_not_looked_at() -> None:
    class Many(list[str]):
        def __iter__(self) -> Iterator[str]:
            raise AssertionError("each of them is looked at")

    with pytest.raises(ServiceError, match="one sort key too many"):
        parse_sort(Many(["created"] * 1_000))


def test_keys_with_one_address() -> None:
    found = fields_of(
        {"a.b": 1, "a": {"b": 2}, "a/b": 3, "c/d": 4, "c.d": 5, "_stepline": {"x": 1}}
    )
    assert {key: value.text for key, value in found.items()} == {"a.b": "2", "c.d": "5"}


def test_a_config_without_end_has_bounded_fields() -> None:
    deep: dict[str, object] = {}
    inner = deep
    for _ in range(500):
        inner["a"] = inner = {}  # type: ignore[assignment]
    inner["end"] = "x" * 1_000_000
    (value,) = fields_of(deep).values()
    assert (value.kind, len(value.text)) == (Kind.TEXT, 8_192)
    assert len(fields_of({str(n): n for n in range(100_000)})) == 5_000


def test_a_long_key_around_many_short_ones_is_left_out() -> None:
    many = {str(n): n for n in range(5_000)}
    long = "k" * MAX_ADDRESS
    assert list(fields_of({long: many, long[1:]: many, long[2:]: many, "lr": 1, long * 9: 1})) == [
        *(f"{long[2:]}.{n}" for n in range(10)),
        "lr",
    ]
    assert list(fields_of({long: 1})) == [long]
    assert fields_of({"a": {long: 1}}) == {}


@pytest.mark.parametrize("value", [1, None, {}])
def test_the_addresses_of_a_config_are_bounded_together(value: object) -> None:
    made = 0

    class Key(str):
        def encode(self, *how: str) -> bytes:
            nonlocal made
            made += 1
            return super().encode(*how)

    outer = "k" * (MAX_ADDRESS - 24)
    found = fields_of({outer: {Key(f"{n:020}"): value for n in range(10_000)}, "lr": 1})
    assert sum(map(len, found)) <= MAX_ADDRESSES
    assert made <= MAX_ADDRESSES / len(outer)


def test_a_long_list_is_not_written_to_be_thrown_away(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[object] = []
    monkeypatch.setattr(fields, "json_text", lambda value: str(written.append(value)))
    long = [0.5] * 4_096
    for value in (long, [long], [{"a": [long]}], ["x" * 8_192], [{"x" * 8_192: 1}], [[]] * 5_000):
        assert value_of(value) == Value(Kind.LIST, 0.0, "[]")
    assert not written
    monkeypatch.undo()
    shown = [[0.5, "\xe9", {"a": [], "b": {}}], *range(1_500)]
    assert value_of(shown) == Value(Kind.LIST, 0.0, json_text(shown))
