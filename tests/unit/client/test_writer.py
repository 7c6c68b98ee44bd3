"""`_core.Writer`: what a call records, refuses and survives."""

from __future__ import annotations

import collections
import decimal
import enum
import fcntl
import gc
import json
import math
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import types
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stepline import _core
from tests.support.spool_file import read_spool

META = {
    "run_id": "r1",
    "project": "p",
    "config_json": "{}",
    "rank": 3,
    "api_key": None,
    "group": None,
}


def make(root: Path, **options: Any) -> _core.Writer:
    return _core.Writer(str(root), json.dumps(META), **options)


@pytest.fixture
def writer(tmp_path: Path) -> _core.Writer:
    return make(tmp_path)


@pytest.fixture
def strict(tmp_path: Path) -> _core.Writer:
    return make(tmp_path, on_error="raise")


def rows(writer: _core.Writer) -> list[tuple[int, dict[str, float]]]:
    return read_spool(writer.path).rows()


def log_all(writer: _core.Writer, calls: list[dict[str, Any]]) -> None:
    for call in calls:
        writer.log(call)


# --- what is recorded ----------------------------------------------------------------------------


def test_a_call_is_one_record_with_all_its_metrics(writer: _core.Writer) -> None:
    writer.log({"loss": 0.5, "lr": 3}, step=10)
    writer.log({"loss": 0.25, "lr": True}, step=-7)
    assert rows(writer) == [(10, {"loss": 0.5, "lr": 3.0}), (-7, {"loss": 0.25, "lr": 1.0})]
    assert writer.last_seq() == 2
    stats = writer.stats()
    assert (stats["points"], stats["records"], stats["refused"], stats["gaps"]) == (4, 2, 0, 0)


def test_values_are_kept_bit_for_bit(writer: _core.Writer) -> None:
    values = [math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308, 0.1]
    for value in values:
        writer.log({"x": value})
    found = [row["x"] for _, row in rows(writer)]
    assert np.array(found).tobytes() == np.array(values).tobytes()


def test_without_a_step_calls_are_counted_from_the_last_step(writer: _core.Writer) -> None:
    for step in (None, None, 10, None, None, -5, None, 2**63 - 1, None):
        writer.log({"x": 1.0}, step)
    assert [step for step, _ in rows(writer)] == [0, 1, 10, 11, 12, -5, -4, 2**63 - 1, 2**63 - 1]


def test_a_call_with_nothing_in_it_counts_as_a_step_and_records_nothing(
    writer: _core.Writer,
) -> None:
    writer.log({})
    writer.log({"x": 1.0})
    assert rows(writer) == [(1, {"x": 1.0})]
    assert writer.last_seq() == 1


class Celsius:
    def __float__(self) -> float:
        return 21.5


class Index:
    def __index__(self) -> int:
        return 7


class Level(enum.IntEnum):
    HIGH = 3


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(0.1), 0.1),
        (np.float32(0.1), float(np.float32(0.1))),
        (np.float16(0.5), 0.5),
        (np.int64(-3), -3.0),
        (np.uint8(200), 200.0),
        (np.bool_(True), 1.0),
        (np.array(2.5), 2.5),
        (np.array(2, dtype=np.int8), 2.0),
        (decimal.Decimal("0.5"), 0.5),
        (Celsius(), 21.5),
        (Index(), 7.0),
        (Level.HIGH, 3.0),
        (2**53 + 1, float(2**53)),
        (2**64, 2.0**64),
        (-(10**300), -1e300),
    ],
)
def test_whatever_is_a_number_is_taken(writer: _core.Writer, value: Any, expected: float) -> None:
    for _ in range(2):
        writer.log({"x": value, "y": 1.0})
    assert [row for _, row in rows(writer)] == [{"x": expected, "y": 1.0}] * 2


def test_numpy_scalars_of_several_kinds_in_one_call(writer: _core.Writer) -> None:
    good = {"a": np.float32(0.5), "b": np.float32(1.5), "c": np.int8(-1), "d": np.float16(2.0)}
    with pytest.warns(RuntimeWarning, match="'z' is complex"):
        writer.log({**good, "z": np.complex64(1j), "e": np.float32(2.5), "f": np.array(3.5)})
    expected = {"a": 0.5, "b": 1.5, "c": -1.0, "d": 2.0, "e": 2.5, "f": 3.5}
    assert rows(writer) == [(0, expected)]


