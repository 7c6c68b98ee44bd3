"""Runs found again: by filters, orders, groups and columns, through a real service."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

import stepline
from stepline.cli.main import main
from stepline.errors import InvalidRequest
from tests.support.service import Service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("catalogue")
    with Service(directory / "data") as running:
        for number in range(4):
            run = stepline.init(
                project="p" if number else "q",
                run_id=f"r{number}",
                name="" if number else "the first",
                config={"lr": 10.0**-number, "model": {"depth": number // 2}, "odd key": "ü"},
                tags=["big"] if number % 2 else [],
                group="g",
                server=running.grpc,
                dir=directory / "spool",
                uploader="thread",
            )
            run.config["late"] = [number, "x"]
            run.summary["acc"] = number / 4
            run.define_metric("val/*", goal="minimize", summary="best")
            for step, value in enumerate((3.0, float("nan"), 1.0 + number, 2.0)):
                run.log({"val/loss": value, "acc": 0.1}, step=step)
            run.finish()
        yield running


@pytest.fixture
def client(service: Service) -> Iterator[stepline.Client]:
    with stepline.connect(service.grpc) as found:
        yield found


def ids(found: list[stepline.RunInfo]) -> list[str]:
    return [run.id for run in found]


def settled(client: stepline.Client) -> None:
    """Returns when the table of summaries, which follows the points, has all of them."""
    for _ in range(1_000):
        if client.runs(filter="summary.val/loss.count = 4").total == 4:
            return
        time.sleep(0.05)
    raise AssertionError("the summaries do not follow the points")


def test_a_filter_and_an_order(client: stepline.Client) -> None:
    found = client.runs(filter='config.lr < 0.5 and state = "finished"', sort="config.lr")
    assert (ids(found), found.total) == (["r3", "r2", "r1"], 3)
    assert ids(client.runs("p", filter="summary.acc >= 0.5", sort="-summary.acc")) == ["r3", "r2"]
    assert ids(client.runs(filter='"x" in config.late and 3 in config.late')) == ["r3"]
    assert ids(client.runs(filter='name matches "first$"')) == ["r0"]
    page = client.runs(sort=["-config.model/depth", "id"], limit=2, offset=1)
    assert (ids(page), page.total) == (["r3", "r0"], 4)
    with pytest.raises(
        InvalidRequest, match=r"character 1, .*has config.lrr; did you mean config.lr"
    ):
        client.runs(filter="config.lrr > 0")
    with pytest.raises(InvalidRequest, match="RE2"):
        client.runs(filter='name matches "("')


def test_a_change_is_found_at_once(client: stepline.Client) -> None:
    client._transport.update_run(json.dumps({"run_id": "r1", "config_json": '{"new":{"key":7}}'}))
    assert ids(client.runs(filter="config.new.key = 7")) == ["r1"]
    client._transport.update_run(json.dumps({"run_id": "r1", "config_json": '{"new":8}'}))
    with_key = client.runs(filter="config.new.key = null", sort="id")
    assert ids(with_key) == ["r0", "r1", "r2", "r3"]
    assert ids(client.runs(filter="config.new = 8")) == ["r1"]
    changes = client._transport.list_config_changes("r1")
    said = [(one["key"], one["before_json"], one["after_json"]) for one in changes]
    assert said[-3:] == [("new.key", "", "7"), ("new", "", "8"), ("new.key", "7", "")]
    assert ("late", "", '[1,"x"]') in said
    assert {one["attempt"] for one in changes} == {1}


def test_columns_leave_the_config_out(client: stepline.Client) -> None:
    (run,) = client.runs(
        filter='id = "r2"', columns=['config."odd key"', "summary.acc", "config.x"]
    )
    assert run.values == {'config."odd key"': "ü", "summary.acc": 0.5, "config.x": None}
    assert (run.config, run.summary) == ({}, {})


def test_groups_open(client: stepline.Client) -> None:
    groups = client.groups(["config.model.depth", "tags"])
    assert [(group.values, group.count) for group in groups] == [
        ((0, None), 1), ((0, "big"), 1), ((1, None), 1), ((1, "big"), 1),
    ]  # fmt: skip
    assert ids(client.runs(filter=groups[1].filter)) == ["r1"]


def test_projects_and_keys(client: stepline.Client) -> None:
    projects = {one.name: (one.runs, one.running) for one in client.projects()}
    assert projects == {"p": (3, 0), "q": (1, 0)}
    keys = {key.key: key for key in client.keys("p")}
    assert keys["config.lr"].runs == keys["config.lr"].numbers == 3
    assert (keys["config.lr"].min, keys["config.lr"].max) == (0.001, 0.1)
    assert keys['config."odd key"'].texts == keys["config.late"].lists == 3
    assert [key.key for key in client.keys(search="DEPTH")] == ["config.model.depth"]


def test_the_command_line(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    server = ["--server", service.grpc]
    asked = ["runs", "--sort=-config.lr", "--columns", "config.lr,summary.acc", "--limit", "2"]
    assert main([*asked, *server]) == 0
    out = capsys.readouterr().out
    assert [line.split()[:1] for line in out.splitlines()[3:5]] == [["r0"], ["r1"]]
    assert "2 of 4 runs" in out
    assert main(["runs", "--group-by", "group", "--json", *server]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {"values": ["g"], "count": 4, "filter": 'group = "g"'}
    ]
    assert main(["runs", "--filter", "config.lr >", *server]) == 1
    assert "character 12, at its end: a value is missing here" in capsys.readouterr().err


def test_metrics_are_columns_filters_and_orders(client: stepline.Client) -> None:
    asked = ["summary.val/loss", "summary.val/loss.mean", "summary.val/loss.last", "summary.acc"]
    settled(client)
    found = client.runs(filter="summary.val/loss.min < 3", sort="-summary.val/loss", columns=asked)
    # What the user has set wins over what was logged under the same name.
    assert [(run.id, *run.values.values()) for run in found] == [
        ("r3", 2.0, 3.0, 2.0, 0.75), ("r2", 2.0, 8 / 3, 2.0, 0.5),
        ("r1", 2.0, 7 / 3, 2.0, 0.25), ("r0", 1.0, 2.0, 2.0, 0.0),
    ]  # fmt: skip
    keys = {key.key: key for key in client.keys(prefix="summary.val")}
    assert keys["summary.val/loss"].live
    with pytest.raises(InvalidRequest, match=r"did you mean summary.val/loss.min"):
        client.runs(sort="summary.val/los.min")


def test_runs_are_compared(
    service: Service, client: stepline.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    found = client.compare(["r0", "r2"])
    assert [(row.key, row.values) for row in found.config] == [
        ("lr", (1.0, 0.01)), ("model.depth", (0, 1)), ("late", ([0, "x"], [2, "x"])),
    ]  # fmt: skip
    loss = next(row for row in found.metrics if row.name == "val/loss")
    assert (loss.shown, loss.best) == ((1.0, 2.0), 0)
    assert [len(chart) for chart in found.charts("val/loss")] == [4, 4]
    server = ["--server", service.grpc]
    assert main(["compare", "r0", "r2", *server]) == 0
    out = capsys.readouterr().out
    assert "3 keys differ" in out
    assert "1 *" in out
    assert "r0 the first" in out.rpartition("Metrics")[2], "the legend of the curves"
    assert main(["compare", "r0", "r2", "--json", *server]) == 0
    assert json.loads(capsys.readouterr().out)["config"]["lr"] == [1.0, 0.01]
    for wrong, said in ((["r0"], "two different runs"), (["r0", "rr"], "There is no run 'rr'")):
        assert main(["compare", *wrong, *server]) == 1
        assert said in capsys.readouterr().err


def test_runs_are_edited(
    service: Service, client: stepline.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    view = client.run("r3").set_tags(["x", "y"]).set_notes("two\nlines")
    assert (view.info.tags, view.info.notes) == (("x", "y"), "two\nlines")
    edited = ["edit", "r3", "--tag", "z", "--untag", "x", "--group", "h", "--name", "n"]
    assert main([*edited, "--server", service.grpc]) == 0
    info = client.run("r3").info
    assert (info.tags, info.group, info.name, info.notes) == (("y", "z"), "h", "n", "two\nlines")
    assert ids(client.runs(filter='"z" in tags and group = "h" and notes contains "lines"')) == [
        "r3"
    ]
    assert "r3" in capsys.readouterr().out


def test_metrics_of_many_runs(client: stepline.Client) -> None:
    found = client.metrics(["r0", "r1", "r2"])
    assert [(metric.name, metric.runs) for metric in found] == [("acc", 3), ("val/loss", 3)]
    assert client.metrics(["r0", "r1"], prefix="val/")[0].goal == "minimize"
    grouped = client._transport.list_metrics({"run_ids": ["r0", "r1"], "grouped": True, "limit": 1})
    assert (grouped["groups"], grouped["total"]) == ([("acc", 1), ("val/", 1)], 2)
    summary = client.run("r1").summary
    assert (summary["val/loss"], summary["acc"]) == (2.0, 0.25)
    loss = summary.metrics["val/loss"]
    assert (loss.min_step, loss.max_step, loss.first_value, loss.mean) == (2, 0, 3.0, 7 / 3)
    assert (loss.best, loss.best_step, loss.shown) == (2.0, 2, 2.0)
