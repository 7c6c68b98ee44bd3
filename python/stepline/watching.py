"""Charts that go on: the updates of a service, put together."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from .asking import Question, defined_axis
from .chart import Chart
from .errors import ServerUnreachable, ServiceFailed

PATIENCE = 600.0
"""Seconds without a service after which a watch that was going on gives up."""
_PAUSES = (0.1, 5.0)
"""Bounds of the pause between two attempts, in seconds."""
_RUNNING = "running"

Key = tuple[Any, ...]
"""The values of _NAMES."""
_NAMES = ("run_id", "attempt", "group", "metric", "rank")


@dataclass(frozen=True, kw_only=True)
class Update:
    """What is new, and all there is."""

    charts: list[Chart]
    """All lines as they are now, in the order of the runs and metrics that were asked for."""
    changed: list[Chart]
    """The lines that are new or changed, each with its new and changed buckets only; with all of
    them where earlier ones are no more."""
    states: dict[str, str]
    """The state of each run (running | finished | ..)."""


@dataclass
class _Line:
    """A line as it is now: what is not a column, x, and the columns as bits."""

    head: dict[str, Any]
    x: npt.NDArray[np.int64]
    columns: dict[str, npt.NDArray[np.uint64]]

    @classmethod
    def of(cls, line: dict[str, Any]) -> _Line:
        head, columns = {}, {}
        size = len(line["x"])
        for name, value in line.items():
            if name in ("x", "rows"):
                continue
            for label, data in _named(name, value):
                if isinstance(data, bytes) and len(data) == size:
                    columns[label] = np.frombuffer(data, "<u8")
                else:
                    head[label] = data
        return cls(head, np.frombuffer(line["x"], "<i8"), columns)

    def with_changes(self, new: _Line) -> _Line:
        """This line, with the buckets of NEW instead of its own at the same places."""
        if not len(new.x):
            return _Line(new.head, self.x, self.columns)
        x = np.union1d(self.x, new.x)
        mine, theirs = np.searchsorted(x, self.x), np.searchsorted(x, new.x)
        columns = {}
        for name, column in new.columns.items():
            columns[name] = both = np.zeros(len(x), np.uint64)
            both[mine] = self.columns[name]
            both[theirs] = column
        return _Line(new.head, x, columns)

    def news(self, old: _Line) -> _Line | None:
        """What this line has that OLD had not: all of it where buckets of OLD are no more."""
        place = np.searchsorted(self.x, old.x)
        kept = self.columns.keys() == old.columns.keys() and np.all(place < len(self.x))
        if not kept or not np.array_equal(self.x[place], old.x):
            return self
        new = np.ones(len(self.x), np.bool_)
        same = [column[place] == old.columns[name] for name, column in self.columns.items()]
        new[place[np.all(same, axis=0)]] = False
        # What was read for it is not what it is.
        if not new.any() and self.head == {**old.head, "tier_width": self.head["tier_width"]}:
            return None
        columns = {name: column[new] for name, column in self.columns.items()}
        return _Line(self.head, self.x[new], columns)

    def chart(self, asked: Question) -> Chart:
        line = self.head | {name: column.tobytes() for name, column in self.columns.items()}
        line["x"] = self.x.tobytes()
        levels = range(len(asked.quantiles))
        line["quantiles"] = [line.pop(_quantile(number), b"") for number in levels]
        kind, axis = defined_axis(line, asked.kind, asked.axis)
        return Chart.from_line(line, kind, axis, asked.quantiles)


@dataclass
class _Picture:
    """Everything that was said since the beginning of a stream."""

    lines: dict[Key, _Line] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    changed: dict[Key, _Line] = field(default_factory=dict)
    """By the update that is being put together."""

    def take(self, part: dict[str, Any]) -> None:
        for run in part["runs"]:
            self.states[run["run_id"]] = run["state"]
        for _, line, whole, gone in part["lines"]:
            key = tuple(line.get(name) for name in _NAMES)
            held = self.lines.get(key)
            if gone:
                self.lines.pop(key, None)
                self.changed.pop(key, None)
                continue
            new = self.changed[key] = _Line.of(line)
            self.lines[key] = new if whole or held is None else held.with_changes(new)


class Watch:
    """An iterator of updates, made by `Client.watch()`. Leave it with `close()` or as a context
    manager; it is for one thread.
    """

    def __init__(
        self,
        begin: Callable[[], Iterator[dict[str, Any]]],
        asked: Question,
        *,
        forever: bool,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """BEGIN asks the service for a new stream of updates, which raises SteplineError."""
        self._begin = begin
        self._asked = asked
        self._forever = forever
        self._sleep = sleep
        self._updates = self._all()

    def __iter__(self) -> Watch:
        return self

    def __next__(self) -> Update:
        """The next update; waits for it. Raises RunNotFound for a run that was deleted, and
        ServerUnreachable when there was no service for ten minutes, or none at the beginning.
        """
        return next(self._updates)

    def close(self) -> None:
        """Ends it."""
        self._updates.close()

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _all(self) -> Generator[Update, None, None]:
        known: _Picture | None = None
        pauses = _Pauses()
        while True:
            try:
                for picture, first in self._pictures():
                    pauses.reset()
                    update = self._update(picture, known if first else None)
                    known = _Picture(dict(picture.lines), dict(picture.states))
                    if update is not None:
                        yield update
                    if not self._forever and _ended(picture):
                        return
            except (ServerUnreachable, ServiceFailed):
                if known is None or not pauses.left:
                    raise
            self._sleep(pauses.next())

    def _pictures(self) -> Iterator[tuple[_Picture, bool]]:
        """Of one stream, the picture after each of its updates, and whether that is the first."""
        picture: _Picture | None = None
        first = True
        stream = self._begin()
        try:
            for part in stream:
                if part["reset"]:
                    picture = _Picture()
                if picture is None:
                    continue  # a sign of life before anything is known
                said = part["lines"] or part["runs"] or part["reset"]
                picture.take(part)
                if part["more"]:
                    continue
                if said or picture.changed:
                    yield picture, first
                    first = False
                picture.changed = {}
        finally:
            close = getattr(stream, "close", None)
            if close is not None:
                close()

    def _update(self, now: _Picture, before: _Picture | None) -> Update | None:
        """What to say of NOW. Of BEFORE, which another stream had told, only the difference; None
        when there is none.
        """
        changed = now.changed
        if before is not None:
            changed = {}
            for key, line in now.changed.items():
                old = before.lines.get(key)
                news = line if old is None else line.news(old)
                if news is not None:
                    changed[key] = news
            same_lines = not changed and now.lines.keys() == before.lines.keys()
            if same_lines and now.states == before.states:
                return None
        return Update(
            charts=[line.chart(self._asked) for line in self._ordered(now.lines)],
            changed=[line.chart(self._asked) for line in self._ordered(changed)],
            states=dict(now.states),
        )

    def _ordered(self, lines: dict[Key, _Line]) -> Iterable[_Line]:
        runs = {run: place for place, run in enumerate(self._asked.fields["run_ids"])}
        metrics = {name: place for place, name in enumerate(self._asked.fields["metrics"])}

        def place(key: Key) -> tuple[Any, ...]:
            run, attempt, group, metric, rank = key
            far = -(lines[key].head.get("deviation") or 0.0)
            named = metrics.get(metric, len(metrics))
            numbers = (-1 if number is None else number for number in (attempt, rank))
            return runs.get(run, -1), group, named, metric, far, *numbers

        return [lines[key] for key in sorted(lines, key=place)]


class _Pauses:
    """Between attempts at a service that went away; they grow."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._since: float | None = None
        self._pause = _PAUSES[0]

    @property
    def left(self) -> bool:
        """Whether it is worth another attempt."""
        return self._since is None or time.monotonic() - self._since < PATIENCE

    def next(self) -> float:
        if self._since is None:
            self._since = time.monotonic()
        pause, self._pause = self._pause, min(self._pause * 2, _PAUSES[1])
        return pause * random.uniform(0.5, 1.0)


def _ended(picture: _Picture) -> bool:
    return all(state != _RUNNING for state in picture.states.values())


def _named(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if name == "quantiles":
        for number, column in enumerate(value):
            yield _quantile(number), column
    else:
        yield name, value


def _quantile(number: int) -> str:
    return f"quantile {number}"
