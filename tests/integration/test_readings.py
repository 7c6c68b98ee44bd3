"""Readings of this host, taken by a real uploader for real processes, arrive once."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import stepline
from stepline import uploader
from tests.support.processes import wait_until
from tests.support.service import Service

EVERY = 0.2


def start(service: Service, folder: Path, **options: object) -> stepline.Run:
    return stepline.init(
        project="readings",
        server=service.grpc,
        dir=folder,
        system_metrics=EVERY,
        **options,  # type: ignore[arg-type]
    )


def stored(client: stepline.Client, run_id: str) -> list[tuple[str, int, int]]:
    sql = f"SELECT metric, rank, step FROM points WHERE run = '{run_id}' ORDER BY ALL"
    return [row for row in client.sql(sql) if row[0].startswith("system/")]


def wait_for(client: stepline.Client, run_id: str, count: int) -> None:
    def enough() -> bool:
        return len({step for _, _, step in stored(client, run_id)}) >= count

    wait_until(enough, what=f"{count} readings", timeout=60)


def test_a_run_gets_readings_of_its_host(
    service: Service, client: stepline.Client, spools: Path
) -> None:
    began = time.time() * 1000
    with start(service, spools) as run:
        run.log({"loss": 1.0}, step=5)
        wait_for(client, run.id, 3)
    found = stored(client, run.id)
    assert len(set(found)) == len(found)
    assert {rank for _, rank, _ in found} == {0}
    assert all(began <= step <= time.time() * 1000 for _, _, step in found)
    memory = client.run(run.id).history("system/memory/percent")
    assert ((memory.value > 0) & (memory.value < 100)).all()
    assert (client.run(run.id).history("system/process/0/memory").value > 1e6).all()
    assert client.run(run.id).history("loss").step.tolist() == [5]


def test_two_runs_of_a_host_each_get_them(
    service: Service, client: stepline.Client, spools: Path
) -> None:
    with start(service, spools) as one, start(service, spools) as other:
        for run in (one, other):
            wait_for(client, run.id, 2)


def test_readings_go_on_when_their_uploader_is_killed(
    service: Service, client: stepline.Client, spools: Path
) -> None:
    with start(service, spools) as run:
        run.log({"loss": 1.0})
        wait_for(client, run.id, 2)
        pid, _ = uploader._started[str(spools)]
        os.kill(pid, signal.SIGKILL)
        before = len({step for _, _, step in stored(client, run.id)})

        def more() -> bool:
            run._pulse()
            return len({step for _, _, step in stored(client, run.id)}) > before + 1

        wait_until(more, what="readings of the next uploader", timeout=60)
    found = stored(client, run.id)
    assert len(set(found)) == len(found)


def test_readings_of_an_offline_run_wait_for_sync(
    service: Service, client: stepline.Client, spools: Path
) -> None:
    run = start(service, spools, mode="offline")
    run.log({"loss": 1.0})
    wait_until(lambda: len(list(spools.glob("*/spool.json"))) == 2, what="readings", timeout=60)
    run.finish()
    wait_until(lambda: len(list(spools.glob("*/sealed"))) == 2, what="the end of them", timeout=60)
    assert stepline._core.drain(str(spools), server=service.grpc) == []
    assert stored(client, run.id)
