"""Promise: whoever applies updates, taken at whatever moments, has the chart as it is."""

from __future__ import annotations

import random

import grpc
import numpy as np
import pytest

from stepline_ingest.errors import ServiceError
from stepline_ingest.gen.stepline.v1 import live_pb2, query_pb2, runs_pb2
from stepline_ingest.live import picture as pictures
from stepline_ingest.live.picture import Picture, Room

NAN = float("nan")


def line(
    buckets: dict[int, float], *, run: str = "r", rank: int | None = None, width: int = 1, **more
) -> query_pb2.ChartLine:
    x = sorted(buckets)
    return query_pb2.ChartLine(
        run_id=run,
        metric="loss",
        rank=rank,
        bucket_width=width,
        rows=len(x),
        x=np.array(x, "<i8").tobytes(),
        mean=np.array([buckets[at] for at in x], "<f8").tobytes(),
        quantiles=[np.array([buckets[at] + q for at in x], "<f8").tobytes() for q in (1, 2)],
        **more,
    )


class Reader:
    """Applies updates as live.proto says."""

    def __init__(self) -> None:
        self.seen = 0
        self.lines: dict[tuple, dict[int, tuple]] = {}
        self.rows = 0
        """Buckets that were sent."""

    def look(self, picture: Picture) -> None:
        reset = self.seen < picture.forgotten
        if reset:
            self.seen = 0
            self.lines.clear()
        now = picture.change
        for update in picture.lines_after(self.seen, 0):
            self._apply(update)
        self.seen = now

    def _apply(self, update: live_pb2.LineUpdate) -> None:
        got = update.line
        key = (got.run_id, got.rank if got.HasField("rank") else None)
        if update.gone:
            self.lines.pop(key, None)
            return
        held = {} if update.whole else self.lines[key]
        self.rows += got.rows
        columns = [np.frombuffer(c, "<f8") for c in (got.mean, *got.quantiles)]
        for place, x in enumerate(np.frombuffer(got.x, "<i8")):
            held[int(x)] = tuple(column[place].tobytes() for column in columns)
        self.lines[key] = held


def everything(_) -> bool:
    return True


def fresh() -> Picture:
    return Picture(Room(10**9, 10**9))


def held(picture: Picture) -> dict:
    reader = Reader()
    reader.look(picture)
    return reader.lines


@pytest.mark.parametrize("seed", range(20))
def test_readers_of_any_pace_end_up_with_the_same_chart(seed, monkeypatch):
    monkeypatch.setattr(pictures, "MAX_GONE", 3)
    rng = random.Random(seed)
    picture = fresh()
    readers = [Reader() for _ in range(4)]
    state: dict[tuple, tuple[int, dict[int, float]]] = {}
    for _ in range(60):
        for _ in range(rng.randrange(3)):
            key = ("r", rng.choice([None, 0, 1, 2, 3, 4]))
            width, buckets = state.get(key, (1, {}))
            act = rng.random()
            if act < 0.5:
                buckets = buckets | {len(buckets): rng.choice([1.0, NAN, 2.0])}
            elif act < 0.7 and buckets:
                buckets = buckets | {rng.choice(sorted(buckets)): rng.random()}
            elif act < 0.8 and buckets:
                buckets = dict(list(buckets.items())[:-1])
            elif act < 0.9:
                width *= 2
            else:
                buckets = {}
            state[key] = (width, buckets)
        picture.take([line(b, rank=k[1], width=w) for k, (w, b) in state.items()], [], everything)
        for reader in readers:
            if rng.random() < 0.4:
                reader.look(picture)
    for reader in readers:
        reader.look(picture)
        assert reader.lines == held(picture)
    shown = {key: len(buckets) for key, (_, buckets) in state.items() if buckets}
    assert {key: len(rows) for key, rows in held(picture).items()} == shown
    assert picture.buckets == picture.room.held == sum(shown.values())
    picture.close()
    assert picture.room.held == 0


def test_only_what_changed_is_sent():
    picture, reader = fresh(), Reader()
    picture.take([line(dict.fromkeys(range(1000), NAN))], [], everything)
    reader.look(picture)
    assert reader.rows == 1000
    assert not picture.take([line(dict.fromkeys(range(1000), NAN))], [], everything)
    changed = dict.fromkeys(range(1001), NAN) | {17: 1.0}
    # How a line was read is not what it is.
    assert picture.take([line(changed, tier_width=128)], [], everything)
    reader.look(picture)
    assert reader.rows == 1002
    # Something about the line itself: it is said without buckets.
    picture.take([line(changed, deviation=3.0)], [], everything)
    (update,) = picture.lines_after(reader.seen, 0)
    assert (update.line.rows, update.line.deviation, update.whole) == (0, 3.0, False)


def test_lines_that_a_read_does_not_cover_stay():
    picture = fresh()
    picture.take([line({0: 1.0}, run="a"), line({0: 1.0}, run="b")], [], everything)
    picture.take([line({0: 2.0}, run="b")], [], lambda key: key[0] == "b")
    assert set(held(picture)) == {("a", None), ("b", None)}
    picture.take([], [], lambda key: key[0] == "b")
    assert set(held(picture)) == {("a", None)}


def test_runs_are_told_when_they_change():
    picture = fresh()
    runs = [runs_pb2.Run(run_id=name, state="running") for name in "ab"]
    assert picture.take([], runs, everything)
    assert picture.runs_after(0) == runs
    assert not picture.take([], runs, everything)
    seen = picture.change
    ended = runs_pb2.Run(run_id="b", state="finished")
    assert picture.take([], [ended], everything)
    assert picture.runs_after(seen) == [ended]


def test_a_chart_without_lines_is_known_too():
    picture = fresh()
    assert picture.take([line({})], [], everything)
    assert (picture.change, picture.lines) == (1, {})


@pytest.mark.parametrize("room", [Room(10, 5), Room(5, 10)])
def test_what_may_be_held_is_bounded(room):
    picture = Picture(room)
    picture.take([line(dict.fromkeys(range(5), 1.0))], [], everything)
    with pytest.raises(ServiceError) as caught:
        picture.take([line(dict.fromkeys(range(6), 1.0))], [], everything)
    assert caught.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
