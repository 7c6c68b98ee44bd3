"""Backup and restore of an embedded store: of one instant, complete or not there, checked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepline_ingest.backup import (
    BackupError,
    check_place,
    create_backup,
    read_manifest,
    restore_backup,
)
from stepline_ingest.store import Store, open_store
from stepline_ingest.store.embedded import EmbeddedStore
from stepline_ingest.store.gate import Gate
from tests.support.points import Point, block
from tests.support.unprivileged import needs_rights, stepline

ALL = "SELECT count(), sum(cityHash64(*)) FROM raw_points"
PROJECTED = "SELECT sum(n) FROM (SELECT count() AS n FROM raw_points GROUP BY run, metric, rank)"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    opened = open_store(None, tmp_path / "data")
    assert isinstance(opened, EmbeddedStore)
    yield opened
    opened.close()


def fill(store: Store, first: int = 0, rows: int = 1_000) -> None:
    points = [Point(step=i, seq=first + i + 1, value=i / 4) for i in range(rows)]
    store.insert_points([block(points)], rows=rows, token=f"t{first}")


def restored(backup: Path, directory: Path) -> tuple[object, object]:
    restore_backup(backup, directory)
    opened = open_store(None, directory)
    try:
        return opened.query(ALL), opened.query(PROJECTED)
    finally:
        opened.close()


def test_a_round_trip(store: EmbeddedStore, tmp_path: Path) -> None:
    fill(store)
    store.command("OPTIMIZE TABLE raw_points FINAL")
    fill(store, 1_000)
    store.insert_rows("raw_metrics", ("run", "metric", "name", "first_seen"), [(1, 2, "loss", 3)])
    wanted, projected = store.query(ALL), store.query(PROJECTED)
    manifest = create_backup(store, tmp_path / "b" / "one", version="1")
    assert (manifest.rows["raw_points"], manifest.rows["raw_metrics"]) == (2_000, 1)
    assert read_manifest(tmp_path / "b" / "one") == manifest
    fill(store, 2_000)
    store.close()
    assert restored(tmp_path / "b" / "one", tmp_path / "new") == (wanted, projected)
    for made in ("data", "b/one", "new"):
        assert (tmp_path / made).stat().st_mode & 0o777 == 0o700, f"nobody else reads {made}"


def test_an_incremental_backup_links_what_is_the_same(store: EmbeddedStore, tmp_path: Path) -> None:
    fill(store)
    create_backup(store, tmp_path / "one", version="1")
    fill(store, 1_000)
    wanted, projected = store.query(ALL), store.query(PROJECTED)
    manifest = create_backup(store, tmp_path / "two", version="1", base=tmp_path / "one")
    inodes = {path.stat().st_ino for path in (tmp_path / "one").rglob("data.bin")}
    linked = [p for p in (tmp_path / "two").rglob("data.bin") if p.stat().st_ino in inodes]
    assert linked
    assert manifest.rows["raw_points"] == 2_000
    store.close()
    # Each is whole by itself.
    for path in sorted((tmp_path / "one").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert restored(tmp_path / "two", tmp_path / "new") == (wanted, projected)


def test_an_interrupted_backup_never_looks_complete(store: EmbeddedStore, tmp_path: Path) -> None:
    fill(store)

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        create_backup(store, tmp_path / "one", version="1", progress=stop)
    assert not (tmp_path / "one").exists()
    with pytest.raises(BackupError, match="no complete backup"):
        read_manifest(tmp_path / "one.partial")
    create_backup(store, tmp_path / "one", version="1")
    assert not (tmp_path / "one.partial").exists()
    with pytest.raises(BackupError, match="is there already"):
        create_backup(store, tmp_path / "one", version="1")


def test_a_damaged_backup_is_not_restored(store: EmbeddedStore, tmp_path: Path) -> None:
    fill(store)
    create_backup(store, tmp_path / "one", version="1")
    store.close()
    victim = next((tmp_path / "one" / "data" / "raw_points").rglob("*.bin"))
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    with pytest.raises(BackupError, match="damaged"):
        restore_backup(tmp_path / "one", tmp_path / "new")
    assert not (tmp_path / "new").exists()
    victim.unlink()
    with pytest.raises(BackupError, match="missing"):
        restore_backup(tmp_path / "one", tmp_path / "new")
    assert not list(tmp_path.glob("new*"))


def test_nothing_is_restored_over_something(store: EmbeddedStore, tmp_path: Path) -> None:
    create_backup(store, tmp_path / "one", version="1")
    store.close()
    (tmp_path / "busy").mkdir()
    (tmp_path / "busy" / "file").touch()
    with pytest.raises(BackupError, match="is there already"):
        restore_backup(tmp_path / "one", tmp_path / "busy")


@needs_rights
def test_places_of_other_users_are_refused_with_the_remedy(
    store: EmbeddedStore, tmp_path: Path
) -> None:
    create_backup(store, tmp_path / "one", version="1")
    store.close()
    (tmp_path / "closed").mkdir(mode=0)
    for backup, data, remedy in (
        ("one", "closed/new", "run this as a user who may write there"),
        ("closed/one", "new", "run this as the user of the service"),
    ):
        done = stepline("restore", tmp_path / backup, "--data", tmp_path / data)
        assert (done.returncode, "Traceback" in done.stderr) == (1, False)
        assert remedy in done.stderr
    (tmp_path / "closed").chmod(0o700)


@needs_rights
def test_a_service_does_not_start_without_a_place_for_its_backups(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "closed").mkdir(mode=0)
    for name, why in (
        ("file", "it is no folder"),
        ("closed", "this user may not read and write there"),
        ("closed/below", "Permission denied"),
    ):
        place = tmp_path / name
        done = stepline("serve", "--data", tmp_path / "data", "--backup-dir", place)
        assert done.returncode == 1
        assert f"--backup-dir: the folder {place} takes no backups ({why})" in done.stderr
    (tmp_path / "closed").chmod(0o700)
    check_place(tmp_path / "made" / "here")
    assert (tmp_path / "made" / "here").stat().st_mode & 0o777 == 0o700


def test_a_gate_waits_for_those_inside_and_holds_up_the_rest() -> None:
    gate, inside, release = Gate(), threading.Event(), threading.Event()
    order: list[str] = []

    def first() -> None:
        with gate.passing():
            inside.set()
            release.wait()
            order.append("first")

    def closer() -> None:
        with gate.closed():
            order.append("closed")

    threads = [threading.Thread(target=first), threading.Thread(target=closer)]
    threads[0].start()
    inside.wait()
    threads[1].start()
    assert order == []
    release.set()
    for thread in threads:
        thread.join()
    assert order == ["first", "closed"]
    with gate.passing():
        order.append("open again")
