"""Promise: what was kept is given out only while the points it came from are as they were."""

from stepline_ingest.store import open_store
from stepline_ingest.store.memo import ENTRY_BYTES, Memo
from tests.support.points import Point, block


def test_what_was_kept_counts_until_its_runs_change():
    memo = Memo(trusted=True)
    of_one, of_two = memo.version([1]), memo.version([1, 2])
    memo.keep("one", of_one, "a", size=1)
    memo.keep("two", of_two, "b", size=1)
    memo.changed([2])
    assert memo.get("one", memo.version([1])) == "a"
    assert memo.get("two", memo.version([1, 2])) is None
    memo.changed()
    assert memo.get("one", memo.version([1])) is None


def test_what_was_read_while_points_changed_is_not_given_out():
    memo = Memo(trusted=True)
    before = memo.version([1])
    memo.changed([1])
    memo.keep("key", before, "half of it", size=1)
    assert memo.get("key", memo.version([1])) is None


def test_the_least_recently_used_goes_first():
    memo = Memo(trusted=True, capacity=4 * (ENTRY_BYTES + 25))
    version = memo.version()
    for key in "abcd":
        memo.keep(key, version, key, size=25)
    assert memo.get("a", version) == "a"
    memo.keep("e", version, "e", size=25)
    assert [memo.get(key, version) for key in "abcde"] == ["a", None, "c", "d", "e"]
    memo.keep("too large", version, "x", size=ENTRY_BYTES + 26)
    assert memo.get("too large", version) is None


def test_what_is_empty_takes_room_too():
    memo = Memo(trusted=True, capacity=10 * ENTRY_BYTES)
    version = memo.version()
    for key in range(100):
        memo.keep(key, version, (), size=0)
    assert sum(memo.get(key, version) is not None for key in range(100)) == 10


def test_a_store_that_others_may_write_to_keeps_nothing():
    memo = Memo(trusted=False)
    memo.keep("key", memo.version([1]), "a", size=1)
    assert memo.version([1]) is None
    assert memo.get("key", memo.version([1])) is None


def test_processes_do_not_take_each_others_versions_for_their_own():
    assert Memo(trusted=True).version() != Memo(trusted=True).version()


def test_the_embedded_store_notes_every_change(tmp_path):
    store = open_store(None, tmp_path / "data")
    try:
        points = [Point(run=7, metric=1, step=1, value=1.0, seq=1)]
        seen = [store.memo.version([8]), store.memo.version([7])]
        store.insert_points([block(points)], rows=1, token="a", runs=[7])
        assert store.memo.version([8]) == seen[0]
        assert store.memo.version([7]) != seen[1]
        store.command("ALTER TABLE raw_points DELETE WHERE run = 7", {"mutations_sync": 1})
        assert store.memo.version([8]) != seen[0]
        of_rows = store.rows_memo.version()
        store.insert_rows("raw_metrics", ("run", "metric", "name", "first_seen"), [(7, 1, "m", 1)])
        assert store.rows_memo.version() != of_rows
    finally:
        store.close()
