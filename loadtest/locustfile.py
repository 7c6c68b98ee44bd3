"""What locust runs: the users of the scenario in LOAD_SCENARIO (JSON). LOAD_RESULT takes what
locust counted and what every writer had acknowledged, once all users have stopped."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gevent
from locust import constant, constant_pacing, events, task
from locust.exception import StopUser

from loadtest import values
from loadtest.audit import Expected
from loadtest.grpc_user import HistoryReader, WriterUser
from loadtest.scenario import Scenario
from loadtest.tape import Tape

SCENARIO = Scenario(**json.loads(os.environ["LOAD_SCENARIO"]))
TAPE = Tape(rows=SCENARIO.rows, metrics=SCENARIO.metrics, batches=SCENARIO.batches_of_writer)
SETTLED: list[Expected] = []


def write_result(environment: Any, **_: Any) -> None:
    """The entries of locust's table, and the writers."""
    entries = {
        entry.name: {
            "requests": entry.num_requests,
            "failures": entry.num_failures,
            "per_second": entry.total_rps,
            "p50_ms": entry.get_response_time_percentile(0.5),
            "p99_ms": entry.get_response_time_percentile(0.99),
            "max_ms": entry.max_response_time,
        }
        for entry in environment.stats.entries.values()
    }
    result = {"entries": entries, "writers": [asdict(writer) for writer in SETTLED]}
    Path(os.environ["LOAD_RESULT"]).write_text(json.dumps(result))


listen: Any = events.quitting.add_listener
listen(write_result)


class ScenarioWriter(WriterUser):
    """One rank: `burst` batches at each interval; loses its stream with all the others where the
    scenario says so."""

    fixed_count = SCENARIO.users
    wait_time = constant_pacing(SCENARIO.interval) if SCENARIO.interval else constant(0)
    tape = TAPE
    ack_pause = SCENARIO.ack_pause
    settled_writers = SETTLED

    def on_start(self) -> None:
        super().on_start()
        self.era = self._era()
        self.rounds = 0

    def on_stop(self) -> None:
        super().on_stop()
        if SCENARIO.rounds and len(SETTLED) == SCENARIO.users:
            gevent.spawn(self.environment.runner.quit)

    @task
    def send(self) -> None:
        if SCENARIO.rounds and self.rounds == SCENARIO.rounds:
            raise StopUser
        self.rounds += 1
        for _ in range(SCENARIO.burst):
            self.push()
        if self.era != self._era():
            self.era = self._era()
            self.drop_stream()

    @staticmethod
    def _era() -> int:
        """The same number for all users; another one at each moment of the storm."""
        every = SCENARIO.reconnect_every
        return int(time.monotonic() / every) if every else 0


if SCENARIO.readers:

    class SlowReader(HistoryReader):
        """Reads a series that is being written."""

        fixed_count = SCENARIO.readers
        wait_time = constant(0)
        read_pause = SCENARIO.read_pause

        @task
        def sip(self) -> None:
            self.read(values.names(1)[0])
