"""The states of a fill, from the first row to the end of the points. See the package.

Invariants
- Points go only after what is kept of them was counted against them, while no INSERT could add to
  them (`Store.holding_inserts`).
- `filled` is written before the first point goes and is the only thing that decides: a process that
  dies before it has done nothing, one that dies after it only has to go on.
- A number is used once, so what a statement of a dead process writes late under its number never
  counts.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from stepline_ingest.query.select import select
from stepline_ingest.schema import tiers
from stepline_ingest.store.contract import Setting, Store
from stepline_ingest.store.errors import StoreError
from stepline_ingest.store.values import only

from .cells import FINEST, PIECE_POINTS, SERIES, write_rows
from .months import month_text

log = logging.getLogger(__name__)

TABLES = ("raw_cells", "raw_marks")
"""What a fill has rows in."""

_VERSIONS = {"filling": 1, "void": 2, "filled": 3, "dropped": 4}
"""Of the row of a fill: the highest counts. A process that was taken for dead and says `filled`
after all is believed."""
_LATE = 86_400
"""Seconds for which rows of a void fill are left on a server, where its process may still live."""
_RETRY = 0.5

_NEWEST = "SELECT max(fill) FROM raw_expiry"
_OPEN = "SELECT fill, month, state FROM raw_expiry FINAL WHERE state IN ('filling', 'filled')"
_VOID = (
    "SELECT fill FROM raw_expiry FINAL WHERE state = 'void' AND changed <= now64(3) - {age:UInt32}"
)
_WITH_ROWS = (
    "SELECT DISTINCT partition FROM system.parts WHERE database = currentDatabase() "
    "AND table = {table:String} AND active AND rows > 0"
)
_STATE = "SELECT state FROM raw_expiry FINAL WHERE fill = {fill:UInt64}"
_POINTS = select(
    {"n": tiers.COUNT, "bad": tiers.NONFINITE},
    tiers.TABLE,
    where=["_partition_id = {month:String}"],
)
_CELLS = "SELECT width, sum(n), sum(bad) FROM raw_cells WHERE fill = {fill:UInt64} GROUP BY width"
_MARKS = "SELECT sum(points) FROM raw_marks WHERE fill = {fill:UInt64}"
_BYTES = (
    "SELECT sum(bytes_on_disk) FROM system.parts WHERE database = currentDatabase() "
    "AND table = {table:String} AND active AND partition_id = {partition:String}"
)


def expire(
    store: Store,
    month: int,
    *,
    between: Callable[[], None] = lambda: None,
    piece_points: int = PIECE_POINTS,
) -> int | None:
    """Replaces the points of MONTH by what is kept of them, and returns how many they were; None
    when they changed meanwhile, and nothing is different then. BETWEEN is called now and then; what
    it raises gives the fill up, unless that counts already. Raises StoreError."""
    fill = only(store.query(_NEWEST)) + 1
    _enter(store, fill, month, "filling")
    done: int | None = None
    try:
        write_rows(store, fill, month, between=between, piece_points=piece_points)
        between()
        done = _replace(store, fill, month, between)
    finally:
        if done is None:
            _give_up(store, fill, month)
    return done


def recover(store: Store, *, between: Callable[[], None] = lambda: None) -> None:
    """Ends what was begun and not ended: by a process that died, for who has just opened STORE; by
    this one while the store failed. Not while a fill runs. BETWEEN is called while the store fails
    at what has to be done. Raises StoreError, and what BETWEEN raises."""
    for fill, month, state in store.query(_OPEN):
        if state == "filled":
            log.info("points of %s are replaced by their rollups", month_text(int(str(month))))
            with store.holding_inserts(), store.expired.changing():
                _drop_at_last(store, int(str(fill)), int(str(month)), between)
        else:
            _enter(store, int(str(fill)), int(str(month)), "void")
    sweep(store)


def sweep(store: Store) -> None:
    """Removes rows of fills that were given up. Raises StoreError."""
    age = 0 if store.kind == "chdb" else _LATE
    void = {str(fill) for (fill,) in store.query(_VOID, {"age": age})}
    for table in TABLES:
        for (fill,) in store.query(_WITH_ROWS, {"table": table}):
            if str(fill) in void:
                store.command(f"ALTER TABLE {table} DROP PARTITION {int(str(fill))}", points=False)


def _replace(store: Store, fill: int, month: int, between: Callable[[], None]) -> int | None:
    with store.holding_inserts():
        points = _checked(store, fill, month)
        if points is None:
            return None
        kept = sum(_bytes(store, table, str(fill)) for table in TABLES)
        sizes = (points, _bytes(store, tiers.TABLE, str(month)), kept)
        with store.expired.changing():
            _decide(store, fill, month, sizes, between)
            _drop_at_last(store, fill, month, between)
    return points


def _decide(
    store: Store,
    fill: int,
    month: int,
    sizes: tuple[int, int, int],
    between: Callable[[], None],
) -> None:
    try:
        _enter(store, fill, month, "filled", *sizes)
    except StoreError:
        if not _counts(store, fill, month, between):
            raise


def _counts(store: Store, fill: int, month: int, between: Callable[[], None]) -> bool:
    """Whether FILL does; asked until the store answers, since nobody may read before."""
    while True:
        try:
            return store.query(_STATE, {"fill": fill}) == [("filled",)]
        except StoreError as error:
            log.warning("it is not known yet whether %s goes: %s", month_text(month), error)
        between()
        time.sleep(_RETRY)


def _checked(store: Store, fill: int, month: int) -> int | None:
    """How many points MONTH has, when FILL says the same in each of its tables."""
    ((points, bad),) = store.query(_POINTS, {"month": str(month)})
    counted = (int(str(points)), int(str(bad)))
    cells = {
        int(str(width)): (int(str(n)), int(str(of_them)))
        for width, n, of_them in store.query(_CELLS, {"fill": fill})
    }
    marked = only(store.query(_MARKS, {"fill": fill}))
    wanted = dict.fromkeys((SERIES, *tiers.WIDTHS), counted)
    if not counted[0] or cells != wanted or marked != counted[0]:
        log.warning(
            "points of %s changed while their rollups were copied: %d there, %s and %d copied; "
            "they stay, and it is tried again later",
            month_text(month),
            counted[0],
            cells.get(FINEST, (0, 0))[0],
            marked,
        )
        return None
    return counted[0]


def _drop_at_last(store: Store, fill: int, month: int, between: Callable[[], None]) -> None:
    """Until it has been done: nobody may read before."""
    while True:
        try:
            return _drop(store, fill, month)
        except StoreError as error:
            log.warning("points of %s do not go yet: %s", month_text(month), error)
        between()
        time.sleep(_RETRY)


def _drop(store: Store, fill: int, month: int) -> None:
    store.command(f"ALTER TABLE {tiers.TABLE} DROP PARTITION ID '{int(month)}'", _ANY_SIZE)
    _copy(store, fill, "dropped")


def _give_up(store: Store, fill: int, month: int) -> None:
    """Unless it counts."""
    try:
        if store.query(_STATE, {"fill": fill}) == [("filling",)]:
            _enter(store, fill, month, "void")
            sweep(store)
    except StoreError as error:
        log.warning("what was copied of %s is removed later: %s", month_text(month), error)


def _enter(
    store: Store, fill: int, month: int, state: str, points: int = 0, size: int = 0, kept: int = 0
) -> None:
    numbers = (points, size, kept)
    values = ", ".join([str(fill), str(month), f"'{state}'", *map(str, numbers), "now64(3)"])
    # Not insert_rows: that would wait for the end of holding_inserts().
    store.command(
        f"INSERT INTO raw_expiry SELECT {values}, {_VERSIONS[state]}", _DURABLE, points=False
    )


def _copy(store: Store, fill: int, state: str) -> None:
    """The row of FILL with another state."""
    made = f"SELECT fill, month, '{state}', points, bytes, kept_bytes, now64(3), {_VERSIONS[state]}"
    store.command(
        f"INSERT INTO raw_expiry {made} FROM raw_expiry FINAL WHERE fill = {fill}",
        _DURABLE,
        points=False,
    )


_DURABLE: dict[str, Setting] = {"async_insert": 0, "insert_deduplicate": 0}
_ANY_SIZE: dict[str, Setting] = {"max_partition_size_to_drop": 0}


def _bytes(store: Store, table: str, partition: str) -> int:
    return only(store.query(_BYTES, {"table": table, "partition": partition}))
