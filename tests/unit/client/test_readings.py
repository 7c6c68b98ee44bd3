"""How often a host is measured is a number of seconds, and goes along with the spool."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import stepline
from stepline.errors import InvalidRequest
from stepline.readings import Readings


@pytest.mark.parametrize(
    ("asked", "interval_ms", "cores"),
    [
        (15, 15_000, False),
        (0.5, 500, False),
        ("2.5", 2_500, False),
        ("15s", 15_000, False),
        ("15,cores", 15_000, True),
        (True, 15_000, False),
        (False, 0, False),
        ("off", 0, False),
        (0, 0, False),
    ],
)
def test_an_interval_is_seconds(asked: Any, interval_ms: int, cores: bool) -> None:
    assert Readings.parse(asked) == Readings(interval_ms=interval_ms, cores=cores)


@pytest.mark.parametrize("asked", ["often", -1, 0.01, 1e9, "nan", "inf", "15,gpus", "", "1,2"])
def test_what_is_no_interval_is_refused(asked: Any) -> None:
    with pytest.raises(InvalidRequest, match="system_metrics="):
        Readings.parse(asked)


def test_the_uploader_reads_it_from_the_spool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meta(**options: Any) -> dict[str, Any]:
        run = stepline.init(mode="offline", dir=tmp_path, **options)
        assert run.spool is not None
        found: dict[str, Any] = json.loads((run.spool / "spool.json").read_text())
        return found

    assert meta()["system_ms"] == 0
    assert (meta(system_metrics=2)["system_ms"], meta()["local_rank"]) == (2_000, 0)
    monkeypatch.setenv("STEPLINE_SYSTEM_METRICS", "30,cores")
    found = meta(rank=3, world_size=8)
    assert (found["system_ms"], found["system_cores"], found["local_rank"]) == (30_000, True, None)