def test_nested_mappings_are_flattened(writer: _core.Writer) -> None:
    ordered = collections.OrderedDict(c=3.0)
    writer.log({"a": {"b": 1.0, "d": ordered}, "e": 4, "f": types.MappingProxyType({"g": 5})})
    writer.log(collections.OrderedDict(z=1.0))
    writer.log(types.MappingProxyType({"z": 2.0}))
    expected = {"a/b": 1.0, "a/d/c": 3.0, "e": 4.0, "f/g": 5.0}
    assert [row for _, row in rows(writer)] == [expected, {"z": 1.0}, {"z": 2.0}]


def test_the_same_keys_are_defined_once(writer: _core.Writer) -> None:
    for site in range(4):
        for step in range(50):
            # The first sites have keys of their own, the last makes them anew.
            names = [f"m{i}/{'x' * 20}" for i in range(10)]
            writer.log(dict.fromkeys(names, float(step)), step=100 * site + step)
    bytes_of_rows = 200 * (8 + 32 + 80)
    assert writer.stats()["bytes"] < bytes_of_rows + 1000
    assert rows(writer)[-1] == (349, dict.fromkeys(names, 49.0))


def test_call_sites_that_begin_alike_do_not_mix(writer: _core.Writer) -> None:
    expected = []
    for step in range(100):
        for call in (
            {"epoch": 1.0, "a": 2.0},
            {"epoch": 3.0, "b": 4.0},
            {"epoch": 5.0, "a": 6.0, "b": 7.0},
        ):
            writer.log(call, step)
            expected.append((step, dict(call)))
    assert rows(writer) == expected


def test_keys_that_change_with_each_call_are_recorded_too(writer: _core.Writer) -> None:
    expected = []
    for step in range(6000):
        call = {f"k{step % 97}": 1.0, f"j{step % 89}": 2.0}
        writer.log(call, step)
        expected.append((step, call))
    assert rows(writer) == expected


def test_a_dict_that_grew_and_shrank_is_read_right(writer: _core.Writer) -> None:
    d = {f"k{i}": float(i) for i in range(20)}
    for i in range(0, 20, 2):
        del d[f"k{i}"]
    for step in range(3):
        writer.log(d, step)
    d["k0"] = 0.0
    writer.log(d, 3)
    del d["k0"]
    writer.log(d, 4)
    assert [row for _, row in rows(writer)] == [dict(d)] * 3 + [{**d, "k0": 0.0}] + [dict(d)]


def test_names_may_be_any_text(writer: _core.Writer) -> None:
    class Name(str):
        __slots__ = ()

    names = ["größe", "損失/🙂", "a b", "n" * 1024, Name("sub")]
    for _ in range(2):
        writer.log(dict.fromkeys(names, 1.0))
    assert [set(row) for _, row in rows(writer)] == [set(names)] * 2


def test_ten_thousand_metrics_cross_segments(tmp_path: Path) -> None:
    writer = make(tmp_path, segment_bytes=1 << 20)
    d = {f"layer/{i}/norm": float(i) for i in range(10_000)}
    for step in range(40):
        writer.log(d, step)
    assert rows(writer) == [(step, d) for step in range(40)]
    assert len(list(Path(writer.path).glob("*.seg"))) > 2


def test_one_name_too_many_raises_before_anything_is_recorded(strict: _core.Writer) -> None:
    for first in range(0, 1_000_000, 100_000):
        strict.log({f"m{i}": 1.0 for i in range(first, first + 100_000)}, 0)
    with pytest.raises(ValueError, match=r"new.* is one name too many"):
        strict.log({"m7": 1.0, "new": 2.0}, 1)
    assert strict.last_seq() == 10


# --- log_array -----------------------------------------------------------------------------------


def test_log_array_records_each_point_in_order(writer: _core.Writer) -> None:
    steps = np.arange(200_000) * 3
    values = np.random.default_rng(1).normal(size=200_000)
    writer.log({"x": 1.0})
    writer.log_array("eval/loss", steps, values)
    writer.log({"x": 2.0})
    points = read_spool(writer.path).points
    found = [p for p in points if p.name == "eval/loss"]
    assert [p.seq for p in found] == list(range(2, 200_002))
    assert [p.step for p in found] == steps.tolist()
    assert [p.value for p in found] == values.tolist()
    assert points[-1].seq == writer.last_seq() == 200_002
    assert points[-1].step == 1, "log_array leaves the counter alone"


