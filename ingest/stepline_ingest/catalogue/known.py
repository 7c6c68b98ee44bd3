"""Which of the keys that somebody names there are, where their values stand, and which one a
mistyped key may have meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from stepline._core import siphash64
from stepline_ingest.errors import ServiceError
from stepline_ingest.similar import closest
from stepline_ingest.store.contract import Param, Setting, Store

from .fields import address
from .filter_text import Source, typed_name
from .filter_tree import Field, FieldKind

STATS = ("first", "last", "min", "max", "mean", "best", "count")
"""What can be asked of a metric behind its name."""
_COLUMN_OF = {**{stat: stat for stat in STATS}, "count": "points"}
_NEAR = 20_000
"""Keys among which the nearest one is looked for."""

_KEYS = "SELECT DISTINCT key FROM raw_fields WHERE key IN {keys:Array(String)}"
_METRICS = "SELECT DISTINCT metric FROM raw_summaries WHERE metric IN {metrics:Array(UInt64)}"
_SOME = "SELECT DISTINCT key FROM raw_fields WHERE startsWith(key, {space:String})"
_NAMES = "SELECT DISTINCT name FROM raw_summaries WHERE 1"
_RUNS = "SELECT 1 FROM raw_runs WHERE 1"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the values of a key stand: in raw_fields under KEY, and in raw_summaries in COLUMN of
    METRIC. What the user has set wins."""

    key: str = ""
    metric: int | None = None
    column: str = ""


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose runs count: those of PROJECT, or all of them when it is empty."""

    project: str = ""

    def condition(self, params: dict[str, Param]) -> str:
        """ " AND project = .." """
        if not self.project:
            return ""
        params["project"] = self.project
        return " AND project = {project:String}"


@dataclass(slots=True)
class KnownKeys:
    """The places of the keys that were looked up."""

    places: dict[tuple[FieldKind, str], Place] = field(default_factory=dict)

    def place(self, one: Field) -> Place:
        """Where the values of a key stand; nowhere when no run has it."""
        return self.places.get((one.kind, one.name), Place())


def look_up(
    store: Store, fields: Iterable[Field], scope: Scope, limits: Mapping[str, Setting]
) -> KnownKeys:
    """The places of those of FIELDS that are keys and that a run has. Raises StoreError."""
    wanted = {(one.kind, one.name): one for one in fields if one.is_key}
    if not wanted:
        return KnownKeys()
    keys = {which: stored_key(one) for which, one in wanted.items()}
    params: dict[str, Param] = {"keys": sorted(set(keys.values()))}
    sql = _KEYS + " AND kind != 0" + scope.condition(params)
    stored = {str(key) for (key,) in store.query(sql, params, limits)}
    metrics = {
        which: list(_metrics(one.name))
        for which, one in wanted.items()
        if one.kind is FieldKind.SUMMARY
    }
    known = _known_metrics(store, metrics.values(), scope, limits)
    found = KnownKeys()
    for which, key in keys.items():
        shown = next((each for each in metrics.get(which, ()) if each[0] in known), None)
        if key in stored or shown is not None:
            metric, column = shown or (None, "")
            found.places[which] = Place(key if key in stored else "", metric, column)
    return found


def unknown_key(
    store: Store, source: Source, one: Field, scope: Scope, limits: Mapping[str, Setting]
) -> ServiceError | None:
    """What to tell who named a key that no run has; None where there is no run at all."""
    params: dict[str, Param] = {}
    if not store.query(_RUNS + scope.condition(params) + " LIMIT 1", params, limits):
        return None
    space = one.kind.value
    params = {"space": f"{space}.", "most": _NEAR}
    most = " LIMIT {most:UInt64}"
    found = store.query(_SOME + scope.condition(params) + most, params, limits)
    known = {str(key)[len(space) + 1 :] for (key,) in found}
    if one.kind is FieldKind.SUMMARY:
        params = {"most": _NEAR}
        found = store.query(_NAMES + scope.condition(params) + most, params, limits)
        known |= {str(name) for (name,) in found}
    where = f"of project {scope.project}" if scope.project else "here"
    near = nearest(one.name, known)
    if near:
        remedy = f"did you mean {' or '.join(typed_name(space, name) for name in near)}?"
    else:
        remedy = "`stepline runs --keys` lists the keys that there are"
    return source.error(one.place, f"no run {where} has {typed_name(space, one.name)}; {remedy}")


def nearest(name: str, known: Iterable[str]) -> Sequence[str]:
    """Up to two names that NAME may have meant."""
    by_address = {address(each): each for each in sorted(known, reverse=True)}
    tail, wanted = name.rpartition("."), address(name)
    if tail[2] in STATS:
        near = closest(address(tail[0]), by_address, count=2)
        if near:
            return [f"{by_address[each]}.{tail[2]}" for each in near]
    near = closest(wanted, by_address, count=2)
    if not near:
        last = wanted.rpartition(".")[2]
        near = [each for each in by_address if each.rpartition(".")[2] == last][:2]
    return [by_address[each] for each in near]


def stored_key(one: Field) -> str:
    """The key of raw_fields that a field names."""
    return f"{one.kind.value}.{address(one.name)}"


def _metrics(name: str) -> Iterable[tuple[int, str]]:
    """(metric, column) that the name of a summary may mean: a whole metric, or a statistic."""
    yield siphash64(name), "shown"
    metric, dot, stat = name.rpartition(".")
    if dot and stat in STATS:
        yield siphash64(metric), _COLUMN_OF[stat]


def _known_metrics(
    store: Store,
    candidates: Iterable[Iterable[tuple[int, str]]],
    scope: Scope,
    limits: Mapping[str, Setting],
) -> set[int]:
    asked = sorted({metric for each in candidates for metric, _ in each})
    if not asked:
        return set()
    params: dict[str, Param] = {"metrics": asked}
    sql = _METRICS + scope.condition(params)
    return {int(str(metric)) for (metric,) in store.query(sql, params, limits)}
