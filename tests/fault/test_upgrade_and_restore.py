"""A store that changes under its writers: an older schema is migrated, a copy is put back.

Scenario: the store has the tables of the first release and half of what a spool holds; the service
dies in the middle of the migration, is started again, and gets the whole spool. Then: the store is
copied, more is stored, and the copy is put back; and a backup is made while a trainer logs, the
service dies, and another one goes on from the backup on the same address.
Guarantees: what the old store had is trimmed, nothing is lost or doubled. After the copy is back,
what it holds is whole, and what still waits is stored. A writer that still has what was stored
since the backup sends it again.
"""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import stepline
from stepline import _core
from stepline_ingest.store.embedded import EmbeddedStore
from tests.support.faults import Faults
from tests.support.offline import PATIENCE, fill, send
from tests.support.oracle import Oracle, acknowledged, row
from tests.support.processes import Trainer, stop_uploaders, wait_until
from tests.support.service import Service
from tests.support.spool_file import read_spool

# The package has a function of the same name.
schema = importlib.import_module("stepline_ingest.schema.migrate")

FIRST_RELEASE = 3
"""The last migration of the first release."""
STEPS = 1_000


def first_release(data: Path, monkeypatch: pytest.MonkeyPatch) -> EmbeddedStore:
    """A store as the first release made it."""
    known = schema.migrations()
    store = EmbeddedStore(data)
    with monkeypatch.context() as patch:
        patch.setattr(schema, "migrations", lambda: known[:FIRST_RELEASE])
        assert schema.migrate(store) == list(range(1, FIRST_RELEASE + 1))
    return store


def store_half(store: EmbeddedStore, spool: Path, run: str) -> None:
    """What the old service had committed before it was ended, its acknowledgement lost."""
    calls = [(s + 1, s, 1_790_000_000_000 + s, row(0, s)) for s in range(STEPS // 2)]
    session = _core.WriterSession(
        writer=bytes.fromhex(spool.name),
        run=_core.siphash64(run),
        attempt=1,
        rank=0,
        max_batch_bytes=1 << 22,
        max_batch_points=200_000,
        max_decoded_bytes=1 << 24,
        max_name_bytes=1024,
        max_metrics=1000,
    )
    batch = session.decode_columnar(1, STEPS // 2, _core.encode_batch(calls))
    pieces, rows = _core.build_block([(batch, 0)], 1_790_000_000)
    store.insert_points(pieces, rows=rows, token="an-old-group")


def test_a_migration_in_the_middle_of_a_run(
    tmp_path: Path, spools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, run = tmp_path / "store", "upgraded"
    spool = fill(spools, run, STEPS)
    assert len(read_spool(spool).rows()) == STEPS
    store = first_release(data, monkeypatch)
    store_half(store, spool, run)
    store.close()

    faults = Faults(tmp_path / "faults")
    steps = len(schema.migrations()) - FIRST_RELEASE
    # Death at the first statement of a migration; the history table itself is the command before.
    faults.order("command", "pass", *["die after"] * min(1, steps))
    service = object.__new__(Service)
    if steps:
        with pytest.raises(AssertionError, match="ended with -9"):
            service.__init__(data, env=faults.env(), module="tests.support.faulty_service")
    with Service(data, env=faults.env(), module="tests.support.faulty_service") as service:
        send(spool, service.grpc)
        oracle = Oracle()
        oracle.logged(run, 0, returned=STEPS)
        with stepline.connect(service.grpc) as client:
            assert oracle.judge(client) == 3 * STEPS


def copied(service: Service, backup: Path) -> None:
    """A copy of the store, taken while it stands still."""
    assert service.terminate() == 0
    shutil.copytree(service.data, backup, symlinks=True)
    service.start()


def put_back(service: Service, backup: Path) -> None:
    service.kill()
    shutil.rmtree(service.data)
    shutil.copytree(backup, service.data, symlinks=True)
    service.start()


def test_a_copy_that_is_put_back_in_the_middle_of_a_run(tmp_path: Path, spools: Path) -> None:
    oracle = Oracle()
    with Service(tmp_path / "store") as service:
        send(fill(spools, "before", STEPS), service.grpc)
        copied(service, tmp_path / "backup")
        send(fill(spools, "between", STEPS), service.grpc)
        waiting = fill(spools, "after", STEPS)
        put_back(service, tmp_path / "backup")
        send(waiting, service.grpc)
        oracle.logged("before", 0, returned=STEPS)
        oracle.logged("after", 0, returned=STEPS)
        with stepline.connect(service.grpc) as client:
            oracle.judge(client)
            between = client.sql(
                "SELECT count() FROM raw_points WHERE run = sipHash64('between')"
            ).rows
        assert between == [(0,)], "it was stored after the copy was taken"


def stepline_command(*arguments: str) -> None:
    command = [sys.executable, "-m", "stepline.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


def test_a_backup_that_is_restored_in_the_middle_of_a_run(tmp_path: Path, spools: Path) -> None:
    backups = ("--backup-dir", str(tmp_path / "backups"))
    with Service(tmp_path / "store", *backups) as first:
        trainer = Trainer(first.grpc, spools, "restored", 0, 10_000_000, "--pause", "0.001")
        try:
            wait_until(lambda: bool(acknowledged(spools)), what="something was acknowledged")
            stepline_command("backup", "--server", first.grpc, "halfway")
            before = acknowledged(spools)
            wait_until(lambda: acknowledged(spools) != before, what="more was acknowledged")
            first.kill()
            port = int(first.grpc.rsplit(":", 1)[1])
            restored = tmp_path / "restored"
            stepline_command("restore", str(tmp_path / "backups/halfway"), "--data", str(restored))
            with Service(restored, grpc_port=port) as second:
                already = trainer.returned
                wait_until(lambda: trainer.returned > already + 100, what="the trainer goes on")
                returned = trainer.kill()
                stop_uploaders(spools)
                left = _core.drain(str(spools), server=second.grpc, timeout=PATIENCE)
                assert left == []
                oracle = Oracle()
                oracle.logged("restored", 0, returned=returned, begun=returned + 1)
                with stepline.connect(second.grpc) as client:
                    oracle.judge(client)
        finally:
            trainer.process.kill()
    stepline_command("doctor", "--data", str(restored))
