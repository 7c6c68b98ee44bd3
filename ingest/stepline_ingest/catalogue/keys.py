"""What there is to choose from: projects, and the keys of their runs."""

from __future__ import annotations

from collections.abc import Mapping

from stepline_ingest.gen.stepline.v1 import catalogue_pb2
from stepline_ingest.store.contract import Param, Setting, Store

from .fields import Kind
from .filter_text import typed_name
from .known import Scope

_PROJECTS = (
    "SELECT project, count(), countIf(state = 'running'), min(toUnixTimestamp64Milli(created)), "
    "max(toUnixTimestamp64Milli(updated)) FROM raw_runs FINAL "
    "WHERE run NOT IN (SELECT run FROM raw_deletions)"
)
_KEYS = (
    "SELECT key, count() AS n, countIf(kind = {number:UInt8}) AS numbers, "
    "countIf(kind = {text:UInt8}) AS texts, countIf(kind = {flag:UInt8}) AS flags, "
    "countIf(kind = {list:UInt8}) AS lists, "
    "if(numbers = 0, nan, minIf(number, kind = {number:UInt8})) AS low, "
    "if(numbers = 0, nan, maxIf(number, kind = {number:UInt8})) AS high, 0 AS live "
    "FROM raw_fields FINAL WHERE kind != 0"
)
_METRICS = (
    "SELECT concat('summary.', name) AS key, count() AS n, countIf(isFinite(shown)) AS numbers, "
    "0 AS texts, 0 AS flags, 0 AS lists, if(numbers = 0, nan, minIf(shown, isFinite(shown))) "
    "AS low, if(numbers = 0, nan, maxIf(shown, isFinite(shown))) AS high, 1 AS live "
    "FROM raw_summaries FINAL WHERE 1"
)
_ORDER = " ORDER BY key, live LIMIT {limit:UInt64} OFFSET {offset:UInt64}"


def read_projects(
    store: Store, scope: Scope, limits: Mapping[str, Setting]
) -> catalogue_pb2.ListProjectsReply:
    """Raises StoreError."""
    params: dict[str, Param] = {}
    sql = f"{_PROJECTS}{scope.condition(params)} GROUP BY project ORDER BY 5 DESC, project"
    return catalogue_pb2.ListProjectsReply(
        projects=[
            catalogue_pb2.Project(
                name=str(name), runs=runs, running=running, created_ms=first, updated_ms=last
            )
            for name, runs, running, first, last in _numbers(store.query(sql, params, limits))
        ]
    )


def read_keys(
    store: Store,
    scope: Scope,
    limits: Mapping[str, Setting],
    *,
    prefix: str,
    search: str,
    limit: int,
    offset: int,
) -> catalogue_pb2.ListRunKeysReply:
    """A page of keys. Raises StoreError."""
    params: dict[str, Param] = {kind.name.lower(): int(kind) for kind in Kind if kind}
    params |= {"limit": limit, "offset": offset}
    conditions = scope.condition(params)
    if prefix:
        params["prefix"] = prefix
        conditions += " AND startsWith(key, {prefix:String})"
    if search:
        params["search"] = search
        conditions += " AND positionCaseInsensitiveUTF8(key, {search:String}) > 0"
    rows = f"{_KEYS}{conditions} GROUP BY key UNION ALL {_METRICS}{conditions} GROUP BY name"
    found = store.query(f"SELECT *, count() OVER () FROM ({rows}){_ORDER}", params, limits)  # noqa: S608
    keys = []
    for key, *counts, low, high, live, _ in found:
        space, _, name = str(key).partition(".")
        runs, numbers, texts, flags, lists = (int(str(count)) for count in counts)
        keys.append(
            catalogue_pb2.RunKey(
                key=typed_name(space, name),
                runs=runs,
                numbers=numbers,
                texts=texts,
                flags=flags,
                lists=lists,
                min=float(str(low)),
                max=float(str(high)),
                live=bool(live),
            )
        )
    if found or not offset:
        total = int(str(found[0][-1])) if found else 0
    else:
        ((counted,),) = store.query(f"SELECT count() FROM ({rows})", params, limits)  # noqa: S608
        total = int(str(counted))
    return catalogue_pb2.ListRunKeysReply(keys=keys, total=total)


def _numbers(rows: list[tuple[object, ...]]) -> list[tuple[str, int, int, int, int]]:
    return [(str(row[0]), *(int(str(n)) for n in row[1:5])) for row in rows]  # type: ignore[misc]
