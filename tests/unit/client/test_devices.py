"""Tensors: those of the host are read at once, those of a device without ever waiting for it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import stepline
from stepline import _core
from tests.support import fake_torch
from tests.support.spool_file import read_spool


@pytest.fixture(autouse=True)
def torch(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "torch", fake_torch.module())
    yield
    fake_torch.Event.failure = None
    fake_torch.run()


def make(root: Path, **options: Any) -> _core.Writer:
    return _core.Writer(str(root), json.dumps({"run_id": "r"}), **options)


@pytest.fixture
def writer(tmp_path: Path) -> _core.Writer:
    return make(tmp_path)


def rows(writer: _core.Writer) -> list[tuple[int, dict[str, float]]]:
    return read_spool(writer.path).rows()


def pending(writer: _core.Writer) -> int:
    return writer.stats()["pending"]


# --- on the host ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (fake_torch.cpu_tensor(0.5), 0.5),
        (fake_torch.cpu_tensor(0.25, "bfloat16"), 0.25),
        (fake_torch.cpu_tensor(True), 1.0),
        (fake_torch.cpu_tensor(1.5, requires_grad=True), 1.5),
        (np.array(0.5, np.float16), 0.5),
        (np.longdouble("0.5"), 0.5),
        (np.array(True), 1.0),
        (np.uint64(2**64 - 1), 2.0**64),
        (Fraction(1, 4), 0.25),
    ],
)
def test_a_number_of_the_host_is_taken_at_once(
    writer: _core.Writer, value: Any, expected: float
) -> None:
    writer.log({"x": value, "nested": {"y": value}}, step=3)
    assert rows(writer) == [(3, {"x": expected, "nested/y": expected})]
    assert pending(writer) == 0


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (fake_torch.cuda_tensor(1.0, shape=(2,)), r"shape \(2,\); .*x\.mean\(\)"),
        (fake_torch.cuda_tensor(1.0, shape=(1,)), r"shape \(1,\)"),
        (fake_torch.cuda_tensor(1.0, "complex64"), "is complex"),
        (np.complex128(1j), "is complex"),
    ],
)
def test_what_is_no_number_is_refused_before_anything_is_recorded(
    tmp_path: Path, value: Any, said: str
) -> None:
    strict = make(tmp_path, on_error="raise")
    with pytest.raises(TypeError, match=said):
        strict.log({"good": 1.0, "device": fake_torch.cuda_tensor(2.0), "bad": value})
    fake_torch.run()
    assert strict.collect(1.0) == 0
    assert (strict.last_seq(), strict.stats()["refused"]) == (0, 1)


# --- on a device ---------------------------------------------------------------------------------


def test_a_device_value_comes_later_with_the_step_and_the_time_of_its_call(
    writer: _core.Writer,
) -> None:
    writer.log({"loss": fake_torch.cuda_tensor(0.5), "lr": 0.1}, step=10)
    assert rows(writer) == [(10, {"lr": 0.1})], "the rest of the call does not wait"
    writer.log({"lr": 0.2})
    assert pending(writer) == 1
    fake_torch.run()
    writer.log({"lr": 0.3})
    expected = [(10, {"lr": 0.1}), (11, {"lr": 0.2}), (12, {"lr": 0.3}), (10, {"loss": 0.5})]
    assert rows(writer) == expected
    points = read_spool(writer.path).points
    assert points[-1].time_ms <= points[1].time_ms + 1
    assert writer.stats()["points"] == 4
    assert pending(writer) == 0


def test_what_the_loop_does_to_the_tensor_afterwards_does_not_matter(
    writer: _core.Writer,
) -> None:
    loss = fake_torch.cuda_tensor(0.5)
    writer.log({"loss": loss}, step=1)
    loss.fill_(99.0)
    fake_torch.run_main_only()
    writer.log({"loss": loss}, step=2)
    fake_torch.run()
    assert writer.collect() == 0
    assert rows(writer) == [(1, {"loss": 0.5}), (2, {"loss": 99.0})]


def test_values_of_several_kinds_keep_their_names(writer: _core.Writer) -> None:
    cuda = fake_torch.cuda_tensor
    metrics = {
        "a": cuda(1.0),
        "b": 2.0,
        "c": {"d": cuda(3.0, "int64"), "e": cuda(4.0, "bfloat16"), "f": 5.0},
        "g": cuda(6.0),
        "c/f": cuda(7.0),
    }
    with pytest.warns(RuntimeWarning, match="'c/f' is in the call twice"):
        writer.log(metrics, step=1)
    fake_torch.run()
    assert writer.collect() == 0
    host, device = rows(writer)
    assert host == (1, {"b": 2.0, "c/f": 5.0})
    assert device == (1, {"a": 1.0, "c/d": 3.0, "c/e": 4.0, "g": 6.0})


def test_calls_are_recorded_in_their_order(writer: _core.Writer) -> None:
    for step in range(50):
        writer.log({"loss": fake_torch.cuda_tensor(float(step))}, step)
        if step % 7 == 0:
            fake_torch.run()
    fake_torch.run()
    writer.log({"x": 1.0})
    losses = [(step, row["loss"]) for step, row in rows(writer) if "loss" in row]
    assert losses == [(step, float(step)) for step in range(50)]


def test_a_call_with_device_values_only_counts_as_a_step(writer: _core.Writer) -> None:
    writer.log({"loss": fake_torch.cuda_tensor(0.5)})
    writer.log({"x": 1.0})
    fake_torch.run()
    writer.collect()
    assert rows(writer) == [(1, {"x": 1.0}), (0, {"loss": 0.5})]


def test_during_the_capture_of_a_graph_no_event_is_asked(writer: _core.Writer) -> None:
    writer.log({"loss": fake_torch.cuda_tensor(0.5)}, step=1)
    fake_torch.run()
    with fake_torch.capturing():
        writer.log({"x": 1.0})
        assert pending(writer) == 1
        with pytest.warns(RuntimeWarning, match="a graph is being captured; log after the capture"):
            writer.log({"loss": fake_torch.cuda_tensor(0.5)}, step=2)
    writer.log({"x": 1.0})
    assert pending(writer) == 0
    assert (1, {"loss": 0.5}) in rows(writer)


def test_a_device_that_fails_costs_its_values_and_one_warning(writer: _core.Writer) -> None:
    for step in range(3):
        writer.log({"loss": fake_torch.cuda_tensor(0.5), "lr": 0.1}, step)
    fake_torch.Event.failure = RuntimeError("device-side assert triggered")
    said = "'loss' could not be fetched from its device: .*device-side assert"
    with pytest.warns(RuntimeWarning, match=said) as caught:
        writer.log({"x": 1.0})
    assert len(caught) == 1
    assert (pending(writer), writer.stats()["refused"]) == (0, 3)
    assert [row for _, row in rows(writer)] == [{"lr": 0.1}] * 3 + [{"x": 1.0}]


def test_what_waits_is_bounded(writer: _core.Writer) -> None:
    wide = dict.fromkeys([f"m{i}" for i in range(60_000)], fake_torch.cuda_tensor(0.5))
    writer.log(wide, step=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        writer.log(wide, step=1)
    assert "more than 100000 values that wait for their device" in str(caught[0].message)
    assert (pending(writer), writer.stats()["refused"]) == (60_000, 60_000)
    fake_torch.run()
    writer.log(wide, step=2)
    fake_torch.run()
    assert writer.collect() == 0
    assert [(step, len(row)) for step, row in rows(writer)] == [(0, 60_000), (2, 60_000)]


def test_collect_waits_no_longer_than_it_may(writer: _core.Writer) -> None:
    writer.log({"loss": fake_torch.cuda_tensor(0.5)})
    assert writer.collect(0.05) == 1
    writer.close()
    assert pending(writer) == 1
    fake_torch.run()


def test_a_child_leaves_the_parents_values_alone(writer: _core.Writer) -> None:
    writer.log({"loss": fake_torch.cuda_tensor(0.5)}, step=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        fake_torch.run()
        writer.log({"x": 1.0})
        os._exit(0 if (writer.stats()["points"], pending(writer)) == (1, 0) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    fake_torch.run()
    writer.collect()
    assert rows(writer) == [(1, {"loss": 0.5})]


# --- the run -------------------------------------------------------------------------------------


def test_flush_and_finish_fetch_what_the_device_has(tmp_path: Path) -> None:
    run = stepline.init(mode="offline", dir=tmp_path)
    run.log({"loss": fake_torch.cuda_tensor(0.5)}, step=1)
    assert (run.health().pending, run.health().logged) == (1, 0)
    assert (run.flush(timeout=0.01).left, run.flush(timeout=0).complete) == (1, False)
    fake_torch.run()
    run.flush()
    assert (run.health().pending, run.health().logged) == (0, 1)
    run.log({"loss": fake_torch.cuda_tensor(0.25)}, step=2)
    fake_torch.run()
    report = run.finish()
    assert (report.left, report.undelivered) == (2, 0)
    assert run.spool is not None
    assert read_spool(run.spool).rows() == [(1, {"loss": 0.5}), (2, {"loss": 0.25})]


def test_finish_says_what_never_came(tmp_path: Path) -> None:
    run = stepline.init(mode="offline", dir=tmp_path)
    run.log({"loss": fake_torch.cuda_tensor(0.5), "lr": 1.0}, step=1)
    report = run.finish(timeout=0.05)
    assert (report.left, report.undelivered, report.complete) == (1, 1, False)
    assert "1 never came from a device" in str(report)
    fake_torch.run()


KILLED = """
import json, os, signal, sys
from stepline import _core
from tests.support import fake_torch

sys.modules["torch"] = fake_torch.module()
writer = _core.Writer(sys.argv[1], json.dumps({"run_id": "r"}))
print(writer.path, flush=True)
for step in range(10):
    loss = fake_torch.cuda_tensor(float(step))
    if step < 8:
        fake_torch.run()
    writer.log({"loss": loss, "lr": 0.1}, step)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_sigkill_loses_only_what_the_device_had_not_delivered(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)], cwd=root, capture_output=True, text=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    found = read_spool(done.stdout.strip()).rows()
    assert [step for step, row in found if "lr" in row] == list(range(10))
    # The copy of step 7 was begun in its call, after the device last ran.
    assert [row["loss"] for _, row in found if "loss" in row] == [float(s) for s in range(7)]
