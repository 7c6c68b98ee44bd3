"""Promise: one process owns a data directory, says so clearly, and gives it back."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from stepline_ingest.store import Store, StoreError, open_store
from stepline_ingest.store.background import NICE, merge_threads
from tests.support.points import block, line

HOLD = """
import sys, pathlib
from stepline_ingest.store import open_store
store = open_store(None, pathlib.Path(sys.argv[1]))
print("open", flush=True)
sys.stdin.read()
store.close()
"""


def test_a_directory_held_by_another_process_is_refused_with_the_remedy(tmp_path: Path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(StoreError, match=rf"process {holder.pid}: end that process, or choose"):
            open_store(None, tmp_path)
        holder.stdin.close()
        holder.wait(60)
    open_store(None, tmp_path).close()


def test_a_killed_holder_leaves_no_lock(tmp_path: Path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        holder.kill()
    open_store(None, tmp_path).close()


def test_the_same_process_is_refused_too(embedded, tmp_path: Path):
    with pytest.raises(StoreError, match=f"process {os.getpid()}"):
        open_store(None, tmp_path / "data")


def test_a_refused_store_does_not_keep_the_directory(tmp_path: Path):
    store = open_store(None, tmp_path)
    store.insert_rows("schema_migrations", ("version", "name"), [(9999, "future")])
    store.close()
    for _ in range(2):
        with pytest.raises(StoreError, match="upgrade"):
            open_store(None, tmp_path)


def test_points_survive_a_restart_and_a_move(tmp_path: Path):
    store = open_store(None, tmp_path / "a")
    store.insert_points([block(line(range(10)))], rows=10, token="t")
    store.close()
    (tmp_path / "a").rename(tmp_path / "b")
    store = open_store(None, tmp_path / "b")
    assert store.query("SELECT count() FROM raw_points") == [(10,)]
    assert store.query_raw("SELECT count() FROM raw_points", "TSV", readonly=True) == b"10\n"
    store.close()


def test_after_close_every_call_is_refused(tmp_path: Path):
    store = open_store(None, tmp_path)
    store.close()
    store.close()
    for call in (
        lambda: store.query("SELECT 1"),
        lambda: store.command("SELECT 1"),
        lambda: list(store.stream_native("SELECT 1")),
        lambda: store.insert_points([block(line([1]))], rows=1, token="t"),
        lambda: store.query_raw("SELECT 1", "TSV", readonly=True),
    ):
        with pytest.raises(StoreError, match="closed"):
            call()


def test_close_ends_what_reads_and_waits_for_what_writes(tmp_path: Path):
    store = open_store(None, tmp_path)
    outcome: list[object] = []

    def read() -> None:
        try:
            store.query("SELECT sum(sipHash64(number)) FROM numbers(1000000000000)")
        except StoreError as error:
            outcome.append(error.code)

    def write() -> None:
        stored = 0
        try:
            while True:
                data = block(line(range(100), run=stored))
                store.insert_points([data], rows=100, token=str(stored))
                stored += 1
        except StoreError:
            outcome.append(("stored", stored))

    threads = [threading.Thread(target=read), threading.Thread(target=write)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    begin = time.monotonic()
    store.close()
    assert time.monotonic() - begin < 15
    for thread in threads:
        thread.join()
    assert 394 in outcome
    (stored,) = (o[1] for o in outcome if isinstance(o, tuple))
    store = open_store(None, tmp_path)
    assert store.query("SELECT count() FROM raw_points") == [(100 * stored,)]
    store.close()


def test_a_forked_child_is_refused(embedded):
    embedded.query("SELECT 1")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            embedded.query("SELECT 1")
            os.write(writing, b"answered")
        except StoreError as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    assert b"opened by another process" in os.read(reading, 1000)
    os.close(reading)


def test_people_do_not_reach_other_databases(embedded):
    embedded.command("CREATE DATABASE other")
    embedded.command("CREATE TABLE other.t (a UInt8) ENGINE = Memory")
    with pytest.raises(StoreError, match="privileges"):
        embedded.query_raw("SELECT * FROM other.t", "TSV", readonly=True)
    names = embedded.query_raw("SELECT name FROM system.databases", "TSV", readonly=True)
    assert b"other" not in names


@pytest.mark.parametrize("name", ["a?b", "file"])
def test_directories_that_cannot_be_used(tmp_path: Path, name):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError):
        open_store(None, tmp_path / name)


def test_a_directory_with_an_awkward_name(tmp_path: Path):
    store = open_store(None, tmp_path / "a b&c=d'é%20+e")
    store.insert_points([block(line([1]))], rows=1, token="t")
    assert store.query("SELECT count() FROM raw_points") == [(1,)]
    # The configuration was read: there is a role for analysts.
    assert store.query_raw("SELECT count() FROM raw_points", "TSV", readonly=True) == b"1\n"
    store.close()


def test_a_long_query_keeps_no_sign_of_life_waiting(embedded: Store) -> None:
    """What the watchdog asks is answered beside a query that takes its time."""
    slow = embedded.stream_native(
        "SELECT sleepEachRow(1) AS s FROM numbers(600)", settings={"max_block_size": 1}
    )
    next(slow)
    running = "SELECT count() FROM system.processes WHERE query LIKE 'SELECT sleepEachRow%'"
    assert embedded.query("SELECT 1") == [(1,)]
    assert embedded.query(running) == [(1,)]
    slow.close()


def test_merges_make_no_statistics_that_nobody_reads(embedded):
    embedded.command("CREATE TABLE some (a UInt64, b Float64) ENGINE = MergeTree ORDER BY a")
    embedded.command("INSERT INTO some VALUES (1, 2.0)")
    embedded.command("INSERT INTO some VALUES (2, 3.0)")
    embedded.command("OPTIMIZE TABLE some FINAL")
    found = embedded.query(
        "SELECT column, statistics FROM system.parts_columns "
        "WHERE table = 'some' AND active ORDER BY column"
    )
    assert found == [("a", []), ("b", [])]


def test_what_was_merged_stays_until_the_merge_is_on_the_disk(embedded: Store) -> None:
    kept = embedded.query(
        "SELECT toUInt32(value) FROM system.merge_tree_settings WHERE name = 'old_parts_lifetime'"
    )
    # The system writes what is 30 s old, and looks every 5 s.
    assert kept > [(60,)]
    for number in range(2):
        embedded.insert_points([block(line([1.0]))], rows=1, token=f"t{number}")
    embedded.command("OPTIMIZE TABLE raw_points FINAL")
    parts = "SELECT active, count() FROM system.parts WHERE table = 'raw_points' GROUP BY active"
    assert set(embedded.query(parts)) == {(1, 1), (0, 2)}


@pytest.mark.skipif(sys.platform != "linux", reason="priorities of threads are Linux's")
def test_merges_give_way_to_everything_else(embedded):
    tasks = [int(task.name) for task in Path("/proc/self/task").iterdir()]
    merging = merge_threads()
    assert merging
    assert {os.getpriority(os.PRIO_PROCESS, task) for task in merging} == {NICE}
    own = os.getpriority(os.PRIO_PROCESS, os.getpid())
    others = [os.getpriority(os.PRIO_PROCESS, task) for task in set(tasks) - set(merging)]
    assert others.count(own) > len(others) / 2


def test_what_the_engine_says_at_start_is_one_line(tmp_path: Path) -> None:
    open_store(None, tmp_path).close()
    shutil.rmtree(tmp_path / "chdb" / "metadata")
    (tmp_path / "chdb" / "metadata").touch()
    with pytest.raises(StoreError, match="the embedded engine does not start") as refusal:
        open_store(None, tmp_path)
    assert "\n" not in str(refusal.value)
    assert "Stack trace" not in str(refusal.value)
