"""The reports say what is stored, what is left, and how to send the rest."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from stepline.report import FinishReport, FlushReport, LogLatency, sync_command


def finished(**changes: Any) -> FinishReport:
    values: dict[str, Any] = {
        "run_id": "a1b2c3",
        "stored": 12_345,
        "left": 0,
        "refused": 0,
        "gaps": 0,
        "seconds": 0.5,
        "server": "metrics:7424",
        "spool": None,
        "error": "",
    }
    return FinishReport(**{**values, **changes})


def test_a_complete_run_says_how_much_is_stored() -> None:
    report = finished()
    assert str(report) == "run a1b2c3: 12,345 points stored"
    assert report.complete
    assert report.command is None


def test_what_is_left_comes_with_the_reason_the_place_and_the_command() -> None:
    report = finished(left=1_000, spool=Path("/spools/w1"), error="connection refused")
    assert str(report) == (
        "run a1b2c3: 12,345 points stored, 1,000 left (connection refused); they wait in "
        "/spools/w1, send them with: stepline sync /spools/w1 --server metrics:7424"
    )
    assert not report.complete


def test_without_a_known_reason_none_is_given() -> None:
    assert "1 left; they wait" in str(finished(left=1, spool=Path("/s")))


@pytest.mark.parametrize(("left", "spool"), [(0, None), (5, Path("/s"))])
def test_refused_values_and_lost_points_are_counted(left: int, spool: Path | None) -> None:
    text = str(finished(refused=1_234, gaps=5_678, left=left, spool=spool))
    assert ", 1,234 values refused, 5,678 lost for want of room" in text


def test_lost_points_make_a_run_incomplete_and_refused_values_do_not() -> None:
    assert finished(refused=3).complete
    assert not finished(gaps=1).complete


def test_the_command_survives_a_shell() -> None:
    spool = Path("/my spools/it's; rm -rf")
    command = sync_command(spool, "host:1")
    assert shlex.split(command) == ["stepline", "sync", str(spool), "--server", "host:1"]


def test_a_flush_is_complete_when_nothing_is_left() -> None:
    report = FlushReport(stored=3, left=0, durable=True, seconds=0.0, error="")
    assert report.complete
    assert not FlushReport(stored=3, left=1, durable=True, seconds=0.0, error="x").complete


def test_quantiles_of_the_latency_are_bounds_of_its_buckets() -> None:
    latency = LogLatency.of([(255, 90), (511, 9), (8191, 1)], 8000)
    assert (latency.calls, latency.p50_ns, latency.p99_ns, latency.max_ns) == (100, 255, 511, 8000)
    assert LogLatency.of([(8191, 1)], 8000).p50_ns == 8000
    empty = LogLatency.of([], 0)
    assert (empty.calls, empty.p50_ns, empty.p99_ns, empty.histogram) == (0, 0, 0, ())


def test_values_that_never_came_make_a_run_incomplete() -> None:
    report = finished(undelivered=2_000)
    assert not report.complete
    assert "2,000 never came from a device" in str(report)
