"""The months of stored points: what each has, and when it expires."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone

from stepline_ingest.schema import tiers
from stepline_ingest.store.contract import Store

DAY = 86_400
MIN_KEEP = DAY
"""Seconds. Shorter ones would let a month go while points may still be stored in it."""
MAX_KEEP = 1_000_000 * 365 * DAY
"""The same. A time beyond that is none that a client could be told of."""

_AGE = re.compile(r"(\d{1,6})([dwy])", re.ASCII)
_UNITS = {"d": DAY, "w": 7 * DAY, "y": 365 * DAY}

_STORED = (
    "SELECT partition_id, sum(rows), sum(bytes_on_disk) FROM system.parts "
    "WHERE database = currentDatabase() AND table = {table:String} AND active AND rows > 0 "
    "GROUP BY partition_id ORDER BY partition_id"
)
_ROLLUPS = (
    "SELECT partition_id, sum(bytes_on_disk) FROM system.projection_parts "
    "WHERE database = currentDatabase() AND table = {table:String} AND active "
    "GROUP BY partition_id"
)
_FILLS = (
    "SELECT month, state, sum(points), sum(bytes), sum(kept_bytes) FROM raw_expiry FINAL "
    "WHERE state != 'void' GROUP BY month, state ORDER BY month, state"
)


@dataclass(frozen=True, slots=True)
class Month:
    """Points received in one month."""

    number: int
    """202601 is January 2026."""
    points: int
    bytes: int
    """On disk, rollups included."""
    kept_bytes: int
    """What stays of them: an estimate while they are stored."""
    state: str
    """"stored", "expiring" or "expired"."""

    @property
    def end(self) -> float:
        """Its last moment, in seconds since the epoch."""
        return month_end(self.number)

    def is_due(self, keep: float, now: float) -> bool:
        """Whether all of it is older than KEEP seconds."""
        return self.state == "stored" and self.end + keep <= now


def parse_age(text: str) -> int:
    """Seconds, of days, weeks or years: "90d", "26w", "2y". Raises ValueError, for people."""
    found = _AGE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no age: write days, weeks or years, as in 90d, 26w or 2y")
    seconds = int(found[1]) * _UNITS[found[2]]
    if seconds < MIN_KEEP:
        raise ValueError(f"{text} is too short: points are kept for at least 1d")
    return seconds


def find_months(store: Store) -> list[Month]:
    """All months, the oldest first; one that has both points and what is kept of others is there
    twice. Raises StoreError."""
    params = {"table": tiers.TABLE}
    rollups = {str(name): int(str(size)) for name, size in store.query(_ROLLUPS, params)}
    found = []
    going = set()
    for month, state, points, size, kept in store.query(_FILLS):
        number = int(str(month))
        if state == "filling":
            going.add(number)
        else:
            sizes = (int(str(points)), int(str(size)), int(str(kept)))
            found.append(Month(number, *sizes, "expired" if state == "dropped" else "expiring"))
            if state == "filled":
                going.add(number)
    for name, rows, size in store.query(_STORED, params):
        number = int(str(name))
        if any(one.number == number and one.state == "expiring" for one in found):
            continue  # what is left of it
        state = "expiring" if number in going else "stored"
        kept = rollups.get(str(name), 0)
        found.append(Month(number, int(str(rows)), int(str(size)), kept, state))
    return sorted(found, key=lambda one: (one.number, one.state))


def month_end(number: int) -> float:
    """The moment at which the month NUMBER is over, in seconds since the epoch."""
    year, month = divmod(number, 100)
    after = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=timezone.utc)
    return after.timestamp()


def month_text(number: int) -> str:
    """ "2026-01" """
    return f"{number // 100:04}-{number % 100:02}"
