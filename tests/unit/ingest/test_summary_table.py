"""Promise: the table of summaries says what the rollups say, soon after, whatever died between."""

from __future__ import annotations

import math
import threading
import time

from stepline._core import siphash64
from stepline_ingest.catalogue.definitions import Definition, Definitions
from stepline_ingest.catalogue.summaries import SummaryTable
from stepline_ingest.limits import Limits
from stepline_ingest.lineage import Descent
from stepline_ingest.run_record import Attempt
from stepline_ingest.run_tables import SqlRunTables
from stepline_ingest.store import Store
from tests.support.points import Point, block
from tests.support.run_records import run_record

NAN = math.nan
_READ = (
    "SELECT name, points, first, last, min, max, mean, best, shown FROM raw_summaries FINAL "
    "WHERE run = {run:UInt64} ORDER BY name"
)


class Job:
    """A run whose points are stored by hand."""

    def __init__(self, store: Store, run_id: str = "r") -> None:
        self.store, self.run_id, self.run = store, run_id, siphash64(run_id)
        self.tables = SqlRunTables(store)
        self.table = SummaryTable(store, self.tables, {}, interval=0.0, share=0.0)
        self._seq = self._version = 0
        self.config: dict[str, object] = {}
        self.attempt(1)

    def attempt(self, number: int) -> None:
        made = [
            Attempt(number=n + 1, launch_id=f"l{n}", world_size=8, created_ms=n)
            for n in range(number)
        ]
        self._version += 1
        self.tables.put_attempts([(self.run_id, made[-1])])
        run = run_record(self.run_id, made, config=self.config, version=self._version)
        self.tables.put_runs([run])

    def log(self, metric: str, values: dict[int, float], **place: int) -> None:
        points = []
        for step, value in values.items():
            self._seq += 1
            points.append(
                Point(
                    run=self.run,
                    metric=siphash64(metric),
                    step=step,
                    value=value,
                    seq=self._seq,
                    **place,
                )
            )
        self.store.insert_points([block(points)], rows=len(points), token=f"t{self._seq}")
        self.store.insert_rows(
            "raw_metrics",
            ("run", "metric", "name", "first_seen"),
            [(self.run, siphash64(metric), metric, 1)],
        )

    def refresh(self) -> dict[str, tuple[object, ...]]:
        self.table.touch([self.run_id])
        self.table.refresh(patience=60)
        return self.read()

    def read(self) -> dict[str, tuple[object, ...]]:
        rows = self.store.query(_READ, {"run": self.run})
        return {str(name): values for name, *values in rows}  # type: ignore[misc]


def same(found: object, expected: object) -> bool:
    return repr(found).replace("(", "[").replace(")", "]") == repr(expected)


def test_statistics_over_ranks_without_what_is_not_finite(store: Store) -> None:
    job = Job(store)
    job.config["_stepline"] = {"metrics": {"*": {"goal": "maximize", "summary": "min"}, "x": 5}}
    job.attempt(1)
    job.log("loss", {0: 3.0, 1: NAN, 2: 1.0}, rank=0)
    job.log("loss", {0: 5.0, 2: math.inf}, rank=1)
    job.log("nan", {0: NAN})
    found = job.refresh()
    assert same(found["loss"], [5, 3.0, 1.0, 1.0, 5.0, 3.0, 5.0, 1.0])
    assert same(found["nan"], [1, NAN, NAN, NAN, NAN, NAN, NAN, NAN])


def test_a_newer_attempt_supersedes(store: Store) -> None:
    job = Job(store)
    job.log("loss", {step: 10.0 - step for step in range(10)}, attempt=1)
    job.log("only first", {8: 1.0}, attempt=1)
    job.log("system/cpu", {1_700_000_000_000: 7.0}, attempt=1)
    assert same(job.refresh()["loss"][:5], [10, 10.0, 1.0, 1.0, 10.0])
    job.attempt(2)
    job.log("loss", {5: 50.0, 6: 60.0}, attempt=2)
    found = job.refresh()
    assert same(found["loss"][:5], [7, 10.0, 60.0, 6.0, 60.0])
    assert same(found["only first"][:2], [0, NAN])
    assert same(found["system/cpu"][:2], [1, 7.0])


def test_what_was_missed_is_made_up_for(store: Store) -> None:
    job = Job(store)
    job.log("loss", {0: 1.0})
    table = SummaryTable(store, job.tables, {}, interval=0.0, share=0.0)
    assert table.catch_up() == 1
    table.refresh(patience=60)
    assert same(job.read()["loss"][:2], [1, 1.0])
    assert table.catch_up() == 0
    job.log("loss", {1: 2.0})
    assert table.catch_up() == 1
    table.refresh(patience=60)
    assert same(job.read()["loss"][:3], [2, 1.0, 2.0])


def test_a_run_without_a_point_costs_nothing(store: Store) -> None:
    job = Job(store)
    assert job.table.catch_up() == 0
    assert job.refresh() == {}
    marks = "SELECT count() FROM raw_summarized"
    assert store.query(marks) == [(0,)]
    job.log("loss", {0: 1.0})
    assert same(job.refresh()["loss"][:2], [1, 1.0])
    assert store.query(marks) == [(1,)]