@pytest.mark.parametrize(
    "wrap", [lambda a: a, memoryview, lambda a: np.repeat(a, 2)[::2], lambda a: a[::-1][::-1]]
)
def test_log_array_takes_any_flat_buffer(writer: _core.Writer, wrap: Any) -> None:
    writer.log_array("x", wrap(np.arange(5)), wrap(np.arange(5) / 4))
    writer.log_array("x", wrap(np.arange(0)), wrap(np.arange(0) / 4))
    writer.log_array("x", np.arange(5)[::-1], (np.arange(5) / 4)[::-1])
    points = [(p.step, p.value) for p in read_spool(writer.path).points]
    forward = [(i, i / 4) for i in range(5)]
    assert points == forward + forward[::-1]


@pytest.mark.parametrize(
    ("steps", "values", "said"),
    [
        (
            np.arange(3),
            np.arange(3),
            r"metric 'x' has values .*np\.asarray\(values, dtype=np\.float64\)",
        ),
        (np.arange(3.0), np.arange(3.0), r"np\.asarray\(steps, dtype=np\.int64\)"),
        (np.arange(3, dtype=np.int32), np.arange(3.0), r"np\.asarray\(steps, dtype=np\.int64\)"),
        (np.arange(3, dtype=np.uint64), np.arange(3.0), r"np\.int64"),
        (np.arange(3), np.arange(3, dtype=np.float32), r"np\.float64"),
        (np.arange(3), np.arange(3, dtype=">f8"), r"np\.float64"),
        (np.arange(4).reshape(2, 2), np.arange(4.0), r"2 dimensions"),
        ([1, 2], np.arange(2.0), r"a list.*np\.asarray\(steps"),
        (np.arange(3), np.arange(2.0), r"3 steps and 2 values"),
    ],
)
def test_log_array_says_what_it_wants(tmp_path: Path, steps: Any, values: Any, said: str) -> None:
    strict = make(tmp_path, on_error="raise")
    with pytest.raises(TypeError, match=said):
        strict.log_array("x", steps, values)
    assert strict.last_seq() == 0
    lenient = make(tmp_path)
    with pytest.warns(RuntimeWarning, match=said):
        lenient.log_array("x", steps, values)
    lenient.log_array("x", steps, values)
    assert (lenient.last_seq(), lenient.stats()["refused"]) == (0, 2)


# --- what is refused -----------------------------------------------------------------------------


class Broken:
    def __float__(self) -> float:
        raise OSError("no sensor")


class NotReally:
    def __float__(self) -> str:  # type: ignore[override]
        return "21"


def cycle() -> dict[str, Any]:
    d: dict[str, Any] = {}
    d["self"] = d
    return d


def bomb() -> dict[str, Any]:
    d: dict[str, Any] = {"x": None}
    for _ in range(30):
        d = {"a": d, "b": d}
    return d


BAD_VALUES = [
    ("text", TypeError, r"metric 'bad' is the str 'text'.*run\.config"),
    (None, TypeError, r"metric 'bad' is None; leave it out"),
    (1 + 2j, TypeError, r"metric 'bad' is complex; log its real"),
    (np.complex64(1), TypeError, r"metric 'bad' is complex"),
    (np.array(1j), TypeError, r"metric 'bad' is complex"),
    (b"12", TypeError, r"metric 'bad' is a bytes"),
    (bytearray(b"12"), TypeError, r"metric 'bad' is a bytearray"),
    ([1.0], TypeError, r"metric 'bad' is a list, not a number; .*log_array"),
    (object(), TypeError, r"metric 'bad' is a object"),
    (np.zeros(3), TypeError, r"metric 'bad' is a numpy\.ndarray of shape \(3,\); .*log_array"),
    (np.zeros((1, 1)), TypeError, r"shape \(1, 1\); .*log_array"),
    (np.str_("x"), TypeError, r"metric 'bad' is the str"),
    (10**400, ValueError, r"metric 'bad' is an int beyond the range of a float; .*scale"),
    (
        Broken(),
        ValueError,
        r"metric 'bad' is a .*Broken, and float\(\) of it failed: OSError: no sensor",
    ),
    (NotReally(), ValueError, r"metric 'bad' is a .*NotReally, and float\(\) of it failed"),
]
BAD_NAMES = [
    ("", r"empty name"),
    ("n" * 1025, r"more than 1024 bytes"),
    ("é" * 513, r"more than 1024 bytes"),
    ("a\0b", r"NUL"),
    ("\ud800", r"lone surrogate"),
    (7, r"metric 7 has a int as its name; use a str"),
    (None, r"metric None has a NoneType as its name"),
]


