"""Keys that are good no more while a run logs.

Scenario: two runs log by the uploader of their host; the key of one is revoked, that of the other
expires. Both log on. Somebody sends their spools with a good key while they log, and once more
after their end.
Guarantees: the stream of each ends with UNAUTHENTICATED, whose message names the remedy and reaches
`stepline status`; `log()` notices nothing, the points stay in the spool, and in the end each is
stored once.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from pathlib import Path

import stepline
from stepline import _core
from tests.security.conftest import Guarded, command
from tests.support.oracle import METRICS, Oracle, row
from tests.support.processes import stop_uploaders, wait_until

LIFE = 3.0
"""Seconds of the key that expires: time for a stream to begin. On a busy machine it gets more."""


CALLS = 100


class Logging:
    """A run that logs the oracle's values with a key that will not last."""

    def __init__(
        self, guarded: Guarded, project: str, spools: Path, key: str, run_id: str = ""
    ) -> None:
        self.run_id, self.steps, self._spools = run_id or f"{project}-run", 0, spools
        self._run = stepline.init(
            project=project, run_id=self.run_id, server=guarded.grpc, api_key=key, dir=spools
        )

    def log(self, calls: int) -> None:
        for _ in range(calls):
            self._run.log(row(0, self.steps), step=self.steps)
            self.steps += 1

    @property
    def status(self) -> dict[str, object]:
        (status,) = (
            status
            for status in _core.spool_scan(str(self._spools))
            if status["run_id"] == self.run_id
        )
        return dict(status)

    def begins(self) -> bool:
        """Logs, and waits for a stream; false when its key was refused before."""
        self.log(CALLS)
        wait_until(
            lambda: self.status["acked_seq"] == CALLS or self.status["state"] == "refused",
            what="a stream is open",
        )
        return self.status["acked_seq"] == CALLS

    def finish(self) -> stepline.FinishReport:
        return self._run.finish(timeout=0.1)  # nobody sends it


def with_a_key_that_expires(guarded: Guarded, project: str, spools: Path) -> Logging:
    admin = _core.Connection(guarded.grpc, api_key=guarded.admin)
    life = LIFE
    while True:
        _, key = admin.create_key("ingest", project, "", int((time.time() + life) * 1000))
        with contextlib.suppress(stepline.errors.AccessDenied):
            run = Logging(guarded, project, spools, key, f"{project}-{life:g}")
            if run.begins():
                return run
            run.finish()
        life *= 2


def test_points_wait_for_a_good_key(guarded: Guarded, spools: Path) -> None:
    before = {
        reason: guarded.counted("stepline_auth_failures_total", reason)
        for reason in ("revoked", "expired")
    }
    projects = {reason: f"{reason}-{uuid.uuid4().hex[:8]}" for reason in before}
    admin = _core.Connection(guarded.grpc, api_key=guarded.admin)
    revoked, key = admin.create_key("ingest", projects["revoked"], "", None)
    runs = {"revoked": Logging(guarded, projects["revoked"], spools, key)}
    assert runs["revoked"].begins()
    runs["expired"] = with_a_key_that_expires(guarded, projects["expired"], spools)
    admin.revoke_key(revoked["id"])
    for reason, run in runs.items():
        run.log(CALLS)
        wait_until(lambda run=run: run.status["state"] == "refused", what=f"a key is {reason}")
        told = str(run.status["error"])
        assert f"is {reason}: use another one, made with `stepline key create`" in told
        assert "set STEPLINE_API_KEY" in told
        assert guarded.counted("stepline_auth_failures_total", reason) > before[reason]
        run.log(CALLS)
    good = {reason: guarded.key("ingest", project) for reason, project in projects.items()}

    for reason, run in runs.items():
        path = str(run.status["path"])
        assert _core.drain(path, timeout=60), "the key that it began with is still refused"
        assert "nothing is left" in command("sync", path, api_key=good[reason])
        assert run.status["acked_seq"] == 3 * CALLS
        run.log(CALLS)
    oracle = Oracle()
    for reason, run in runs.items():
        report = run.finish()
        assert (report.complete, report.left) == (False, CALLS * len(METRICS)), report
        assert _core.drain(str(report.spool), api_key=good[reason], timeout=60) == []
        oracle.logged(run.run_id, 0, returned=run.steps)
    stop_uploaders(spools)
    with stepline.connect(guarded.grpc, api_key=guarded.admin) as client:
        oracle.judge(client)
        assert {client.run(run.run_id).info.state for run in runs.values()} == {"finished"}