def test_a_fork_without_a_point_of_its_own_shows_what_it_was_forked_from(store: Store) -> None:
    job = Job(store)
    job.log("loss", {0: 1.0, 1: 2.0, 2: 3.0})
    attempt = Attempt(number=1, launch_id="f", world_size=1, created_ms=1)
    shown = Descent.of_attempts(job.run, [1]).lineage({})
    fork = run_record("fork", [attempt], fork_run_id="r", fork_step=1)
    fork.descent = Descent.of_fork(siphash64("fork"), shown, 1).begun(1, 2)
    job.tables.put_descents([fork.descent])
    job.tables.put_attempts([("fork", attempt)])
    job.tables.put_runs([fork])
    assert job.table.catch_up() == 2
    job.table.refresh(patience=60)
    found = {name: values for name, *values in store.query(_READ, {"run": siphash64("fork")})}
    assert same(found["loss"][:3], [2, 1.0, 2.0])
    assert job.table.catch_up() == 0


def test_what_stays_the_same_is_not_written_again(embedded: Store) -> None:
    job = Job(embedded)
    job.log("a", {0: 1.0})
    job.log("b", {0: NAN})
    job.refresh()
    job.log("a", {1: 1.0})
    job.refresh()
    rows = embedded.query("SELECT name, count() FROM raw_summaries GROUP BY name ORDER BY name")
    assert rows == [("a", 2), ("b", 1)]


def test_definitions() -> None:
    said = {
        "val/*": {"goal": "minimize", "x": "epoch", "hidden": True},
        "val/acc*": {"goal": "maximize"},
        "val/acc": {"unit": "%", "hidden": False, "summary": "sum", "goal": 3},
        "junk": 7,
    }
    found = Definitions([{"_stepline": {"metrics": said}}, {"_stepline": 3}, {}])
    assert found.of("val/loss") == Definition(x="epoch", goal="minimize", hidden=True)
    assert found.of("val/acc") == Definition(x="epoch", goal="maximize", unit="%")
    assert found.of("train/loss") == Definition()
    assert found.hiding() == [("val/*", True), ("val/acc", False)]
    assert not Definitions([{}]).hiding()


def test_definitions_have_limits() -> None:
    said = {f"*/{number}": {"goal": "minimize"} for number in range(1_000)}
    said |= {f"m{number}": {"goal": "maximize"} for number in range(10_000)}
    said |= {"*" + "x" * 2_000: {"goal": "minimize"}}
    found = Definitions([{"_stepline": {"metrics": said}}, {"_stepline": {"metrics": said}}])
    assert found.of("x/9").goal == "minimize"
    assert found.of("x/999").goal == "", "the first patterns count"
    assert found.of("m9").goal == "maximize"
    assert found.of("m9999").goal == ""
    assert len(found._patterns) == Limits().max_patterns
    long = Definitions([{"_stepline": {"metrics": {"*" * 2_000: {}, "a": {"unit": "%" * 2_000}}}}])
    assert long.of("a") == Definition()


def test_a_pattern_cannot_stop_the_process(embedded) -> None:
    job = Job(embedded)
    job.config = {"_stepline": {"metrics": {"*a" * 25 + "*b": {"goal": "minimize"}}}}
    job.attempt(1)
    job.log("a" * 60, {0: 1.0})
    job.log("a" * 60 + "b", {0: 1.0})
    found = job.refresh()
    assert math.isnan(found["a" * 60][6])  # type: ignore[arg-type]
    assert found["a" * 60 + "b"][6] == 1.0


def test_a_run_that_cannot_be_summed_up_keeps_no_other_waiting(embedded, monkeypatch) -> None:
    bad, good = Job(embedded, "bad"), Job(embedded, "good")
    bad.log("loss", {0: 1.0})
    good._seq = 1
    good.log("loss", {0: 1.0})
    load = good.tables.load

    def failing(run_ids: list[str]) -> object:
        if "bad" in run_ids:
            raise RuntimeError("nobody foresaw this")
        return load(run_ids)

    monkeypatch.setattr(good.tables, "load", failing)
    good.table.start()
    try:
        end = time.monotonic() + 60
        while not embedded.query("SELECT 1 FROM raw_summaries") and time.monotonic() < end:
            time.sleep(0.05)
        good.table.refresh(patience=60)
        assert good.table._thread is not None
        assert good.table._thread.is_alive()
    finally:
        good.table.stop()
    rows = embedded.query("SELECT DISTINCT run FROM raw_summaries")
    assert rows == [(siphash64("good"),)]
    assert good.table._dirty == set()


def test_who_asks_does_not_wait_for_a_batch_that_is_being_read(embedded) -> None:
    job = Job(embedded)
    job.log("loss", {0: 1.0})
    job.table.touch(["r"])
    others = threading.Lock()
    job.table._writing = others
    with others:
        job.table.refresh(patience=0.01)
        assert job.table._dirty == {job.run}
    job.table.refresh(patience=60)
    assert job.table._dirty == set()
