"""Points in equal points out, bit for bit, through the whole chain: spool, uploader, gRPC, service,
chDB, reader."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import stepline
from tests.support.service import Service

INT64 = st.integers(-(2**63), 2**63 - 1)
STEPS = st.one_of(st.integers(-100, 100), INT64)
# width=64 covers NaN, infinities, signed zeros and subnormals
VALUES = st.one_of(st.floats(width=64), st.sampled_from([float("nan"), -float("nan"), -0.0]))
NAMES = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=20
)

Call = tuple[int, int, dict[str, float]]  # rank, step, metrics


@st.composite
def calls(draw: st.DrawFn) -> list[Call]:
    """log() calls of up to three ranks whose key sets repeat, as those of a training loop do."""
    names = draw(st.lists(NAMES, min_size=1, max_size=6, unique=True))
    keys = draw(
        st.lists(st.lists(st.sampled_from(names), min_size=1, unique=True), min_size=1, max_size=4)
    )
    return draw(
        st.lists(
            st.tuples(st.integers(0, 2), STEPS, st.sampled_from(keys)).flatmap(
                lambda t: st.tuples(
                    st.just(t[0]), st.just(t[1]), st.fixed_dictionaries(dict.fromkeys(t[2], VALUES))
                )
            ),
            max_size=60,
        )
    )


def bits(values: np.ndarray) -> list[int]:
    return np.ascontiguousarray(values, dtype=np.float64).view(np.uint64).tolist()


RUN_NUMBERS = itertools.count()


def ranks_of_one_run(
    service: Service, spools: Path, monkeypatch: pytest.MonkeyPatch, world_size: int
) -> tuple[str, list[stepline.Run]]:
    run_id = f"chain-{next(RUN_NUMBERS)}"
    monkeypatch.setenv("STEPLINE_LAUNCH_ID", run_id)
    runs = [
        stepline.init(
            project="chain",
            run_id=run_id,
            rank=rank,
            world_size=world_size,
            server=service.grpc,
            dir=spools,
        )
        for rank in range(world_size)
    ]
    return run_id, runs


def check_equal(
    client: stepline.Client, run_id: str, expected: dict[tuple[int, str], list[tuple[int, float]]]
) -> None:
    view = client.run(run_id)
    for (rank, metric), points in expected.items():
        ordered = sorted(points, key=lambda point: point[0])  # stable: equal steps stay as logged
        history = view.history(metric, rank=rank)
        assert history.step.tolist() == [step for step, _ in ordered]
        assert bits(history.value) == bits(np.array([v for _, v in ordered]))
    stored = client.sql(f"SELECT count() FROM points WHERE run = '{run_id}'").rows[0][0]
    assert int(stored) == sum(len(points) for points in expected.values())


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(logged=calls())
def test_random_calls_come_back_bit_for_bit(
    service: Service,
    client: stepline.Client,
    spools: Path,
    monkeypatch: pytest.MonkeyPatch,
    logged: list[Call],
) -> None:
    run_id, runs = ranks_of_one_run(service, spools, monkeypatch, world_size=3)
    expected: dict[tuple[int, str], list[tuple[int, float]]] = defaultdict(list)
    for rank, step, metrics in logged:
        runs[rank].log(metrics, step=step)
        for name, value in metrics.items():
            expected[rank, name].append((step, value))
    for run in runs:
        assert run.finish().left == 0
    check_equal(client, run_id, expected)


def test_a_million_points_of_bulk_arrays_and_rows(
    service: Service, client: stepline.Client, spools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id, (run,) = ranks_of_one_run(service, spools, monkeypatch, world_size=1)
    rng = np.random.default_rng(7)
    steps = np.arange(600_000, dtype=np.int64) - 1_000
    noise = rng.normal(size=600_000).astype(np.float32).astype(np.float64)
    noise[::1_000] = np.nan
    run.log_array("bulk", steps, noise)
    rows = rng.normal(size=(8_000, 50))
    names = [f"layer/{i}/norm" for i in range(50)]
    for step in range(8_000):
        run.log(dict(zip(names, rows[step].tolist(), strict=True)), step=step)
    report = run.finish(timeout=120)
    assert (report.stored, report.left) == (1_000_000, 0)
    view = client.run(run_id)
    bulk = view.history("bulk")
    np.testing.assert_array_equal(bulk.step, steps)
    assert bits(bulk.value) == bits(noise)
    for index in (0, 49):
        np.testing.assert_array_equal(view.history(names[index]).value, rows[:, index])


@pytest.mark.parametrize("uploader", ["process", "thread"])
def test_both_uploaders_carry_the_same_points(
    service: Service, client: stepline.Client, spools: Path, uploader: str
) -> None:
    run = stepline.init(
        project="chain", server=service.grpc, dir=spools, uploader=uploader, config={"lr": 3e-4}
    )
    for step in range(1_000):
        run.log({"loss": 1.0 / (step + 1), "nested": {"a": step}}, step=step)
    assert run.flush(timeout=60).left == 0
    assert len(client.run(run.id).history("nested/a").step) == 1_000
    assert run.finish().left == 0
    (row,) = [r for r in client.runs(project="chain") if r.id == run.id]
    assert row.state == "finished"
    assert row.config == {"lr": 3e-4}


def test_steps_without_a_number_count_by_themselves(
    service: Service, client: stepline.Client, spools: Path
) -> None:
    run = stepline.init(project="chain", server=service.grpc, dir=spools)
    run.log({"a": 1.0})
    run.log({"a": 2.0})
    run.log({"a": 3.0}, step=10)
    run.log({"a": 4.0})
    run.finish()
    assert client.run(run.id).history("a").step.tolist() == [0, 1, 10, 11]


def as_float(x: float) -> float:
    return x


@pytest.mark.parametrize("kind", [as_float, np.float32, np.float64, np.asarray])
def test_scalars_of_every_kind(
    service: Service, client: stepline.Client, spools: Path, kind: Callable[[float], object]
) -> None:
    run = stepline.init(project="chain", server=service.grpc, dir=spools)
    run.log({"x": kind(0.5), "i": 7, "b": True}, step=3)
    run.finish()
    view = client.run(run.id)
    assert [view.history(m).value.tolist() for m in ("x", "i", "b")] == [[0.5], [7.0], [1.0]]
