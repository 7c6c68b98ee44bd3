"""`run.config` and `run.summary`: mappings whose changes are told."""

from __future__ import annotations

import enum
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stepline.config import Config, JsonRecord
from stepline.errors import InvalidRequest, InvalidValue
from stepline.jsonable import dumps, jsonable
from stepline.summary import Summary

RECORDS = pytest.mark.parametrize("record", [Config, Summary])


def made(
    record: type[JsonRecord], values: Mapping[str, object] | None = None
) -> tuple[JsonRecord, list[dict[str, Any]]]:
    told: list[dict[str, Any]] = []
    return record(values or {}, told.append), told


# --- a mapping -----------------------------------------------------------------------------------


@RECORDS
def test_it_reads_like_a_dict(record: type[JsonRecord]) -> None:
    values, told = made(record, {"lr": 0.1, "layers": [1, 2]})
    assert isinstance(values, Mapping)
    assert dict(values) == {"lr": 0.1, "layers": [1, 2]} == values
    assert (len(values), list(values), "lr" in values) == (2, ["lr", "layers"], True)
    assert values.get("absent", 3) == 3
    with pytest.raises(KeyError):
        values["absent"]
    assert repr(values) == f"{record.__name__}({{'lr': 0.1, 'layers': [1, 2]}})"
    assert told == []


@RECORDS
def test_setting_a_key_tells_that_key_alone(record: type[JsonRecord]) -> None:
    values, told = made(record, {"lr": 0.1, "seed": 1})
    values["lr"] = 0.2
    values["new"] = {"depth": (1, 2)}
    assert told == [{"lr": 0.2}, {"new": {"depth": [1, 2]}}]
    assert dict(values) == {"lr": 0.2, "seed": 1, "new": {"depth": [1, 2]}}


@RECORDS
def test_an_update_is_one_change(record: type[JsonRecord]) -> None:
    values, told = made(record)
    values.update({"a": 1, "b": 2}, b=3, c={"d": {"e": 4}})
    values.update()
    assert told == [{"a": 1, "b": 3, "c": {"d": {"e": 4}}}]


@RECORDS
def test_a_default_is_set_once(record: type[JsonRecord]) -> None:
    values, told = made(record)
    assert values.setdefault("a", 1) == 1
    assert values.setdefault("a", 2) == 1
    assert told == [{"a": 1}]


@RECORDS
def test_what_was_read_is_a_copy(record: type[JsonRecord]) -> None:
    given = {"model": {"layers": [1]}}
    values, told = made(record, given)
    values["model"]["layers"].append(2)
    given["model"]["layers"].append(3)
    assert values["model"] == {"layers": [1]}
    assert told == []
    values["model"] = {**values["model"], "layers": [1, 2]}
    assert told == [{"model": {"layers": [1, 2]}}]


@RECORDS
def test_a_key_cannot_be_removed(record: type[JsonRecord]) -> None:
    values: Any = made(record, {"a": 1})[0]
    with pytest.raises((AttributeError, TypeError)):
        del values["a"]
    assert not hasattr(values, "pop")


@RECORDS
def test_a_bad_value_sets_nothing_at_all(record: type[JsonRecord]) -> None:
    values, told = made(record, {"a": 1})
    with pytest.raises(InvalidValue):
        values.update({"a": 2, "b": object()})
    assert (dict(values), told) == ({"a": 1}, [])


@RECORDS
def test_a_change_that_cannot_be_told_is_not_made(record: type[JsonRecord]) -> None:
    def refuse(changes: dict[str, Any]) -> None:
        raise RuntimeError("finished")

    values = record({"a": 1}, refuse)
    with pytest.raises(RuntimeError, match="finished"):
        values["a"] = 2
    assert dict(values) == {"a": 1}


def test_the_reserved_key_is_refused_by_the_config_alone() -> None:
    config, told = made(Config)
    for change in (lambda: config.update(_stepline=1), lambda: config.update({"_stepline": 1})):
        with pytest.raises(InvalidRequest, match="'_stepline' is reserved: choose another"):
            change()
    with pytest.raises(InvalidRequest):
        config["_stepline"] = {}
    assert told == []
    assert dict(config) == {}


# --- what JSON can hold --------------------------------------------------------------------------


class Color(enum.IntEnum):
    RED = 3


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.float64(0.1), 0.1),
        (np.int64(-(2**63)), -(2**63)),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.bool_(True), True),
        (np.array(7), 7),
        (np.str_("x"), "x"),
        (np.float64("nan"), "nan"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (10**30, 10**30),
        (True, True),
        (None, None),
        (Color.RED, 3),
        (Path("/data/x"), "/data/x"),
        ((1, (2.0, "z")), [1, [2.0, "z"]]),
        ({"a": {"b": [np.int8(1)]}}, {"a": {"b": [1]}}),
        ("Ünïcode \u2028", "Ünïcode \u2028"),
    ],
)
def test_scalars_and_containers_become_plain(value: object, expected: object) -> None:
    found = jsonable(value, "config")
    assert found == expected
    assert type(found) is type(expected) or isinstance(value, str)
    assert json.loads(dumps(found)) == expected


class Odd:
    pass


@pytest.mark.parametrize(
    ("value", "where", "remedy"),
    [
        ({"a": Odd()}, r"config\['a'\] is a .*Odd", "pass numbers, text, lists or dicts"),
        ({"a": [1, {"b": Odd()}]}, r"config\['a'\]\[1\]\['b'\] is a .*Odd", "pass numbers"),
        ({"a": np.arange(3)}, r"config\['a'\] is a numpy.ndarray", r"pass .tolist\(\) of it"),
        ({"a": b"x"}, r"config\['a'\] is a builtins.bytes", "pass numbers"),
        ({"a": 1j}, r"config\['a'\] is a builtins.complex", "pass numbers"),
        ({"a": {1: 2}}, r"config\['a'\] has the key 1", "use '1'"),
        ({"a": "x\udcff"}, r"config\['a'\] has the text 'x\\udcff'", "replace its surrogates"),
        ({"\udcff": 1}, r"config has the text '\\udcff'", "replace its surrogates"),
        ({"a": Path("\udcff")}, r"config\['a'\] has the text", "replace its surrogates"),
    ],
)
def test_what_json_cannot_hold_is_named_with_its_place(
    value: Mapping[str, object], where: str, remedy: str
) -> None:
    with pytest.raises(InvalidValue, match=f"{where}.*: .*{remedy}"):
        made(Config, value)


def test_a_summary_is_named_as_one() -> None:
    with pytest.raises(InvalidValue, match=r"summary\['best'\]"):
        made(Summary)[0]["best"] = Odd()
