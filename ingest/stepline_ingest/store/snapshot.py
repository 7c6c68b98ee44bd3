"""All tables as they were at one instant: hard links to their parts, which are never changed.

The engine makes the links (`ALTER TABLE ... FREEZE`) in `shadow/NAME`, while no INSERT runs. That
takes milliseconds for each hundred parts; copying them takes as long as it likes.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import StoreError

NAME = "stepline_snapshot"
"""One snapshot at a time; what a killed process left is removed before the next."""

_TABLES = """
SELECT name, toString(uuid) FROM system.tables
WHERE database = currentDatabase() AND engine LIKE '%MergeTree' ORDER BY name
"""

Query = Callable[[str], list[tuple[object, ...]]]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The folders of the parts of each table."""

    parts: Mapping[str, Sequence[Path]]


def freeze(engine: Path, query: Query, command: Callable[[str], None]) -> Snapshot:
    """Links the parts of every table. The caller keeps inserts away meanwhile."""
    unfreeze(engine)
    tables = {str(name): str(uuid) for name, uuid in query(_TABLES)}
    for name in tables:
        command(f"ALTER TABLE {name} FREEZE WITH NAME '{NAME}'")
    return Snapshot({name: _parts(engine, uuid) for name, uuid in tables.items()})


def unfreeze(engine: Path) -> None:
    """Removes the links. The parts stay as long as the tables have them."""
    shutil.rmtree(engine / "shadow" / NAME, ignore_errors=True)


def detached(engine: Path, query: Query, table: str) -> Path:
    """Where the engine looks for parts to attach to TABLE."""
    for name, uuid in query(_TABLES):
        if name == table:
            return engine / _folder(str(uuid)) / "detached"
    raise StoreError(f"there is no table {table}", code=60)


def _parts(engine: Path, uuid: str) -> list[Path]:
    frozen = engine / "shadow" / NAME / _folder(uuid)
    return sorted(path for path in frozen.glob("*") if path.is_dir())


def _folder(uuid: str) -> Path:
    return Path("store") / uuid[:3] / uuid
