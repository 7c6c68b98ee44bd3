"""What changed in the config of a run, and when.

A change is stored before the config that has it, so that a process that dies in between loses none;
the client then says the same again, and the change stands there twice. Who reads leaves out a
change to what a key was changed to already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stepline._core import siphash64
from stepline_ingest.gen.stepline.v1 import catalogue_pb2
from stepline_ingest.run_request import json_text
from stepline_ingest.store.contract import Setting, Store

from .fields import MAX_ADDRESS, MISSING, RESERVED, fields_of

MAX_CHANGES = 10_000
"""Of one reply: the latest ones."""
_MAX_KEYS = 1_000
"""Of one change."""
_CUT = 1_024
"""Characters of a value that are shown."""
_COLUMNS = ("run", "changed", "attempt", "who", "keys", "before", "after", "version")
_READ = (
    "SELECT toUnixTimestamp64Milli(changed), attempt, who, keys, before, after "
    "FROM raw_config_changes FINAL WHERE run = {run:UInt64} "
    "ORDER BY version DESC LIMIT {most:UInt64}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigChange:
    """Keys that get other values in one update: (key, before, after) as JSON, "" for no value."""

    run_id: str
    time_ms: int
    attempt: int
    who: str
    version: int
    keys: tuple[tuple[str, str, str], ...]


def changed_keys(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> tuple[tuple[str, str, str], ...]:
    """What differs, in the order of keys, with dots between nested ones."""
    touched = [
        key
        for key in dict.fromkeys([*before, *after])
        if key != RESERVED and before.get(key) != after.get(key)
    ]
    old = fields_of({key: before[key] for key in touched if key in before})
    new = fields_of({key: after[key] for key in touched if key in after})
    found = []
    for key in sorted(old.keys() | new.keys()):
        was, now = old.get(key, MISSING), new.get(key, MISSING)
        if was != now:
            found.append((key, _shown(was.json()), _shown(now.json())))
    if not found:  # beyond what is compared of a text, or behind a long key
        first = touched[:_MAX_KEYS]
        found = [(key[:MAX_ADDRESS], _top(before, key), _top(after, key)) for key in first]
    return tuple(found[:_MAX_KEYS])


def put_change(store: Store, change: ConfigChange) -> None:
    """Raises StoreError."""
    keys, before, after = (list(column) for column in zip(*change.keys, strict=True))
    row = (
        siphash64(change.run_id),
        change.time_ms,
        change.attempt,
        change.who,
        keys,
        before,
        after,
        change.version,
    )
    store.insert_rows("raw_config_changes", _COLUMNS, [row])


def read_changes(
    store: Store, run_id: str, limits: Mapping[str, Setting]
) -> catalogue_pb2.ListConfigChangesReply:
    """The oldest first. Raises StoreError."""
    reply = catalogue_pb2.ListConfigChangesReply()
    latest: dict[str, str] = {}
    rows = store.query(_READ, {"run": siphash64(run_id), "most": MAX_CHANGES}, limits)
    for time_ms, attempt, who, keys, before, after in reversed(rows):
        assert isinstance(keys, list)
        assert isinstance(before, list)
        assert isinstance(after, list)
        for key, was, now in zip(keys, before, after, strict=True):
            if latest.get(key) == now:
                continue
            latest[key] = now
            reply.changes.add(
                time_ms=int(str(time_ms)),
                attempt=int(str(attempt)),
                who=str(who),
                key=key,
                before_json=was,
                after_json=now,
            )
    del reply.changes[:-MAX_CHANGES]
    return reply


def _top(values: Mapping[str, Any], key: str) -> str:
    return _shown(json_text(values[key])) if key in values else ""


def _shown(json: str) -> str:
    if json == "null":
        return ""
    return json if len(json) <= _CUT else json_text(json[:_CUT] + "..")
