# ruff: noqa: S608  (texts are made of constants and of places for parameters)
"""Pages of runs: filtered, sorted and grouped by the engine, with the values of chosen keys.

Configs are not touched: what is filtered and sorted by stands in raw_fields and raw_summaries,
ordered by key, so that a key costs the reading of its own values and nothing else.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from stepline._core import siphash64
from stepline_ingest.errors import ServiceError
from stepline_ingest.run_record import RunRecord
from stepline_ingest.run_request import json_text
from stepline_ingest.store.contract import Setting, Store, StoreError

from .fields import MISSING, Kind, Value
from .filter_sql import FilterSql, attempt_texts, keys_of
from .filter_text import Source, quoted, typed_name
from .filter_tree import Comparison, Field, FieldKind, SortKey, Tree, comparisons
from .known import KnownKeys, Place, Scope, look_up, stored_key, unknown_key

_BAD_REGEX = 427
"""ClickHouse's number of the error."""
_SEEN = 10_000
_SETTINGS: dict[str, Setting] = {"split_intersecting_parts_ranges_into_layers_final": 0}
"""A key is a small range of each part: cutting it up for many threads costs more than it gives."""
_ALIVE = "r.run NOT IN (SELECT run FROM raw_deletions)"
_FROM = "raw_runs AS r FINAL"
_FIELDS = (
    "SELECT run, key, kind, number, text FROM raw_fields FINAL "
    "WHERE key IN {keys:Array(String)} AND run IN {runs:Array(UInt64)}"
)
_SUMMARIES = (
    "SELECT run, metric, first, last, min, max, mean, best, shown, points FROM raw_summaries FINAL "
    "WHERE metric IN {metrics:Array(UInt64)} AND run IN {runs:Array(UInt64)}"
)
_STATISTICS = ("first", "last", "min", "max", "mean", "best", "shown", "points")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsQuery:
    """Which runs, in which order. FILTER is what TREE was made of, for errors."""

    scope: Scope
    filter: str = ""
    tree: Tree | None = None
    sort: Sequence[SortKey] = ()
    group_by: Sequence[Field] = ()
    limit: int
    offset: int = 0

    def fields(self) -> list[Field]:
        """All that it names."""
        filtered = [] if self.tree is None else [one.field for one in comparisons(self.tree)]
        return [*filtered, *(key.field for key in self.sort), *self.group_by]


@dataclass(frozen=True, slots=True)
class Group:
    """Runs with the same values of the keys that were grouped by."""

    values: tuple[Value, ...]
    count: int
    filter: str