@pytest.mark.parametrize(("value", "error", "said"), BAD_VALUES)
def test_a_bad_value_raises_before_anything_is_recorded(
    strict: _core.Writer, value: Any, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        strict.log({"good": 1.0, "bad": value})
    assert strict.last_seq() == 0
    assert strict.stats()["refused"] == 1


@pytest.mark.parametrize(("value", "error", "said"), BAD_VALUES)
def test_a_bad_value_is_warned_of_once_and_left_out(
    writer: _core.Writer, value: Any, error: type[Exception], said: str
) -> None:
    calls: list[dict[str, Any]] = [{"good": 1.0, "bad": value}, {"good": 2.0, "bad": value}]
    with pytest.warns(RuntimeWarning, match=said) as caught:
        log_all(writer, calls)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert [row for _, row in rows(writer)] == [{"good": 1.0}, {"good": 2.0}]
    assert writer.stats()["refused"] == 2


@pytest.mark.parametrize(("name", "said"), BAD_NAMES)
def test_a_bad_name_is_refused(tmp_path: Path, name: Any, said: str) -> None:
    strict, lenient = make(tmp_path, on_error="raise"), make(tmp_path)
    with pytest.raises(ValueError, match=said):
        strict.log({"good": 1.0, name: 2.0})
    assert strict.last_seq() == 0
    with pytest.warns(RuntimeWarning, match=said):
        lenient.log({"good": 1.0, name: 2.0})
    with pytest.warns(RuntimeWarning, match=said):
        make(tmp_path).log_array(name, np.arange(1), np.zeros(1))
    assert rows(lenient) == [(0, {"good": 1.0})]


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ({"a": {"b": 1.0}, "a/b": 2.0}, r"metric 'a/b' is in the call twice; rename"),
        ({"a/b": 1.0, "a": {"b": 2.0}}, r"metric 'a/b' is in the call twice"),
        (
            {"a/b": 1.0, "d": cycle()},
            r"metric 'self' is nested deeper than 32 dicts; break the cycle",
        ),
        ({"a/b": 1.0, "d": {"n" * 600: {"m" * 600: 1.0}}}, r"more than 1024 bytes"),
        ({"a/b": 1.0, "d": {"": {"m": 1.0}}}, r"empty name"),
    ],
)
def test_what_cannot_be_flattened_is_refused(tmp_path: Path, metrics: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make(tmp_path, on_error="raise").log(metrics)
    lenient = make(tmp_path)
    with pytest.warns(RuntimeWarning, match=said):
        lenient.log(metrics)
    assert rows(lenient) == [(0, {"a/b": 1.0})]


def test_a_dict_that_unfolds_for_ever_ends(strict: _core.Writer) -> None:
    with pytest.raises(TypeError, match="is None"):
        strict.log(bomb())


@pytest.mark.parametrize("metrics", [None, 1.0, [("a", 1.0)], "a"])
def test_metrics_must_be_a_mapping(tmp_path: Path, metrics: Any) -> None:
    with pytest.raises(TypeError, match=r"log\(\) got a .*; pass a dict of names and numbers"):
        make(tmp_path, on_error="raise").log(metrics)
    lenient = make(tmp_path)
    with pytest.warns(RuntimeWarning, match="pass a dict"):
        lenient.log(metrics)
    assert lenient.last_seq() == 0


@pytest.mark.parametrize("step", [1.0, True, "3", np.float64(1), 2**63, -(2**63) - 1, b"1", [1]])
def test_a_bad_step_refuses_the_call(tmp_path: Path, step: Any) -> None:
    with pytest.raises(TypeError, match=r"step .*; pass"):
        make(tmp_path, on_error="raise").log({"a": 1.0}, step)
    lenient = make(tmp_path)
    with pytest.warns(RuntimeWarning, match=r"step .*; pass"):
        lenient.log({"a": 1.0, "b": 2.0}, step)
    lenient.log({"a": 1.0})
    assert rows(lenient) == [(0, {"a": 1.0})]
    assert lenient.stats()["refused"] == 2


@pytest.mark.parametrize("step", [np.int64(5), np.uint8(5), Index()])
def test_whatever_is_an_index_is_a_step(writer: _core.Writer, step: Any) -> None:
    writer.log({"a": 1.0}, step)
    assert rows(writer)[0][0] == int(step.__index__())


def test_an_interrupt_within_a_conversion_is_not_swallowed(writer: _core.Writer) -> None:
    class Interrupted:
        def __float__(self) -> float:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        writer.log({"a": 1.0, "b": Interrupted()})
    assert writer.last_seq() == 0


def test_a_warning_that_is_an_error_comes_after_the_good_values(writer: _core.Writer) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning, match="'bad' is None"):
            writer.log({"good": 1.0, "bad": None})
    assert rows(writer) == [(0, {"good": 1.0})]


