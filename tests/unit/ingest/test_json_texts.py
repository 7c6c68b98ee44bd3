"""Promise: whatever JSON a client sends, it is stored as text that all can read, or refused."""

from __future__ import annotations

import json
import random

import pytest

from stepline_ingest.errors import ServiceError
from stepline_ingest.json_texts import Shape, json_value, shape, whole_text
from stepline_ingest.limits import Limits
from stepline_ingest.run_request import json_object

LIMITS = Limits()
DEPTH = LIMITS.max_json_depth


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": "\\ud800"}', {"a": "\ufffd"}),
        (
            '{"\\uDFff": [1, "x\\ud800y", {"\\udc00": null}]}',
            {"\ufffd": [1, "x\ufffdy", {"\ufffd": None}]},
        ),
        (
            '{"a": "\\ud83d\\ude00", "b": "\\udE00\\ud83D"}',
            {"a": "\U0001f600", "b": "\ufffd\ufffd"},
        ),
        (r'{"a": "\\ud800", "b": 1e400}', {"a": r"\ud800", "b": float("inf")}),
        ('{"a": "\\u00e9"}', {"a": "\xe9"}),
        (r'{"a": "\\\ud800", "b": "\\\\udfff"}', {"a": "\\\ufffd", "b": r"\\udfff"}),
    ],
)
def test_halves_of_surrogate_pairs_are_replaced(text: str, value: object) -> None:
    assert json_value(text) == json_object("config", text, LIMITS) == value
    assert json.loads(whole_text(text)) == value
    whole_text(text).encode()


def test_what_has_none_is_kept_as_it_stands() -> None:
    escaped = r'{"a": "\\ud800", "b" : "\\\\\\udfffe"}'
    for text in ("", '{"a" : "\\u00e9",  "b":NaN}', escaped):
        assert whole_text(text) is text


def test_a_backslash_that_is_escaped_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[object] = []
    monkeypatch.setattr(json, "dumps", lambda value, **_: written.append(value))
    assert json_value(r'{"a": "\\ud800\u00e9"}') == {"a": "\\ud800\xe9"}
    assert not written


def _depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0


def _parts(value: object) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + sum(map(_parts, value)) if isinstance(value, list) else 0


def _commas(value: object) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return max(0, len(value) - 1) + sum(map(_commas, value)) if isinstance(value, list) else 0


def _random(chance: random.Random, depth: int = 0) -> object:
    kind = chance.randrange(3 if depth < 8 else 1)
    if kind == 0:
        return chance.choice(["[[[", '"],', "\\", '\\"{', "},\\\\", "\xe9[", 1, None])
    if kind == 1:
        return [_random(chance, depth + 1) for _ in range(chance.randrange(4))]
    return {f'{n}\\",[': _random(chance, depth + 1) for n in range(chance.randrange(4))}


def test_the_shape_is_that_of_the_value() -> None:
    for seed in range(2_000):
        value = _random(random.Random(seed))
        for ascii_only in (True, False):
            text = json.dumps(value, ensure_ascii=ascii_only)
            assert shape(text) == Shape(_depth(value), _parts(value), _commas(value)), seed
    flat = "[" + ",".join(["[]"] * 800_000) + "]"
    assert shape(flat) == Shape(2, 800_001, 799_999)
    assert shape("[" * 900_000 + "]" * 900_000) == Shape(900_000, 900_000, 0)
    assert shape('["' + "," * 1_200_000 + '",""]') == Shape(1, 1, 1)


@pytest.mark.parametrize(("opens", "closes"), [("[", "]"), ('{"a":', "}")])
def test_what_is_nested_too_deeply_is_refused(opens: str, closes: str) -> None:
    def nested(depth: int) -> str:
        return f'{{"x":{opens * (depth - 1)}1{closes * (depth - 1)}}}'

    assert json_object("config", nested(DEPTH), LIMITS)
    for depth in (DEPTH + 1, 970, 975, 980, 1_100, 100_000):
        with pytest.raises(ServiceError, match="nested deeper than 200: send it flatter") as caught:
            json_object("config", nested(depth), LIMITS)
        assert caught.value.code.name == "INVALID_ARGUMENT"


def test_what_has_too_many_parts_is_refused_before_it_is_parsed() -> None:
    most = LIMITS.max_json_parts
    text = '{"x":["[[[{{{",' + ",".join(["[]"] * (most - 2)) + "]}"
    assert len(json_object("config", text, LIMITS)["x"]) == most - 1
    with pytest.raises(ServiceError, match=r"250,001 lists and objects.*keep large data in files"):
        json_object("config", text.replace("[]", "[{}]", 1), LIMITS)
    assert json_object("config", json.dumps({"code": "[" * (most + 1)}), LIMITS)


def test_what_has_too_many_values_is_refused_before_it_is_parsed() -> None:
    most = LIMITS.max_json_values
    text = '{"x":[' + ",".join(["0"] * most) + "]}"
    assert len(json_object("config", text, LIMITS)["x"]) == most
    with pytest.raises(ServiceError, match=r"more than 250,000 values.*keep large data in files"):
        json_object("summary", text.replace("[", "[0,", 1), LIMITS)
    assert json_object("config", json.dumps({"code": "," * (most + 1)}), LIMITS)


def test_numbers_without_end_are_refused_before_they_are_parsed() -> None:
    most = LIMITS.max_json_digits
    ordinary = "[" + ",".join(["9" * 640] * 1_000) + "]"
    assert len(json_object("config", f'{{"x":{ordinary}}}', LIMITS)["x"]) == 1_000
    assert json_object("config", f'{{"x":{"9" * 4_000}}}', LIMITS)
    long = "[" + ",".join(["9" * 4_000] * (most // 4_000 + 10)) + "]"
    with pytest.raises(ServiceError, match=r"digits in very long numbers.*keep large data in"):
        json_object("config", f'{{"x":{long}}}', LIMITS)
