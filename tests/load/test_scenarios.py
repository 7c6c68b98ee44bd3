"""The load scenarios, small: what every writer had acknowledged is stored exactly once."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest import scenario
from loadtest.clients import Load, drive
from loadtest.run import run_against
from tests.support.processes import stop_uploaders
from tests.support.service import Service


@pytest.mark.parametrize("name", scenario.names())
def test_scenario_conserves_points(name: str, service: Service, tmp_path: Path) -> None:
    plan = scenario.load(name).shortened(rounds=5, users=6)
    result = run_against(service.grpc, plan, tmp_path, run_id=name, quiet=True)
    assert result["sound"], result["verdict"]


def test_real_clients_conserve_points(service: Service, tmp_path: Path) -> None:
    load = Load(processes=2, metrics=10, rate=5_000, seconds=0.5)
    try:
        result = drive(load, service.grpc, tmp_path / "spools")
    finally:
        stop_uploaders(tmp_path / "spools")
    assert result["sound"], result["verdict"]


def test_unknown_scenario_names_those_that_exist() -> None:
    with pytest.raises(SystemExit, match="steady"):
        scenario.load("no-such-scenario")
