"""The command line: what it asks the service, what it prints, and how it fails."""

from __future__ import annotations

import io
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import stepline
from stepline import _core
from stepline.cli.main import COMMANDS, main
from stepline.errors import unreachable
from stepline.expired import Fields
from stepline.reader import Client

RUN: dict[str, Any] = {
    "run_id": "a1b2c3",
    "project": "gpt",
    "name": "",
    "state": "running",
    "config_json": '{"lr":0.1,"_stepline":{"metrics":{}}}',
    "summary_json": "",
    "tags": ["big", "new"],
    "group": "",
    "job_type": "",
    "notes": "",
    "attempts": 2,
    "world_size": 1024,
    "created_ms": 1_700_000_000_000,
    "updated_ms": 1_700_000_001_000,
    "exit_code": None,
}
METRIC: dict[str, Any] = {
    "name": "train/loss",
    "count": 1_234_567,
    "ranks": 4,
    "first_step": 0,
    "last_step": 99,
    "last_value": math.nan,
    "min": 0.1234567891,
    "max": math.inf,
    "nonfinite": 3,
    "mean": 0.5,
    "first_value": 1.0,
    "min_step": 7,
    "max_step": 8,
    "runs": 1,
    "x": "",
    "goal": "minimize",
    "unit": "",
    "summary": "",
    "hidden": False,
}
ANSWER = b'["run","n","x"]\n["String","UInt64","Float64"]\n["a",12,"nan"]\n["b",3,0.5]\n'


def status(code: str, message: str) -> _core.RpcError:
    error = _core.RpcError(message)
    error.kind, error.code, error.message = "refused", code, message
    return error


