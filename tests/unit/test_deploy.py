"""What lies in deploy/ fits the program: its options, its metrics, its documents."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from xml.dom import minidom

import pytest

from stepline_ingest.main import _parser
from stepline_ingest.metrics import Name
from stepline_ingest.metrics.names import PROCESS_NAMES

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"


def read(name: str) -> str:
    return (DEPLOY / name).read_text()


def test_the_unit_starts_the_service() -> None:
    (command,) = re.findall(r"^ExecStart=\S+ serve (.*)$", read("stepline.service"), re.MULTILINE)
    args = _parser().parse_args(shlex.split(command))
    assert args.log_format == "json"


def test_the_image_starts_the_service() -> None:
    words = re.findall(r"^(?:ENTRYPOINT|CMD) (\[.*\])$", read("Dockerfile"), re.MULTILINE)
    options = [word for line in words for word in re.findall(r'"([^"]*)"', line)]
    args = _parser().parse_args(options[2:])
    assert args.require_keys


def test_compose_starts_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    (store,) = re.findall(
        r"STEPLINE_SERVE_STORE: (\S+)", read("compose.yaml").replace("choose a ", "")
    )
    monkeypatch.setenv("STEPLINE_SERVE_STORE", store + "password@clickhouse:8123/stepline")
    block = read("compose.yaml").split("    command:\n")[1].split("    depends_on:")[0]
    options = [line.strip().removeprefix("- ") for line in block.splitlines()]
    args = _parser().parse_args(["--data", "x", *options])
    assert args.store.startswith("clickhouse://")


def test_alerts_use_metrics_that_exist() -> None:
    rules = "\n".join(re.findall(r"expr: (.*)", read("alerts.yaml")))
    known = {name.spec.name for name in Name} | set(PROCESS_NAMES)
    used = set(re.findall(r"\b((?:stepline|process)_[a-z_]+)\b", rules))
    assert used
    assert {re.sub(r"_bucket$", "", name) for name in used} <= known


def test_alerts_are_explained() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    alerts = re.findall(r"alert: (\w+)", read("alerts.yaml"))
    explained = re.findall(r"^\| `(Stepline\w+)` \|", text, re.MULTILINE)
    assert alerts == explained


def test_the_server_configuration_is_xml() -> None:
    minidom.parseString(read("clickhouse/stepline.xml"))
