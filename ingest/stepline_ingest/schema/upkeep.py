"""Rollups for parts that no merge will come to.

Merges build the rollups, but a part that stays alone, such as the last ones of a bulk load, is read
point by point. This builds what is missing, in place; parts that have everything are not rewritten.
To be called when little is being written.
"""

from __future__ import annotations

from dataclasses import dataclass

from stepline_ingest.store.contract import Store

from . import tiers

_BARE = (
    "SELECT partition_id, count(), sum(rows) FROM system.parts "
    "WHERE database = currentDatabase() AND table = {table:String} AND active "
    "AND NOT hasAll(projections, {names:Array(String)}) "
    "GROUP BY partition_id ORDER BY partition_id"
)


@dataclass(frozen=True, slots=True)
class Bare:
    """Parts of one partition that lack rollups."""

    partition: str
    parts: int
    rows: int


def bare_parts(store: Store) -> list[Bare]:
    """What `build_rollups` would work on."""
    found = store.query(_BARE, {"table": tiers.TABLE, "names": list(tiers.projections())})
    return [Bare(str(id_), int(str(parts)), int(str(rows))) for id_, parts, rows in found]


def build_rollups(store: Store, *, min_rows: int = 1) -> int:
    """Builds the rollups of partitions in which at least MIN_ROWS points lack them. Returns the
    points that got them."""
    done = 0
    for bare in bare_parts(store):
        if bare.rows < min_rows or not bare.partition.isalnum():
            continue
        steps = ", ".join(
            f"MATERIALIZE PROJECTION {name} IN PARTITION ID '{bare.partition}'"
            for name in tiers.projections()
        )
        store.command(f"ALTER TABLE {tiers.TABLE} {steps}", {"mutations_sync": 1})
        done += bare.rows
    return done
