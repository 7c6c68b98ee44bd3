"""The log: keys that stay, lines that repeat, nothing that a client could forge."""

from __future__ import annotations

import json
import logging
import sys

from stepline_ingest.logs import BURST, WINDOW, JsonFormatter, TextFormatter, Thinner


def record(
    msg: str, *args: object, level: int = logging.INFO, **extra: object
) -> logging.LogRecord:
    made = logging.makeLogRecord(
        {"name": "stepline_ingest.x", "levelno": level, "levelname": logging.getLevelName(level)}
    )
    made.msg, made.args = msg, args
    vars(made).update(extra)
    return made


def test_a_json_line_has_stable_keys() -> None:
    line = JsonFormatter().format(
        record("a stream of %s ends", "run x", event="stream_closed", run="x", code="ABORTED")
    )
    assert "\n" not in line
    said = json.loads(line)
    assert list(said)[:5] == ["time", "level", "event", "message", "logger"]
    assert said["event"] == "stream_closed"
    assert said["message"] == "a stream of run x ends"
    assert (said["run"], said["code"], said["level"]) == ("x", "ABORTED", "info")


def test_a_json_line_stays_one_line() -> None:
    try:
        raise ValueError("a\nb")
    except ValueError:
        failed = record("bad %s", "x\ny", exc_info=sys.exc_info())
    line = JsonFormatter().format(failed)
    assert "\n" not in line
    assert "ValueError" in json.loads(line)["exception"]


def test_a_value_cannot_begin_a_line_of_text() -> None:
    lines = TextFormatter().format(record("run %s", "x\n2026 ERROR forged")).split("\n")
    assert lines[1].startswith("    ")


def test_repeated_lines_are_thinned_out() -> None:
    clock = [0.0]
    thinner = Thinner(now=lambda: clock[0])
    passed = [thinner.filter(record("full %d", n)) for n in range(BURST + 5)]
    assert passed == [True] * BURST + [False] * 5
    assert thinner.filter(record("another")), "other lines are not held up"
    assert all(
        thinner.filter(record("full %d", n, level=logging.CRITICAL)) for n in range(BURST + 5)
    )
    clock[0] = WINDOW
    again = record("full %d", 99)
    assert thinner.filter(again)
    assert TextFormatter().format(again).endswith("full 99 (5 more like it were left out)")
    assert json.loads(JsonFormatter().format(again))["left_out"] == 5
