"""The queue before a commit: items of a writer in their order, writers and tenants in turns.

Deficit round robin, twice: among the tenants, and among the writers of each. Who has more queued
than the others waits for its own, not they for it: a small batch that arrives while one writer has
millions of points queued is in the next group. A rejection has no points, and costs a whole turn:
else who sends nothing but garbage would have its turn for ever. What a writer may not have stored
yet is put aside, and nobody waits for it.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Protocol

from stepline_ingest.items import Points, Reject

QUANTUM = 20_000
"""Points that a turn is worth. A batch that is larger waits for several turns."""


class _Line(Protocol):
    """Something to take items from, one after the other; never empty while it is in a ring."""

    def first(self) -> Points | Reject: ...

    def push(self, item: Points | Reject) -> None: ...

    def pop(self) -> Points | Reject: ...

    def take_writer(self, item: Points | Reject) -> list[Points | Reject]:
        """All items of the writer of ITEM, without a charge."""

    def __bool__(self) -> bool: ...


class FairQueue:
    """Items on their way into groups. Not thread-safe: it lives on the event loop."""

    def __init__(self, quantum: int = QUANTUM) -> None:
        self._tenants = _Ring(_tenant, lambda: _Ring(_writer, _Items, quantum), quantum)
        self._aside: dict[bytes, list[Points | Reject]] = {}
        """By writer; who is in here has nothing in the rings."""
        self._length = 0
        self.rows = 0
        """Points in it that may be taken."""

    def __len__(self) -> int:
        """With what was put aside."""
        return self._length

    @property
    def ready(self) -> bool:
        """Something may be taken."""
        return bool(self._tenants)

    def push(self, item: Points | Reject) -> None:
        self._length += 1
        aside = self._aside.get(item.writer.binding.writer)
        if aside is not None:
            aside.append(item)
        else:
            self._tenants.push(item)
            self.rows += _rows(item)

    def first(self) -> Points | Reject:
        """The item that `pop` takes next. The queue is ready."""
        return self._tenants.first()

    def pop(self) -> Points | Reject:
        item = self._tenants.pop()
        self._length -= 1
        self.rows -= _rows(item)
        return item

    def put_aside(self) -> None:
        """The writer whose item is first waits until `restore`, with all that it has here and all
        that is pushed meanwhile."""
        item = self.first()
        items = self._tenants.take_writer(item)
        self._aside[item.writer.binding.writer] = items
        self.rows -= sum(map(_rows, items))

    def restore(self, writer: bytes) -> None:
        """What was put aside of WRITER may be taken again."""
        for item in self._aside.pop(writer, ()):
            self._length -= 1
            self.push(item)

    def take_writer(self, item: Points | Reject) -> list[Points | Reject]:
        """Takes all items of the writer of ITEM out, those that were put aside too."""
        items = self._aside.pop(item.writer.binding.writer, None)
        if items is None:
            items = self._tenants.take_writer(item)
            self.rows -= sum(map(_rows, items))
        self._length -= len(items)
        return items

    def clear(self) -> list[Points | Reject]:
        """Takes all items out, those of a writer in their order."""
        for writer in list(self._aside):
            self.restore(writer)
        return [self.pop() for _ in range(self._length)]


class _Ring:
    """Lines that are served in turns. A turn adds to the credit of a line, an item takes its size
    from it; a line that runs empty leaves the ring, and comes back with one turn of credit."""

    def __init__(
        self,
        key: Callable[[Points | Reject], Hashable],
        new_line: Callable[[], _Line],
        quantum: int,
    ) -> None:
        self._key = key
        self._new_line = new_line
        self._quantum = quantum
        self._lines: OrderedDict[Hashable, _Line] = OrderedDict()
        self._credit: dict[Hashable, int] = {}

    def __bool__(self) -> bool:
        return bool(self._lines)

    def push(self, item: Points | Reject) -> None:
        key = self._key(item)
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = self._new_line()
            self._credit[key] = self._quantum
        line.push(item)

    def first(self) -> Points | Reject:
        while True:
            key, line = next(iter(self._lines.items()))
            item = line.first()
            if self._credit[key] >= self._cost(item):
                return item
            self._credit[key] += self._quantum
            self._lines.move_to_end(key)

    def pop(self) -> Points | Reject:
        self.first()
        key, line = next(iter(self._lines.items()))
        item = line.pop()
        self._credit[key] -= self._cost(item)
        self._drop_if_empty(key)
        return item

    def take_writer(self, item: Points | Reject) -> list[Points | Reject]:
        key = self._key(item)
        if key not in self._lines:
            return []
        items = self._lines[key].take_writer(item)
        self._drop_if_empty(key)
        return items

    def _drop_if_empty(self, key: Hashable) -> None:
        if not self._lines[key]:
            del self._lines[key], self._credit[key]

    def _cost(self, item: Points | Reject) -> int:
        return max(1, _rows(item)) if isinstance(item, Points) else self._quantum


class _Items:
    """The items of one writer."""

    def __init__(self) -> None:
        self._items: deque[Points | Reject] = deque()

    def __bool__(self) -> bool:
        return bool(self._items)

    def push(self, item: Points | Reject) -> None:
        self._items.append(item)

    def first(self) -> Points | Reject:
        return self._items[0]

    def pop(self) -> Points | Reject:
        return self._items.popleft()

    def take_writer(self, item: Points | Reject) -> list[Points | Reject]:
        items = list(self._items)
        self._items.clear()
        return items


def _rows(item: Points | Reject) -> int:
    return item.batch.points if isinstance(item, Points) else 0


def _tenant(item: Points | Reject) -> Hashable:
    return item.writer.binding.tenant


def _writer(item: Points | Reject) -> Hashable:
    return item.writer.binding.writer