@dataclass(slots=True)
class RunsTable:
    """The tables of the catalogue, to be asked. Every method blocks, and raises StoreError, and
    ServiceError for a key or an expression that is none."""

    store: Store
    limits: Mapping[str, Setting] = field(default_factory=dict)
    _seen: dict[tuple[str, str], Place] = field(default_factory=dict)
    """Of keys of configs, by project and key: what was there once is worth no second look."""

    def page(self, query: RunsQuery) -> tuple[list[str], int]:
        """The ids of a page of runs, and how many there are on all pages."""
        sql = self._sql(query)
        order = []
        for key in query.sort:
            value = sql.value(key.field)
            down = " DESC" if key.descending else ""
            order += [f"{value.kind} = 0", value.kind, value.number + down, value.text + down]
        order += ["r.created DESC", "r.run_id"]
        where = self._where(query, sql)
        limit = sql.parameter(query.limit, "UInt64")
        offset = sql.parameter(query.offset, "UInt64")
        text = (
            f"SELECT r.run_id FROM {_FROM}{sql.joins} WHERE {where} "
            f"ORDER BY {', '.join(order)} LIMIT {limit} OFFSET {offset}"
        )
        settings = {**self.limits, **_SETTINGS, "exact_rows_before_limit": 1}
        with self._explained(query):
            raw = self.store.query_raw(text, "JSONCompact", sql.params, settings, readonly=False)
        answer = json.loads(raw)
        return [run_id for (run_id,) in answer["data"]], answer["rows_before_limit_at_least"]

    def groups(self, query: RunsQuery) -> tuple[list[Group], int]:
        """A page of groups, the largest first, and how many there are on all pages."""
        sql = self._sql(query)
        values = []
        for number, key in enumerate(query.group_by):
            kind, amount, text = _grouped(sql, key)
            # 1 and 1.0 are one group.
            values.append(
                f"tuple({kind}, {amount}, if({kind} IN (1, 2), '', {text})) AS g{number}, "
                f"{text} AS t{number}"
            )
        where = self._where(query, sql)
        limit = sql.parameter(query.limit, "UInt64")
        offset = sql.parameter(query.offset, "UInt64")
        inner = f"SELECT {', '.join(values)} FROM {_FROM}{sql.joins} WHERE {where}"
        numbers = range(len(query.group_by))
        listed = ", ".join(f"g{n}" for n in numbers)
        texts = ", ".join(f"any(t{n}) AS x{n}" for n in numbers)
        parts = ", ".join(f"tupleElement(g{n}, 1), tupleElement(g{n}, 2), x{n}" for n in numbers)
        rows = self._query(
            query,
            f"SELECT {parts}, n, count() OVER () FROM "
            f"(SELECT {listed}, {texts}, count() AS n FROM ({inner}) GROUP BY {listed}) "
            f"ORDER BY n DESC, {listed} LIMIT {limit} OFFSET {offset}",
            sql,
        )
        found = [_group(query.group_by, row) for row in rows]
        if found or not query.offset:
            return found, int(str(rows[0][-1])) if rows else 0
        counted = self._query(
            query,
            f"SELECT count() FROM (SELECT 1 FROM ({inner}) GROUP BY {listed})",
            sql,
        )
        return [], int(str(counted[0][0]))

    def columns(
        self, runs: Sequence[RunRecord], fields: Sequence[Field], scope: Scope
    ) -> dict[str, list[Value]]:
        """The values of FIELDS for each of RUNS, by run id."""
        known = look_up(self.store, fields, scope, self.limits)
        ids = [siphash64(run.run_id) for run in runs]
        stored: dict[tuple[int, str], Value] = {}
        places = [known.place(one) for one in fields if one.is_key]
        if ids and any(place.key for place in places):
            rows = self.store.query(_FIELDS, {"keys": keys_of(fields), "runs": ids}, self.limits)
            for run, key, kind, number, text in rows:
                value = Value(Kind(int(str(kind))), float(str(number)), str(text))
                stored[int(str(run)), str(key)] = value
        live = self._live(ids, places)
        texts = {
            one.name: self._attempt_texts(one.name, ids) for one in fields if one.is_of_attempts
        }

        def shown(run: RunRecord, number: int, one: Field) -> Value:
            if one.is_of_attempts:
                return texts[one.name].get(number, MISSING)
            return _shown(run, number, one, known, stored, live)

        return {
            run.run_id: [shown(run, number, one) for one in fields]
            for run, number in zip(runs, ids, strict=True)
        }

    def _attempt_texts(self, name: str, runs: list[int]) -> dict[int, Value]:
        """The texts of a field that attempts say, by run."""
        if not runs:
            return {}
        sql = attempt_texts(name, "run IN {runs:Array(UInt64)}")
        rows = self.store.query(sql, {"runs": runs}, self.limits)
        return {int(str(run)): Value(Kind.TEXT, 0.0, str(text)) for run, text in rows}

    def _live(
        self, runs: list[int], places: Sequence[Place]
    ) -> dict[tuple[int, int], dict[str, float]]:
        metrics = sorted({place.metric for place in places if place.metric is not None})
        if not (runs and metrics):
            return {}
        rows = self.store.query(_SUMMARIES, {"metrics": metrics, "runs": runs}, self.limits)
        return {
            (int(str(run)), int(str(metric))): {
                name: float(str(value)) for name, value in zip(_STATISTICS, values, strict=True)
            }
            for run, metric, *values in rows
        }

    def _sql(self, query: RunsQuery) -> FilterSql:
        """To be asked for values first, and then for conditions, which use what is joined for
        those; once all keys of QUERY are known."""
        asked: list[tuple[Source, Field]] = []
        if query.tree is not None:
            source = Source("filter", query.filter)
            asked += [(source, one.field) for one in comparisons(query.tree)]
        asked += [(key.source, key.field) for key in query.sort]
        asked += [
            (Source("group", typed_name(key.kind.value, key.name)), key)
            for key in query.group_by
            if key.is_key
        ]
        known = self._known([one for _, one in asked], query.scope)
        for source, one in asked:
            if one.is_key and known.place(one) == Place():
                self._refuse(source, one, query.scope)
        return FilterSql(known, query.scope)

    def _where(self, query: RunsQuery, sql: FilterSql) -> str:
        conditions = [_ALIVE]
        if query.scope.project:
            conditions.append(f"r.project = {sql.parameter(query.scope.project, 'String')}")
        if query.tree is not None:
            conditions.append(f"({sql.condition(query.tree)})")
        return " AND ".join(conditions)

    def _known(self, fields: Sequence[Field], scope: Scope) -> KnownKeys:
        found = KnownKeys()
        fresh = []
        for one in fields:
            place = self._seen.get((scope.project, one.name))
            if one.kind is FieldKind.CONFIG and place is not None:
                found.places[one.kind, one.name] = place
            else:
                fresh.append(one)
        looked_up = look_up(self.store, fresh, scope, self.limits)
        if len(self._seen) > _SEEN:
            self._seen.clear()
        for (kind, name), place in looked_up.places.items():
            if kind is FieldKind.CONFIG:
                self._seen[scope.project, name] = place
        found.places |= looked_up.places
        return found

    def _refuse(self, source: Source, one: Field, scope: Scope) -> None:
        error = unknown_key(self.store, source, one, scope, self.limits)
        if error is not None:
            raise error

    def _query(self, query: RunsQuery, text: str, sql: FilterSql) -> list[tuple[object, ...]]:
        with self._explained(query):
            return self.store.query(text, sql.params, {**self.limits, **_SETTINGS})

    @contextmanager
    def _explained(self, query: RunsQuery) -> Iterator[None]:
        """A regular expression that the engine does not take is the fault of the filter."""
        try:
            yield
        except StoreError as error:
            if error.code == _BAD_REGEX and query.tree is not None:
                raise self._bad_regex(query.filter, query.tree, error) from error
            raise

    def _bad_regex(self, text: str, tree: Tree, error: StoreError) -> ServiceError:
        source = Source("filter", text)
        for one in comparisons(tree):
            if one.operator == "matches":
                try:
                    self.store.query(
                        "SELECT match('', {pattern:String})", {"pattern": str(one.value)}
                    )
                except StoreError:
                    return _no_regex(source, one)
        return source.error(0, f"a regular expression of it is none of RE2: {error}")


