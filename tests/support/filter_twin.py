"""What a filter means, in plain Python over the JSON of runs: the judge of the SQL."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Sequence
from typing import Any

from stepline_ingest.catalogue.filter_tree import (
    Both,
    Comparison,
    Either,
    Field,
    FieldKind,
    Not,
    Tree,
)
from stepline_ingest.run_record import RunRecord

_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def holds(tree: Tree | None, run: RunRecord) -> bool:
    """Whether RUN meets the filter."""
    if tree is None:
        return True
    if isinstance(tree, Not):
        return not holds(tree.inner, run)
    if isinstance(tree, Both):
        return all(holds(part, run) for part in tree.parts)
    if isinstance(tree, Either):
        return any(holds(part, run) for part in tree.parts)
    return _compared(tree, value_of(run, tree.field))


def value_of(run: RunRecord, field: Field, now_ms: int | None = None) -> Any:
    """None where the run has none."""
    if field.is_key:
        record = run.config if field.kind is FieldKind.CONFIG else run.summary
        found = _flat(record).get(field.name.replace("/", "."))
        if isinstance(found, float) and not math.isfinite(found):
            return str(found)
        return found
    if field.name == "name":
        return run.name or run.run_id
    if field.kind is FieldKind.TAGS:
        return run.tags
    own = {
        "id": run.run_id, "attempts": float(len(run.attempts)), "created": float(run.created_ms),
        "updated": float(run.updated_ms),
        "duration": run.duration_ms(now_ms or int(time.time() * 1000)) / 1000,
    }  # fmt: skip
    return own[field.name] if field.name in own else getattr(run, field.name) or None


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    """Each address once: of two keys with one address, the one nested deeper, or the last."""
    leaves: list[tuple[int, str, Any]] = []

    def walk(values: dict[str, Any], path: list[str]) -> None:
        for key, value in values.items():
            here = [*path, key.replace("/", ".")]
            if isinstance(value, dict):
                walk(value, here)
            elif value is not None:
                leaves.append((len(here), ".".join(here), value))

    walk(record, [])
    found: dict[str, tuple[int, Any]] = {}
    for depth, path, value in leaves:
        if path not in found or depth >= found[path][0]:
            found[path] = depth, value
    return {path: value for path, (_, value) in found.items()}


def _compared(one: Comparison, value: Any) -> bool:
    if one.operator == "=" and one.value is None:
        return value is None or (value == [] and one.field.kind is FieldKind.TAGS)
    if one.field.kind is FieldKind.TAGS:
        if one.operator == "matches":
            return any(re.search(str(one.value), tag) for tag in value)
        return one.value in value
    if value is None and one.field.kind is FieldKind.TEXT:
        value = ""
    if value is None:
        return False
    if one.operator == "in":
        return any(_equal(value, each) for each in one.values)
    if one.operator in ("has", "contains"):
        if isinstance(value, list):
            return any(_equal(item, one.value, nested=True) for item in value)
        return one.operator == "contains" and isinstance(value, str) and (
            isinstance(one.value, str) and one.value in value
        )  # fmt: skip
    if one.operator == "matches":
        return isinstance(value, str) and re.search(str(one.value), value) is not None
    if one.operator == "=":
        return _equal(value, one.value)
    if isinstance(value, str) and isinstance(one.value, str):
        return _ORDER[one.operator](value.encode(), one.value.encode())
    if _number(value) and _number(one.value):
        return _ORDER[one.operator](float(value), one.value)
    return False


def _equal(value: Any, wanted: Any, *, nested: bool = False) -> bool:
    if isinstance(value, list) and isinstance(wanted, str) and not nested:
        return _json(value) == wanted
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    if _number(value) and _number(wanted):
        return float(value) == wanted
    return isinstance(value, str) and value == wanted


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def ordered(runs: Sequence[RunRecord], keys: Sequence[tuple[Field, bool]]) -> list[str]:
    """The ids of RUNS in the order of KEYS, (field, descending); then the newest first."""
    now_ms = int(time.time() * 1000)  # of one instant: runs that began together are as old
    found = sorted(runs, key=lambda run: (-run.created_ms, run.run_id.encode()))
    for field, down in reversed(keys):
        found.sort(key=lambda run: _rank(value_of(run, field, now_ms)), reverse=down)
        found.sort(key=lambda run: _kind(value_of(run, field, now_ms)))
    return [run.run_id for run in found]


def _kind(value: Any) -> int:
    if value is None:
        return 9
    if isinstance(value, bool):
        return 2
    return 1 if _number(value) else 3 if isinstance(value, str) else 4


def _rank(value: Any) -> tuple[float, bytes]:
    if value is None:
        return 0.0, b""
    if isinstance(value, bool) or _number(value):
        # Equal numbers that are written in two ways follow their JSON.
        return float(value), json.dumps(value).encode()
    text = value if isinstance(value, str) else _json(value)
    return 0.0, text.encode()


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
