"""Promise: filters, keys, groups and changes tell a key of one project nothing of another one."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest

import stepline
from stepline import _core
from stepline.errors import AccessDenied, InvalidRequest, RunNotFound
from stepline.jsonable import dumps
from tests.security.conftest import Guarded


@pytest.fixture
def projects(guarded: Guarded) -> tuple[str, str]:
    """A project with a run "KEY-NAME" each, told apart by keys of their configs."""
    names = (f"mine-{uuid.uuid4().hex[:8]}", f"theirs-{uuid.uuid4().hex[:8]}")
    for name in names:
        with stepline.init(
            project=name, run_id=name, config={name.partition("-")[0]: {"lr": 1}, "lr": 2},
            server=guarded.grpc, api_key=guarded.key("ingest", name), uploader="thread",
            mode="online", capture="none",
        ) as run:  # fmt: skip
            run.summary[f"{name.partition('-')[0]}_acc"] = 1
            run.log({f"{name.partition('-')[0]}/loss": 1.0}, step=1)
            run.config["lr"] = 3
    return names


def test_a_key_sees_its_own_project_only(guarded: Guarded, projects: tuple[str, str]) -> None:
    mine, theirs = projects
    with stepline.connect(guarded.grpc, api_key=guarded.key("read", mine)) as client:
        assert [run.id for run in client.runs(filter="config.lr = 3", sort="config.lr")] == [mine]
        assert client.runs(theirs, filter="config.lr = 3") == []
        assert client.runs(filter=f'id != "{mine}"') == []
        assert client.runs(filter=f'project = "{theirs}"') == []
        assert [(group.values, group.count) for group in client.groups("project")] == [((mine,), 1)]
        assert [project.name for project in client.projects()] == [mine]
        keys = {key.key for key in client.keys()}  # noqa: SIM118
        assert {"config.lr", "config.mine.lr", "summary.mine_acc"} <= keys
        assert not any("theirs" in key for key in keys)
        assert client.keys(theirs) == []
        refused: list[Callable[[], object]] = [
            lambda: client.runs(filter="config.theirs.lr = 1"),
            lambda: client.runs(sort="summary.theirs/loss.min"),
            lambda: client.groups("summary.theirs_acc"),
        ]
        for call in refused:
            with pytest.raises(InvalidRequest) as caught:
                call()
            said = str(caught.value)
            assert f"no run of project {mine} has" in said
            assert "did you mean" not in said or "theirs" not in said.rpartition("did you mean")[2]
        for call in (
            lambda: client.run(theirs),
            lambda: client._transport.list_config_changes(theirs),
            lambda: client.metrics([mine, theirs]),
            lambda: client.compare([mine, theirs]),
        ):
            with pytest.raises((RunNotFound, _core.RpcError), match=theirs):
                call()
        with pytest.raises(AccessDenied):
            client.run(mine).set_notes("no")
    with stepline.connect(guarded.grpc, api_key=guarded.key("ingest", mine)) as client:
        changed = {"run_id": theirs, "add_tags": ["x"]}
        with pytest.raises(_core.RpcError, match="not known here"):
            client._transport.update_run(dumps(changed))
