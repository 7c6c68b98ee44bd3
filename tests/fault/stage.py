"""What every fault test plays on: a service that fails on command, one store over all rounds, a
proxy before it, and the audit after each round."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import stepline
from tests.support.faults import Faults
from tests.support.nursery import Nursery
from tests.support.offline import send
from tests.support.oracle import Oracle, acknowledged, judge_acknowledged
from tests.support.processes import Trainer
from tests.support.proxy import CLEAR, Proxy
from tests.support.service import Service

ROUNDS = int(os.environ.get("STEPLINE_FAULT_ROUNDS", "0"))
"""0: the short version."""


def rounds(short: int, share: float = 1.0) -> range:
    """SHORT rounds inside `make test`, or so many for each of STEPLINE_FAULT_ROUNDS."""
    return range(max(1, round(ROUNDS * share)) if ROUNDS else short)


_NUMBERS = itertools.count()
DEATHS_OF_A_STORE = 25


class Stage:
    """A faulty service over a store in DIRECTORY, with its proxy and an oracle."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.faults = Faults(directory / "faults")
        self.oracle = Oracle()
        self.nursery = Nursery()
        self.service = self._service()
        self.proxy = Proxy(self.service.grpc)
        self.spools = directory / "spools"
        self.deaths = self.audits = self.points = self._deaths_of_store = 0
        """How often the service was revived, the store audited; points that were judged."""
        self._trainers: list[Trainer] = []

    @property
    def address(self) -> str:
        """Of the service, through the proxy."""
        return self.proxy.address

    def trainer(
        self, run_id: str, rank: int, steps: int, *options: str, server: str | None = None
    ) -> Trainer:
        """A training process that is ready; it dies with the test."""
        trainer = Trainer(server or self.service.grpc, self.spools, run_id, rank, steps, *options)
        self._trainers.append(trainer)
        trainer.wait_for(b"ready")
        return trainer

    def new_run(self, what: str) -> str:
        return f"{what}-{next(_NUMBERS)}"

    def clear_up(self) -> None:
        """Good weather, whatever the test before has left behind."""
        while self._trainers:
            self._trainers.pop().kill()
        self.faults.clear()
        self.faults.set_clock(0.0)
        self.proxy.forecast = lambda number: CLEAR
        self.oracle = Oracle()
        self.spools = self.directory / f"spools-{next(_NUMBERS)}"
        if not self.service.alive:
            self.service.start()

    def renew(self) -> None:
        """Another store in the place of one that has seen many deaths, between two rounds: audits
        take as long as a store is large."""
        if self._deaths_of_store < DEATHS_OF_A_STORE:
            return
        used = self.service
        used.stop()
        self.audit()
        shutil.rmtree(used.data)
        # On the same ports: proxy and uploaders know no others.
        used.start()
        self._deaths_of_store = 0

    def revive(self) -> None:
        """Audits the store that the dead service has left, starts the service, and holds it to what
        was acknowledged. The short version audits now and then."""
        promised = acknowledged(self.spools)
        if ROUNDS or self.deaths % 5 == 0:
            self.audit()
        self.deaths += 1
        self._deaths_of_store += 1
        self.service.start()
        with self.connect() as client:
            judge_acknowledged(client, promised)

    def connect(self) -> stepline.Client:
        return stepline.connect(self.service.grpc)

    def judge(self) -> int:
        """Everything that the oracle was told, from the stored rows; returns the points."""
        with self.connect() as client:
            points = self.oracle.judge(client)
        self.points += points
        return points

    @contextlib.contextmanager
    def sending(self, spool: Path, server: str | None = None) -> Iterator[None]:
        """Sends SPOOL meanwhile, and waits for its end after the block."""
        failures: list[BaseException] = []

        def work() -> None:
            try:
                send(spool, server or self.service.grpc)
            except BaseException as failure:
                failures.append(failure)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        yield
        thread.join()
        if failures:
            raise failures[0]

    def __enter__(self) -> Stage:
        self.proxy.__enter__()
        return self

    def __exit__(self, kind, error, trace) -> None:
        self.clear_up()
        self.proxy.__exit__(kind, error, trace)
        if error is not None:
            sys.stderr.write(f"--- {self.service.log}\n{self.service.log_tail()}\n")
        self.service.stop()
        if error is None:
            self.audit()
            sys.stderr.write(
                f"\n{self.deaths} deaths of the service, {self.proxy.cuts} cut connections, "
                f"{self.audits} clean audits, {self.points:,} points judged\n"
            )
        self.nursery.close()

    def audit(self) -> None:
        """`stepline doctor` finds nothing wrong in the store, which no service has open."""
        with tempfile.TemporaryFile() as said:
            doctor = self.nursery.start(
                ["-m", "stepline.cli.main", "doctor", "--data", str(self.service.data)],
                env=os.environ,
                stdout=said,
                stderr=said,
            )
            code = doctor.wait(600)
            said.seek(0)
            assert code == 0, f"doctor: {said.read().decode()}"
        self.audits += 1

    def _service(self) -> Service:
        return Service(
            self.directory / "store",
            # Clients of a failing store are sent away sooner than usual.
            env=self.faults.env(store_patience=1.0, retry_max=0.5),
            module="tests.support.faulty_service",
            nursery=self.nursery,
        )