# --- reentrancy and threads ----------------------------------------------------------------------


def test_a_conversion_may_log_and_change_the_dict(writer: _core.Writer) -> None:
    class Meddler:
        def __float__(self) -> float:
            writer.log({"inner": 1.0})
            metrics.clear()
            metrics.update({f"new{i}": float(i) for i in range(100)})
            gc.collect()
            return 2.0

    metrics: dict[str, Any] = {"a": 1.0, "m": Meddler(), "z": 3.0}
    writer.log(metrics, step=9)
    assert rows(writer) == [(0, {"inner": 1.0}), (9, {"a": 1.0, "m": 2.0, "z": 3.0})]


def test_threads_lose_nothing(tmp_path: Path) -> None:
    writer = make(tmp_path, segment_bytes=64 << 10)
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)

    def work(k: int) -> None:
        for i in range(3000):
            writer.log({f"t{k}": float(i), "shared": np.float32(k)}, step=i)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switch)
    found = rows(writer)
    assert len(found) == writer.last_seq() == 12_000
    for k in range(4):
        assert [step for step, row in found if f"t{k}" in row] == list(range(3000))
        assert all(
            row["shared"] == k and row[f"t{k}"] == step for step, row in found if f"t{k}" in row
        )


# --- control, sync, close, the hook --------------------------------------------------------------


def test_control_records_and_metadata_are_there_to_be_sent(writer: _core.Writer) -> None:
    writer.control('{"update": {"name": "x"}}')
    writer.log({"a": 1.0})
    writer.control('{"finish": {"exit_code": 0}}')
    writer.sync()
    assert read_spool(writer.path).controls == [
        {"update": {"name": "x"}},
        {"finish": {"exit_code": 0}},
    ]
    with pytest.raises(_core.CoreError, match="JSON object") as caught:
        writer.control("[1]")
    assert caught.value.kind == "invalid"
    meta = json.loads((Path(writer.path) / "spool.json").read_text())
    assert (meta["run_id"], meta["rank"], meta["group"], meta["api_key"]) == ("r1", 3, "", None)
    assert meta["writer"] == writer.writer_id == Path(writer.path).name
    assert (Path(writer.path) / "spool.json").stat().st_mode & 0o777 == 0o600
    assert Path(writer.path).stat().st_mode & 0o777 == 0o700
    assert _core.spool_left(writer.path) == 1


def test_the_writer_id_may_be_given(tmp_path: Path) -> None:
    chosen = _core.new_writer_id()
    writer = _core.Writer(str(tmp_path), json.dumps({**META, "writer": chosen}))
    assert writer.writer_id == chosen
    with pytest.raises(_core.CoreError, match="used once"):
        _core.Writer(str(tmp_path), json.dumps({**META, "writer": chosen}))
    with pytest.raises(_core.CoreError, match="32 hexadecimal"):
        _core.Writer(str(tmp_path), json.dumps({**META, "writer": "x"}))
    with pytest.raises(_core.CoreError, match="metadata"):
        _core.Writer(str(tmp_path), "no json")


def test_a_root_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(_core.CoreError, match=r"cannot create .*; check that") as caught:
        make(tmp_path / "file" / "root")
    assert caught.value.kind == "io"


def test_a_closed_writer_takes_nothing(tmp_path: Path) -> None:
    for on_error in ("warn", "raise"):
        writer = make(tmp_path, on_error=on_error)
        writer.log({"a": 1.0})
        writer.close()
        writer.close()
        assert (Path(writer.path) / "sealed").exists()
        if on_error == "raise":
            with pytest.raises(_core.CoreError, match="closed") as caught:
                writer.log({"a": 2.0})
            assert caught.value.kind == "closed"
        else:
            with pytest.warns(RuntimeWarning, match="closed"):
                writer.log({"a": 2.0})
            writer.log({"a": 3.0})
        writer.sync()
        assert writer.last_seq() == writer.stats()["points"] == len(rows(writer)) == 1


