"""What `view.points()` and `stepline export` give is what was logged."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet
import pytest

import stepline
from stepline import _core
from stepline.errors import MetricNotFound, ServerUnreachable
from tests.support.service import Service

STEPS = 500


@pytest.fixture(scope="module")
def run_id(service: Service, tmp_path_factory: pytest.TempPathFactory) -> str:
    run = stepline.init(
        project="export", server=service.grpc, dir=tmp_path_factory.mktemp("spools")
    )
    for step in range(STEPS):
        run.log({"train/loss": 1 / (step + 1), 'lr, "quoted"': math.nan, "eval": step}, step)
    assert run.finish(timeout=60).complete
    return run.id


def export(service: Service, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stepline.cli", "export", *map(str, arguments)]
    return subprocess.run(
        [*command, "--server", service.grpc], capture_output=True, text=True, check=False
    )


def test_points_come_as_batches_and_as_tables(service: Service, run_id: str) -> None:
    with stepline.connect(service.grpc) as client:
        points = client.run(run_id).points(["train/*", "eval"])
        assert sum(len(batch) for batch in points) == 2 * STEPS
        (first, *_) = points
        assert first.columns()["metric"].shape == first.value.shape
        table = points.to_arrow()
        losses = table.filter(pyarrow.compute.equal(table["metric"].cast("string"), "train/loss"))
        assert losses["step"].to_pylist() == list(range(STEPS))
        assert np.array_equal(losses["value"].to_numpy(), 1 / np.arange(1, STEPS + 1))
        assert points.to_pandas()["run"].unique().tolist() == [run_id]
        assert points.to_polars().shape == (2 * STEPS, 7)
        assert client.run(run_id).points(ranks=[5]).to_arrow().num_rows == 0
        with pytest.raises(MetricNotFound, match="train/loss"):
            client.run(run_id).points(["train/los"]).to_arrow()


def test_a_broken_connection_is_taken_up_where_it_broke(
    service: Service, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepline.points._PAUSES", (0.0,))
    with stepline.connect(service.grpc) as client:
        view = client.run(run_id)
        whole = str(view.points().to_arrow().to_pydict())
        read, asked = client._transport.export, []

        def breaking(run: str, **request: object):
            asked.append(request["after"])
            yield from read(run, **request)
            if len(asked) == 1:
                error = _core.CoreError("the connection broke")
                error.kind, error.message = "unreachable", "the connection broke"
                raise error

        monkeypatch.setattr(client, "_transport", Breaking(breaking))
        # As text, where NaN equals NaN.
        assert str(view.points().to_arrow().to_pydict()) == whole
        assert asked[0] == b""
        assert asked[1] != b""
        monkeypatch.setattr(client, "_transport", Breaking(unreachable))
        with pytest.raises(ServerUnreachable):
            view.points().to_arrow()


class Breaking:
    def __init__(self, export) -> None:
        self.export = export

    def close(self) -> None: ...


def unreachable(run: str, **request: object):
    error = _core.CoreError("nobody answers")
    error.kind, error.message = "unreachable", "nobody answers"
    raise error
    yield


@pytest.mark.parametrize("form", ["parquet", "arrow", "csv"])
def test_the_command_writes_every_point(
    service: Service, run_id: str, tmp_path: Path, form: str
) -> None:
    path = tmp_path / f"points.{form}"
    done = export(service, run_id, "-o", path)
    assert (done.returncode, done.stdout) == (0, f"{3 * STEPS:,} points in {path}\n"), done.stderr
    if form == "parquet":
        table = pyarrow.parquet.read_table(path)
    elif form == "arrow":
        table = pyarrow.ipc.open_stream(path).read_all()
    else:
        table = pyarrow.csv.read_csv(path)
    assert table.column_names == ["run", "metric", "rank", "attempt", "step", "time", "value"]
    found = table.select(["metric", "step"]).cast(
        pyarrow.schema([("metric", pyarrow.string()), ("step", pyarrow.int64())])
    )
    names = ("train/loss", 'lr, "quoted"', "eval")
    expected = {(name, step) for name in names for step in range(STEPS)}
    rows = list(zip(*found.to_pydict().values(), strict=True))
    assert len(rows) == len(expected)
    assert set(rows) == expected
    values = table["value"].to_numpy()
    assert np.isnan(values).sum() == STEPS
    assert np.isclose(np.nansum(values), sum(range(STEPS)) + (1 / np.arange(1, STEPS + 1)).sum())
    again = export(service, run_id, "-o", path)
    assert (again.returncode, "--force" in again.stderr) == (1, True)
    assert export(service, run_id, "-o", path, "--force", "--metric", "eval").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-o", "points.xlsx"], ".parquet"),
        (["-o", "nowhere/points.csv"], "No such file"),
        (["-o", "points.csv", "--metric", "evil"], "'eval'"),
        (["-o", "points.csv", "--start", "5", "--stop", "4"], "swap"),
    ],
)
def test_what_cannot_be_written_leaves_nothing(
    service: Service, run_id: str, tmp_path: Path, monkeypatch, arguments: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = export(service, run_id, *arguments)
    assert (done.returncode, says in done.stderr) == (1, True), done.stderr
    assert list(tmp_path.iterdir()) == []