def _no_regex(source: Source, one: Comparison) -> ServiceError:
    return source.error(
        one.place,
        f"{str(one.value)[:80]!r} is no regular expression of RE2: "
        "escape (, [, * and the like with a backslash, or use `contains`",
    )


def _grouped(sql: FilterSql, key: Field) -> tuple[str, str, str]:
    """kind, number and text of the value of KEY. A run is in the group of each of its tags."""
    if key.kind is FieldKind.TAGS:
        return str(int(Kind.TEXT)), "0.", "arrayJoin(if(empty(r.tags), [''], r.tags))"
    value = sql.value(key)
    return f"toUInt8({value.kind})", f"toFloat64({value.number})", value.text


def _group(keys: Sequence[Field], row: Sequence[object]) -> Group:
    values = []
    for n, key in enumerate(keys):
        kind, number, text = Kind(int(str(row[3 * n]))), float(str(row[3 * n + 1])), row[3 * n + 2]
        missing = key.kind is FieldKind.TAGS and not text
        values.append(MISSING if missing else Value(kind, number, str(text)))
    parts = [_opened(key, value) for key, value in zip(keys, values, strict=True)]
    return Group(tuple(values), int(str(row[-2])), " and ".join(parts))


def _opened(key: Field, value: Value) -> str:
    """The filter of the runs that have VALUE."""
    name = typed_name(key.kind.value, key.name) if key.is_key else key.name
    if value.kind is Kind.NONE:
        return f"{name} = null"
    if key.kind is FieldKind.TAGS:
        return f"{quoted(value.text)} in tags"
    if value.kind in (Kind.TEXT, Kind.LIST):
        return f"{name} = {quoted(value.text)}"
    return f"{name} = {value.text}"


def _shown(
    run: RunRecord,
    number: int,
    one: Field,
    known: KnownKeys,
    stored: Mapping[tuple[int, str], Value],
    live: Mapping[tuple[int, int], Mapping[str, float]],
) -> Value:
    """The value of a field of RUN, whose number is NUMBER."""
    if not one.is_key:
        return _own(run, one)
    place = known.place(one)
    value = stored.get((number, stored_key(one)), MISSING) if place.key else MISSING
    if value.kind is not Kind.NONE or place.metric is None:
        return value
    statistic = live.get((number, place.metric), {}).get(place.column)
    if statistic is None or statistic != statistic:
        return MISSING
    exact = int(statistic) if place.column == "points" else statistic
    return Value(
        Kind.NUMBER, statistic, json_text(exact) if abs(statistic) != float("inf") else "null"
    )


def _own(run: RunRecord, one: Field) -> Value:
    if one.kind is FieldKind.TAGS:
        return Value(Kind.LIST, 0.0, json_text(run.tags))
    numbers = {
        "created": run.created_ms,
        "updated": run.updated_ms,
        "attempts": len(run.attempts),
        "duration": run.duration_ms(time.time_ns() // 1_000_000) / 1_000,
    }
    if one.name in numbers:
        return Value(Kind.NUMBER, float(numbers[one.name]), str(numbers[one.name]))
    texts = {"id": run.run_id, "name": run.name or run.run_id}
    text = texts[one.name] if one.name in texts else str(getattr(run, one.name))
    return Value(Kind.TEXT, 0.0, text) if text else MISSING