def test_the_hook_is_called_at_each_new_segment(tmp_path: Path) -> None:
    calls: list[int] = []
    writer = make(tmp_path, segment_bytes=4096, on_tick=lambda: calls.append(writer.last_seq()))
    for _ in range(300):
        writer.log({"a": 1.0})
    assert len(calls) == len(list(Path(writer.path).glob("*.seg"))) - 1 > 2


def test_a_hook_that_fails_is_warned_of_once(tmp_path: Path) -> None:
    def fail() -> None:
        raise OSError("no uploader")

    writer = make(tmp_path, segment_bytes=4096, on_tick=fail)
    with pytest.warns(RuntimeWarning, match="no uploader") as caught:
        log_all(writer, [{"a": 1.0}] * 300)
    assert len(caught) == 1
    assert len(rows(writer)) == 300


def test_a_hook_may_log_and_its_cycle_is_collected(tmp_path: Path) -> None:
    class Owner:
        def __init__(self) -> None:
            self.writer = make(tmp_path, segment_bytes=4096, on_tick=self.tick)
            self.busy = False

        def tick(self) -> None:
            if not self.busy:
                self.busy = True
                self.writer.log({"tick": 1.0})
                self.busy = False

    owner = Owner()
    for _ in range(200):
        owner.writer.log({"a": 1.0})
    assert {"tick": 1.0} in [row for _, row in rows(owner.writer)]
    found = gc.get_referrers(Owner)
    del owner, found
    gc.collect()
    assert not any(isinstance(o, Owner) for o in gc.get_objects())


# --- a full disk ---------------------------------------------------------------------------------

FULL = """
import json, resource, sys
from stepline import _core

writer = _core.Writer(
    sys.argv[1], json.dumps({"run_id": "r"}), segment_bytes=8192, on_error="raise"
)
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
try:
    while True:
        writer.log({"a": 1.0, "b": 2.0})
except _core.CoreError as error:
    print(error.kind)
"""

FULL_DISK = """
import json, resource, sys, time, warnings
from stepline import _core

warnings.simplefilter("always")
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
caught = []
warnings.showwarning = lambda message, *_: caught.append(str(message))
writer = _core.Writer(sys.argv[1], json.dumps({"run_id": "r"}), segment_bytes=8192)
# A file size limit refuses the next segment as a full disk does.
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
step = 0
while writer.stats()["gaps"] == 0:
    writer.log({"a": 1.0, "b": 2.0}, step)
    step += 1
for _ in range(100):
    writer.log({"a": 1.0, "b": 2.0}, step)
    step += 1
taken, lost = writer.last_seq(), writer.stats()["gaps"]
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
while writer.last_seq() == taken:
    lost = writer.stats()["gaps"]
    time.sleep(0.05)
    writer.log({"a": 3.0, "b": 4.0}, step)
print(json.dumps({"path": writer.path, "taken": taken, "lost": lost, "warnings": caught}))
"""


def test_a_full_disk_becomes_a_counted_gap(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=True
    )
    said = json.loads(done.stdout)
    contents = read_spool(said["path"])
    assert len(contents.rows()) == said["taken"] + 1
    (gap,) = contents.controls
    assert gap["gap"]["count"] == said["lost"] >= 202
    assert gap["gap"]["first_ms"] <= gap["gap"]["last_ms"]
    assert len(said["warnings"]) == 1, said["warnings"]
    assert "STEPLINE_DIR" in said["warnings"][0]


