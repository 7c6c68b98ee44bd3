"""Starting a run with a service that answers, refuses, or is not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import stepline
from stepline import _core, init
from stepline.delivery import ByProcess


def rpc_error(code: str, message: str) -> _core.RpcError:
    error = _core.RpcError(f"{code}: {message}")
    error.kind, error.code, error.message = "refused", code, message
    return error


class Registry:
    """A service that answers each CreateRun with the next of its replies."""

    def __init__(self, *replies: int | _core.RpcError) -> None:
        self.replies = list(replies)
        self.requests: list[dict[str, Any]] = []
        self.closed = 0

    def connect(self, server: str, *, api_key: str | None, **options: object) -> Registry:
        self.server, self.api_key = server, api_key
        return self

    def create_run(self, request_json: str) -> tuple[int, dict[str, Any]]:
        self.requests.append(json.loads(request_json))
        reply = self.replies.pop(0)
        if isinstance(reply, _core.RpcError):
            raise reply
        return reply, {"run_id": self.requests[-1]["run_id"]}

    def close(self) -> None:
        self.closed += 1


@pytest.fixture(autouse=True)
def nobody_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ByProcess, "tend", lambda self, spool: None)


def start(
    monkeypatch: pytest.MonkeyPatch, registry: Registry, folder: Path, **options: Any
) -> stepline.Run:
    monkeypatch.setattr(_core, "Connection", registry.connect)
    return stepline.init(dir=folder, server="metrics:1", **options)


def meta_of(run: stepline.Run) -> dict[str, Any]:
    assert run.spool is not None
    meta: dict[str, Any] = json.loads((run.spool / "spool.json").read_text())
    return meta


TAKEN = rpc_error(
    "ALREADY_EXISTS", "run r exists already; pass resume='allow' to continue it, or another run_id"
)
AWAY = rpc_error("UNAVAILABLE", "connection refused")


def test_the_service_learns_of_the_run_before_the_spool_is_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    registry = Registry(3)
    run = start(
        monkeypatch,
        registry,
        tmp_path,
        project="p",
        run_id="r",
        config={"lr": 0.5},
        tags=["a"],
        resume="allow",
        api_key="secret",
        rank=1,
        world_size=2,
    )
    (request,) = registry.requests
    meta = meta_of(run)
    assert (run.attempt, meta["attempt"]) == (3, 3)
    assert request["writer"] == meta["writer"] == run.spool.name if run.spool else False
    assert (request["run_id"], request["resume"], request["tags"]) == ("r", "allow", ["a"])
    assert (request["rank"], request["world_size"]) == (1, 2)
    assert json.loads(request["config_json"]) == {"lr": 0.5}
    assert (registry.server, registry.api_key, registry.closed) == ("metrics:1", "secret", 1)
    assert "api_key" not in request
    assert "server" not in request


def test_rank_0_says_where_the_run_goes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start(monkeypatch, Registry(1), tmp_path, run_id="r", project="p")
    assert capsys.readouterr().err == "stepline: run r of project p -> metrics:1\n"


def test_a_random_id_that_is_taken_is_thrown_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    registry = Registry(TAKEN, TAKEN, 1)
    run = start(monkeypatch, registry, tmp_path)
    tried = [request["run_id"] for request in registry.requests]
    assert len(set(tried)) == 3
    assert (run.id, meta_of(run)["run_id"]) == (tried[-1], tried[-1])


def test_a_service_that_takes_no_id_at_all_is_not_asked_for_ever(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    registry = Registry(*[TAKEN] * 10)
    with pytest.raises(stepline.RunExists):
        start(monkeypatch, registry, tmp_path)
    assert len(registry.requests) == init.__globals__["_RANDOM_ID_TRIES"]


@pytest.mark.parametrize("on_error", ["offline", "raise", "disabled"])
def test_a_refusal_raises_whatever_was_asked_and_leaves_no_spool(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, on_error: Any
) -> None:
    with pytest.raises(stepline.RunExists, match="resume"):
        start(monkeypatch, Registry(TAKEN), tmp_path, run_id="r", on_error=on_error)
    assert list(tmp_path.glob("*/spool.json")) == []


def test_a_service_that_is_away_costs_a_warning_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = start(monkeypatch, Registry(AWAY), tmp_path, run_id="r")
    said = capsys.readouterr().err
    assert f"stepline sync {tmp_path} --server metrics:1" in said
    assert "no service at metrics:1" in said
    assert (run.mode, run.attempt, meta_of(run)["attempt"]) == ("online", None, None)
    run.log({"loss": 1.0})
    report = run.finish(timeout=0)
    assert (report.stored, report.left) == (0, 1)


def test_the_second_start_of_a_run_in_a_process_is_another_launch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STEPLINE_LAUNCH_ID", "job-7")
    registry = Registry(1, 1, 2)
    for rank in (0, 1, 0):
        start(
            monkeypatch, registry, tmp_path, run_id="twice", resume="allow", rank=rank, world_size=2
        )
    launches = [request["launch_id"] for request in registry.requests]
    assert launches == ["job-7", "job-7", "job-7#2"]
