"""Tensors of a real GPU. Run where there is one with torch, CuPy or JAX; skipped elsewhere.

pytest -m gpu tests/unit/client/test_gpu.py
"""

from __future__ import annotations

import importlib.util
import json
import time
from pathlib import Path
from typing import Any

import pytest

from stepline import _core
from tests.support.spool_file import read_spool

pytestmark = pytest.mark.gpu


def torch_on_a_gpu() -> Any:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("torch finds no GPU")
    return torch


@pytest.fixture
def writer(tmp_path: Path) -> _core.Writer:
    return _core.Writer(str(tmp_path), json.dumps({"run_id": "gpu"}))


def test_log_does_not_wait_for_the_stream(writer: _core.Writer) -> None:
    torch = torch_on_a_gpu()
    a = torch.randn(8192, 8192, device="cuda")
    writer.log({"warm": a.sum()})  # the first pinned buffer and the first kernels
    writer.collect()
    torch.cuda.synchronize()
    done = torch.cuda.Event()
    for _ in range(50):
        a = (a @ a).clamp(-1.0, 1.0)
    loss = a.mean()
    began = time.perf_counter()
    writer.log({"loss": loss, "half": loss.bfloat16(), "count": (a > 0).sum(), "lr": 0.1}, step=7)
    taken = time.perf_counter() - began
    done.record()
    busy = not done.query()
    loss.zero_()  # what comes after the call does not change what was logged
    assert writer.collect() == 0
    rows = dict(enumerate(read_spool(writer.path).rows()))
    assert rows[1] == (7, {"lr": 0.1})
    step, values = rows[2]
    assert step == 7
    assert values["loss"] == float(a.mean().item())
    assert values["half"] == pytest.approx(values["loss"], rel=0.01)
    assert values["count"] == float((a > 0).sum().item())
    assert busy, f"the device was idle after log(), which took {taken:.6f} s"


def test_a_thousand_tensors_of_one_call(writer: _core.Writer) -> None:
    torch = torch_on_a_gpu()
    expected = torch.arange(1000, dtype=torch.float64)
    writer.log({f"m{i}": value for i, value in enumerate(expected.cuda())}, step=1)
    assert writer.collect() == 0
    ((step, row),) = read_spool(writer.path).rows()
    assert (step, [row[f"m{i}"] for i in range(1000)]) == (1, expected.tolist())


def test_a_captured_graph_stays_whole(writer: _core.Writer) -> None:
    torch = torch_on_a_gpu()
    x = torch.ones((), device="cuda")
    writer.log({"before": x})
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        y = x * 2
        writer.log({"host": 1.0})
    graph.replay()
    writer.log({"after": y})
    assert writer.collect() == 0
    found = {
        name: value for _, row in read_spool(writer.path).rows() for name, value in row.items()
    }
    assert found == {"before": 1.0, "host": 1.0, "after": 2.0}


def test_arrays_of_cupy(writer: _core.Writer) -> None:
    cupy = pytest.importorskip("cupy")
    x = cupy.ones(1000)
    writer.log({"sum": x.sum(), "count": cupy.asarray(3)}, step=1)
    assert writer.collect() == 0
    assert read_spool(writer.path).rows() == [(1, {"sum": 1000.0, "count": 3.0})]


def test_arrays_of_jax(writer: _core.Writer) -> None:
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed")
    import jax

    if jax.default_backend() == "cpu":
        pytest.skip("jax finds no accelerator")
    x = jax.numpy.ones(1000)
    writer.log({"sum": x.sum(), "half": jax.numpy.bfloat16(1.5)}, step=1)
    assert writer.collect() == 0
    assert read_spool(writer.path).rows() == [(1, {"sum": 1000.0, "half": 1.5})]