def test_a_full_disk_raises_when_asked_to(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "full"


# --- fork and kill -------------------------------------------------------------------------------


def in_child(body: Any) -> int:
    """Runs BODY in a forked child and returns its exit code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        code = 1
        try:
            body()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.fixture
def fork_hook() -> None:
    """The package installs it; `_core` alone does not."""
    if not getattr(fork_hook, "installed", False):
        os.register_at_fork(after_in_child=_core.after_fork_in_child)
        fork_hook.installed = True  # type: ignore[attr-defined]


@pytest.mark.parametrize("python_hook", [True, False])
def test_a_forked_child_writes_a_spool_of_its_own(
    tmp_path: Path, request: pytest.FixtureRequest, python_hook: bool
) -> None:
    if python_hook:
        request.getfixturevalue("fork_hook")
    writer = make(tmp_path)
    writer.log({"a": 1.0}, step=5)

    def child() -> None:
        assert writer.path == ""
        assert (writer.last_seq(), writer.stats()["points"]) == (0, 0)
        writer.sync()
        writer.log({"a": 2.0})
        writer.log({"a": 3.0})
        assert Path(writer.path).parent == tmp_path
        assert writer.stats()["points"] == writer.last_seq() == 2
        writer.close()

    assert in_child(child) == 0
    writer.log({"a": 4.0})
    spools = {path.name: path for path in tmp_path.iterdir()}
    assert len(spools) == 2
    mine = spools.pop(writer.writer_id)
    (theirs,) = spools.values()
    assert read_spool(mine).rows() == [(5, {"a": 1.0}), (6, {"a": 4.0})]
    assert read_spool(theirs).rows() == [(6, {"a": 2.0}), (7, {"a": 3.0})]
    metas = [json.loads((p / "spool.json").read_text()) for p in (mine, theirs)]
    assert metas[0]["pid"] != metas[1]["pid"] != os.getpid()
    assert metas[0]["run_id"] == metas[1]["run_id"]
    assert metas[0]["rank"] == metas[1]["rank"]
    assert not (mine / "sealed").exists()


def test_a_child_that_logs_nothing_leaves_nothing(tmp_path: Path, fork_hook: None) -> None:
    writer = make(tmp_path)

    def child() -> None:
        writer.close()
        with pytest.warns(RuntimeWarning, match="closed"):
            writer.log({"a": 1.0})

    assert in_child(child) == 0
    assert [path.name for path in tmp_path.iterdir()] == [writer.writer_id]
    assert not (Path(writer.path) / "sealed").exists()
    writer.log({"a": 1.0})
    assert len(rows(writer)) == 1


ORPHAN = """
import json, os, signal, sys, time
from stepline import _core
os.register_at_fork(after_in_child=_core.after_fork_in_child)
writer = _core.Writer(sys.argv[1], json.dumps({"run_id": "r"}))
writer.log({"a": 1.0})
ready, done = os.pipe()
pid = os.fork()
if pid == 0:
    os.write(done, b"!")
    time.sleep(600)
    os._exit(0)
# The hook has run in the child.
os.read(ready, 1)
print(pid, writer.path, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_child_does_not_make_a_dead_parent_look_alive(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", ORPHAN, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    pid, path = parent.stdout.readline().split()
    parent.wait()
    try:
        with open(Path(path) / "writer.lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert read_spool(path).rows() == [(0, {"a": 1.0})]
    finally:
        os.kill(int(pid), signal.SIGKILL)
        parent.stdout.close()


KILLED = """
import json, os, signal, sys
from stepline import _core
writer = _core.Writer(sys.argv[1], json.dumps({"run_id": "r"}), segment_bytes=16384)
print(writer.path)
for step in range(int(sys.argv[2])):
    writer.log({"a": float(step), "b": {"c": step}}, step)
sys.stdout.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_sigkill_right_after_log_returned_loses_nothing(tmp_path: Path) -> None:
    for calls in range(1, 2000, 100):
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(tmp_path), str(calls)],
            capture_output=True,
            text=True,
        )
        assert done.returncode == -signal.SIGKILL, done.stderr
        expected = [(step, {"a": float(step), "b/c": float(step)}) for step in range(calls)]
        assert read_spool(done.stdout.strip()).rows() == expected


def log_in_pool(writer: _core.Writer, k: int) -> None:
    for step in range(500):
        writer.log({"x": float(k)}, step)


def test_many_children_at_once(tmp_path: Path, fork_hook: None) -> None:
    writer = make(tmp_path)
    context = multiprocessing.get_context("fork")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        children = [context.Process(target=log_in_pool, args=(writer, k)) for k in range(4)]
        for child in children:
            child.start()
    log_in_pool(writer, 9)
    for child in children:
        child.join()
        assert child.exitcode == 0
    found = sorted(
        tuple({row["x"] for _, row in read_spool(path).rows()}) for path in tmp_path.iterdir()
    )
    assert found == [(0.0,), (1.0,), (2.0,), (3.0,), (9.0,)]
    assert all(len(read_spool(path).rows()) == 500 for path in tmp_path.iterdir())