class Service:
    """Answers like a connection, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.failure: Exception | None = None
        self.closed = 0

    def _ask(self, *request: Any) -> None:
        self.asked.append(request)
        if self.failure is not None:
            raise self.failure

    def get_run(self, run_id: str) -> dict[str, Any]:
        self._ask("run", run_id)
        if run_id != RUN["run_id"]:
            raise status("NOT_FOUND", f"no run {run_id}")
        return RUN

    def list_runs(self, fields: dict[str, Any]) -> dict[str, Any]:
        self._ask("runs", {name: value for name, value in fields.items() if value})
        return {"runs": [RUN], "total": 1, "groups": []}

    def list_metrics(self, fields: dict[str, Any]) -> dict[str, Any]:
        self._ask("metrics", {name: value for name, value in fields.items() if value})
        found = [METRIC] if METRIC["name"].startswith(fields["prefix"]) else []
        return {"metrics": found, "total": len(found), "groups": []}

    def history(
        self,
        run_id: str,
        metric: str,
        rank: int,
        start: int | None,
        stop: int | None,
        all_attempts: bool,
    ) -> Iterator[tuple[int, bytes, bytes, bytes, bytes, list[Fields]]]:
        self._ask("history", run_id, metric, rank, start, stop, all_attempts)
        if metric == METRIC["name"]:
            steps, times = np.array([0, 1]), np.array([1_700_000_000_000, 1_700_000_000_007])
            values = np.array([0.1 + 0.2, math.nan])
            yield 2, steps.tobytes(), times.tobytes(), values.tobytes(), b"", []

    def chart(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        run_ids, metrics, ranks = request["run_ids"], request["metrics"], request["ranks"]
        given = [request[name] for name in ("points", "x", "start", "stop")]
        self._ask("chart", run_ids, metrics, *given, ranks)
        steps, ones = np.arange(4).tobytes(), np.ones(4, np.uint64).tobytes()
        line = {"run_id": run_ids[0], "metric": metrics[0], "bucket_width": 1, "tier_width": 0}
        columns: dict[str, bytes] = {
            **dict.fromkeys(("min", "max", "mean", "first", "last"), np.arange(4.0).tobytes()),
            **dict.fromkeys(("x", "argmin", "argmax"), steps),
            "count": ones,
            "nonfinite": bytes(32),
        }
        found = [None] if ranks == "band" else [0, 1] if ranks == "all" else [ranks]
        return [{**line, **columns, "rank": rank} for rank in found]

    def sql(self, query: str, format: str) -> bytes:
        self._ask("sql", query)
        return ANSWER

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    made = Service()

    def connect(server: str | None = None, *, api_key: str | None = None) -> Client:
        made.asked.append(("connect", server, api_key))
        return Client(made, server or "127.0.0.1:7424")

    monkeypatch.setattr("stepline.cli.options.connect", connect)
    return made


@pytest.fixture
def output(capsys: pytest.CaptureFixture[str]) -> pytest.CaptureFixture[str]:
    return capsys


# --- finding the command -------------------------------------------------------------------------


def test_help_lists_the_commands() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "stepline.cli", "--help"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    for name, module in COMMANDS.items():
        assert f"    {name} " in done.stdout
        assert " ".join(module.HELP.split()) in " ".join(done.stdout.split())


def test_the_version_is_that_of_the_package(output: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert output.readouterr().out == f"stepline {stepline.__version__}\n"


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "serve"])
def test_every_command_explains_itself(command: str, output: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"usage: stepline {command}" in output.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "COMMAND"),
        (["dance"], "invalid choice: 'dance'"),
        (["metrics"], "run"),
        (["history", "r"], "metric"),
        (["history", "r", "m", "--csv", "--json"], "not allowed with"),
        (["history", "r", "m", "--rank", "x"], "invalid int value"),
        (["plot", "r", "m", "--rank", "-1"], "--rank"),
        (
            ["plot", "r", "m", "--rank", "some"],
            "'some' is no rank: use a number, band, all",
        ),
        (["runs", "--limit", "x"], "invalid int value"),
    ],
)
def test_wrong_usage_exits_with_2(
    service: Service, arguments: list[str], said: str, output: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert said in output.readouterr().err
    assert service.asked == []


# --- what is asked -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        (["runs"], ("runs", {"limit": 20})),
        (["runs", "--project", "p", "--limit", "3"], ("runs", {"project": "p", "limit": 3})),
        (
            ["runs", "-f", "tags = null", "--sort=-config.lr,created", "--offset", "2"],
            (
                "runs",
                {
                    "filter": "tags = null",
                    "sort": ["-config.lr", "created"],
                    "limit": 20,
                    "offset": 2,
                },
            ),
        ),
        (
            ["runs", "--group-by", 'config."a,b", state'],
            ("runs", {"group_by": ['config."a,b"', "state"], "limit": 20}),
        ),
        (
            ["metrics", "a1b2c3", "--prefix", "train/"],
            ("metrics", {"run_id": "a1b2c3", "prefix": "train/"}),
        ),
        (
            ["metrics", "a1b2c3", "--pattern", "*/loss", "--regex", "^t", "--limit", "5"],
            ("metrics", {"run_id": "a1b2c3", "pattern": "*/loss", "regex": "^t", "limit": 5}),
        ),
        (
            ["history", "a1b2c3", "train/loss", "--rank", "2", "--start", "-5", "--stop", "9"],
            ("history", "a1b2c3", "train/loss", 2, -5, 9, False),
        ),
        (
            ["plot", "a1b2c3", "train/loss", "--points", "50", "--rank", "7", "--start", "3"],
            ("chart", ["a1b2c3"], ["train/loss"], 50, "", 3, None, 7),
        ),
        (
            ["plot", "a1b2c3", "train/loss", "--points", "50", "--rank", "all"],
            ("chart", ["a1b2c3"], ["train/loss"], 50, "", None, None, "all"),
        ),
        (["sql", "SELECT 1"], ("sql", "SELECT 1")),
    ],
)
def test_the_options_reach_the_service(
    service: Service, arguments: list[str], asked: tuple[Any, ...]
) -> None:
    assert main([*arguments, "--server", "h:1", "--api-key", "k"]) == 0
    assert service.asked[0] == ("connect", "h:1", "k")
    assert service.asked[-1] == asked
    assert service.closed == 1


def test_a_query_may_come_from_the_input(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("SELECT 2"))
    assert main(["sql", "-"]) == 0
    assert service.asked[-1] == ("sql", "SELECT 2")


def test_without_options_the_environment_says_which_service(
    monkeypatch: pytest.MonkeyPatch, output: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STEPLINE_SERVER", "no address at all")
    assert main(["runs"]) == 1
    assert "no address at all" in output.readouterr().err


# --- what is printed -----------------------------------------------------------------------------


def printed(output: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in output.readouterr().out.splitlines() if line.strip()]


def test_runs_as_a_table(service: Service, output: pytest.CaptureFixture[str]) -> None:
    assert main(["runs"]) == 0
    header, rule, row = printed(output)
    assert header.split() == [
        "run",
        "project",
        "name",
        "state",
        "ranks",
        "attempts",
        "created",
        "tags",
    ]
    assert set(rule.strip()) == {"─"}
    cells = row.split()
    assert cells[:6] == ["a1b2c3", "gpt", "a1b2c3", "running", "1,024", "2"]
    assert row.rstrip().endswith("big, new")


def test_metrics_as_a_table(service: Service, output: pytest.CaptureFixture[str]) -> None:
    assert main(["metrics", "a1b2c3"]) == 0
    row = printed(output)[2]
    assert row.split() == ["train/loss", "1,234,567", "4", "0", "99", "nan", "0.123457", "inf", "3"]


def test_an_answer_as_a_table(service: Service, output: pytest.CaptureFixture[str]) -> None:
    assert main(["sql", "SELECT 1"]) == 0
    header, _, *rows = printed(output)
    assert [line.split() for line in (header, *rows)] == [
        ["run", "n", "x"],
        ["a", "12", "nan"],
        ["b", "3", "0.5"],
    ]


def test_runs_as_json(service: Service, output: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--json"]) == 0
    (run,) = json.loads(output.readouterr().out)
    assert (run["id"], run["name"], run["tags"]) == ("a1b2c3", "a1b2c3", ["big", "new"])
    assert run["created"] == "2023-11-14T22:13:20+00:00"
    assert (run["config"], run["summary"], run["exit_code"]) == ({"lr": 0.1}, {}, None)


def test_metrics_as_json_quote_what_json_lacks(
    service: Service, output: pytest.CaptureFixture[str]
) -> None:
    assert main(["metrics", "a1b2c3", "--json"]) == 0
    (metric,) = json.loads(output.readouterr().out, parse_constant=pytest.fail)
    assert metric == {**METRIC, "last_value": "nan", "max": "inf"}


def test_an_answer_as_json(service: Service, output: pytest.CaptureFixture[str]) -> None:
    assert main(["sql", "SELECT 1", "--json"]) == 0
    text = output.readouterr().out
    assert json.loads(text) == [{"run": "a", "n": 12, "x": "nan"}, {"run": "b", "n": 3, "x": 0.5}]
    assert len(text.splitlines()) == 2


def test_nothing_as_json_is_a_list(service: Service, output: pytest.CaptureFixture[str]) -> None:
    assert main(["metrics", "a1b2c3", "--prefix", "val/", "--json"]) == 0
    assert json.loads(output.readouterr().out) == []


def test_a_history_keeps_every_digit(service: Service, output: pytest.CaptureFixture[str]) -> None:
    history = ["history", "a1b2c3", "train/loss"]
    assert main([*history, "--csv"]) == 0
    assert output.readouterr().out.splitlines() == [
        "step,time,value",
        "0,1700000000000,0.30000000000000004",
        "1,1700000000007,nan",
    ]
    assert main([*history, "--json"]) == 0
    assert json.loads(output.readouterr().out) == [
        {"step": 0, "time": 1_700_000_000_000, "value": 0.1 + 0.2},
        {"step": 1, "time": 1_700_000_000_007, "value": "nan"},
    ]
    assert main(history) == 0
    table = output.readouterr().out.splitlines()
    assert [line.split()[-1] for line in table] == ["value", "0.30000000000000004", "nan"]
    assert table[2].split()[2].endswith(".007")


def test_a_plot_is_drawn_without_colors_into_a_pipe(
    service: Service, output: pytest.CaptureFixture[str]
) -> None:
    assert main(["plot", "a1b2c3", "train/loss"]) == 0
    text = output.readouterr().out
    assert text.splitlines()[0].strip() == "train/loss  (a1b2c3)"
    assert "4 points, 1 step a bucket" in text
    assert "\x1b" not in text


def test_a_picture_is_written_and_its_path_printed(
    service: Service, tmp_path: Path, output: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "loss.svg"
    assert main(["plot", "a1b2c3", "train/loss", "--rank", "all", "--out", str(path)]) == 0
    assert output.readouterr().out == f"{path}\n"
    assert "<svg" in path.read_text()


# --- how it fails --------------------------------------------------------------------------------


def one_line(output: pytest.CaptureFixture[str]) -> str:
    captured = output.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("stepline: ")
    return captured.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["metrics", "a1b2c4"], "There is no run 'a1b2c4' at h:1. Close to it: a1b2c3."),
        (["history", "a1b2c3", "train/los"], "has no metric 'train/los'. Close to it: train/loss."),
        (
            ["history", "a1b2c3", "train/loss", "--start", "5", "--stop", "1"],
            "The range from step 5 to 1 ends before it begins: swap start and stop.",
        ),
        (["plot", "a1b2c3", "train/loss", "--out", "x.gif"], "use one of .png, .svg, .pdf"),
    ],
)
def test_an_error_is_one_line_and_exit_code_1(
    service: Service, arguments: list[str], said: str, output: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--server", "h:1"]) == 1
    assert said in one_line(output)
    assert service.closed == 1


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (status("UNAVAILABLE", "refused"), "Start one with `stepline serve`"),
        (status("UNAUTHENTICATED", "who are you"), "set STEPLINE_API_KEY"),
        (status("INVALID_ARGUMENT", "syntax error"), "stepline: Syntax error."),
        (status("NOT_FOUND", "unknown table x"), "Unknown table x."),
        (status("INTERNAL", ""), "The log of the service says more."),
    ],
)
def test_what_the_service_says_is_one_line_with_the_remedy(
    service: Service, failure: Exception, said: str, output: pytest.CaptureFixture[str]
) -> None:
    service.failure = failure
    assert main(["sql", "SELECT 1"]) == 1
    assert said in one_line(output)


def test_a_missing_library_is_one_line(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: Any
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["plot", "a1b2c3", "train/loss", "--out", str(tmp_path / "x.png")]) == 1
    assert "stepline[plot]" in one_line(output)


def test_a_missing_service_package_is_one_line(
    monkeypatch: pytest.MonkeyPatch, output: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "stepline_ingest.main", raising=False)

    class Absent:
        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> None:
            if name.startswith("stepline_ingest"):
                raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(sys, "meta_path", [Absent, *sys.meta_path])
    assert main(["serve"]) == 1
    assert 'pip install "stepline[server]"' in one_line(output)


def test_an_interrupt_is_130_and_silent(
    service: Service, output: pytest.CaptureFixture[str]
) -> None:
    service.failure = KeyboardInterrupt()  # type: ignore[assignment]
    assert main(["runs"]) == 130
    assert output.readouterr() == ("", "")


def test_an_error_of_ours_is_never_a_traceback(
    monkeypatch: pytest.MonkeyPatch, output: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise unreachable("h:1")

    monkeypatch.setattr("stepline.cli.options.connect", fail)
    assert main(["runs"]) == 1
    assert "h:1" in one_line(output)


# --- spools of this host -------------------------------------------------------------------------


@pytest.fixture
def spool(tmp_path: Path, output: pytest.CaptureFixture[str]) -> Path:
    """The spool of an offline run of three calls, in a directory of its own."""
    run = stepline.init(
        mode="offline", dir=tmp_path / "spools", project="p", run_id="r", server="h:1"
    )
    for _ in range(3):
        run.log({"loss": 0.5, "lr": 0.1})
    run.finish()
    output.readouterr()
    assert run.spool is not None
    return run.spool


def test_status_shows_what_waits_and_how_to_send_it(
    spool: Path, output: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "--dir", str(spool.parent)]) == 0
    first, *table = printed(output)
    assert first.startswith(f"{spool.parent}: 1 spools, 3 calls queued, ")
    assert first.endswith("; no uploader is running")
    assert table[2].split()[:6] == ["r", "p", "0", spool.name[:8], "offline,", "ended"]
    assert table[2].split()[6:11] == ["3", "0", "0", "3", "0"]
    assert table[-1] == f"send it with: stepline sync {spool}"


def test_status_names_what_is_left_over(spool: Path, output: pytest.CaptureFixture[str]) -> None:
    (spool.parent / f"{spool.name}-00000001.seg.bad").write_bytes(bytes(2_000))
    old = spool.parent / f".old-{'0' * 32}"
    old.mkdir()
    assert main(["status", "--dir", str(spool.parent)]) == 0
    said = "\n".join(printed(output))
    assert f"left over: {spool}-00000001.seg.bad (2.0 kB): a damaged segment" in said
    assert f"left over: {old} (0 B): a stored spool whose deletion was interrupted" in said


@pytest.mark.parametrize("columns", [80, 120])
def test_status_fits_the_terminal(
    spool: Path, columns: int, monkeypatch: pytest.MonkeyPatch, output: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(["status", "--dir", str(spool.parent)]) == 0
    table = [line for line in printed(output) if not line.startswith((str(spool.parent), "send"))]
    assert max(map(len, table)) <= columns
    assert not any("…" in line for line in table)


def test_status_as_json(spool: Path, monkeypatch: pytest.MonkeyPatch, output: Any) -> None:
    monkeypatch.setenv("STEPLINE_DIR", str(spool.parent))
    assert main(["status", "--json"]) == 0
    (found,) = json.loads(output.readouterr().out)
    assert (found["run_id"], found["last_seq"], found["path"]) == ("r", 3, str(spool))
    assert (found["queued"], found["sent"], found["stored"], found["gaps"]) == (3, 0, 0, 0)
    assert found["lag_seconds"] >= 0
    assert found["command"] == f"stepline sync {spool}"


def test_status_of_no_directory_is_nothing(
    tmp_path: Path, output: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "--dir", str(tmp_path / "none")]) == 0
    assert "0 spools" in output.readouterr().out


def test_status_of_a_file_is_an_error(tmp_path: Path, output: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["status", "--dir", str(tmp_path / "file")]) == 1
    assert "Pass another --dir." in one_line(output)


def test_sync_of_no_directory_is_an_error(
    tmp_path: Path, output: pytest.CaptureFixture[str]
) -> None:
    assert main(["sync", str(tmp_path / "none")]) == 1
    assert "`stepline status` shows where spools lie" in one_line(output)


def test_sync_passes_its_options_and_says_what_was_sent(
    spool: Path, monkeypatch: pytest.MonkeyPatch, output: pytest.CaptureFixture[str]
) -> None:
    asked: list[Any] = []

    def drain(paths: list[str], **options: Any) -> list[Any]:
        asked.append((paths, options))
        return []

    monkeypatch.setattr(_core, "drain_spools", drain)
    monkeypatch.setenv("STEPLINE_API_KEY", "k")
    monkeypatch.setenv("STEPLINE_TLS_CA", "/ca.pem")
    assert main(["sync", str(spool.parent), "--server", "h:2", "--timeout", "5"]) == 0
    given = {"server": "h:2", "api_key": "k", "timeout": 5.0, "tls_ca": "/ca.pem"}
    assert asked == [([str(spool)], {**given, "tls_cert": None, "tls_key": None})]
    assert "3 calls of 1 spools sent" in output.readouterr().out


def test_sync_says_what_is_left_and_why_and_fails(
    spool: Path, monkeypatch: pytest.MonkeyPatch, output: pytest.CaptureFixture[str]
) -> None:
    left = [{**_core.spool_scan(str(spool.parent))[0], "error": "connection refused"}]
    monkeypatch.setattr(_core, "drain_spools", lambda *_, **__: left)
    assert main(["sync", str(spool)]) == 1
    said = one_line(output)
    assert "run r rank 0: 3 calls left" in said
    assert f"{spool} (connection refused)" in said


def test_sync_refuses_a_timeout_that_is_none(
    spool: Path, output: pytest.CaptureFixture[str]
) -> None:
    assert main(["sync", str(spool), "--timeout", "-1"]) == 1
    assert "give a number of seconds that is not negative" in one_line(output)


def test_sync_as_json_has_an_object_for_each_spool(
    spool: Path, monkeypatch: pytest.MonkeyPatch, output: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_core, "drain_spools", lambda *_, **__: [])
    assert main(["sync", str(spool.parent), str(spool), "--json"]) == 0
    (sent,) = json.loads(output.readouterr().out)
    assert (sent["run_id"], sent["outcome"], sent["sent"], sent["left"]) == ("r", "stored", 3, 0)


def test_sync_of_a_spool_that_is_gone_has_nothing_to_do(
    spool: Path, output: pytest.CaptureFixture[str]
) -> None:
    gone = spool.with_name("0" * 32)
    assert main(["sync", str(gone)]) == 0
    assert "0 calls of 0 spools sent" in output.readouterr().out


def test_sync_from_a_read_only_place_says_how_to_go_on(
    spool: Path, monkeypatch: pytest.MonkeyPatch, output: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    assert main(["sync", str(spool)]) == 1
    assert "copy it with `cp -a`" in one_line(output)
    assert spool.is_dir()


def test_sync_names_a_damaged_segment_and_fails(
    spool: Path, monkeypatch: pytest.MonkeyPatch, output: pytest.CaptureFixture[str]
) -> None:
    def drain(*_: Any, **__: Any) -> list[Any]:
        (spool.parent / f"{spool.name}-00000001.seg.bad").touch()
        return []

    monkeypatch.setattr(_core, "drain_spools", drain)
    assert main(["sync", str(spool), "--server", "127.0.0.1:1"]) == 1
    said = one_line(output)
    assert "are lost, a segment is damaged" in said
    assert "00000001.seg.bad" in said
