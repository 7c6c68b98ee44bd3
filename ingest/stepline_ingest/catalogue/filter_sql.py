# ruff: noqa: S608  (texts are made of constants and of places for parameters)
"""From the tree of a filter to conditions of SQL. Values go into parameters, never into the text.

A value of a run is three expressions, `kind`, `number` and `text`, as `fields.Value` has them. A
comparison of a key is a set of runs, so that `not` is what is left of all runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stepline_ingest.store.contract import Param

from .fields import Kind
from .filter_tree import Both, Comparison, Either, Field, FieldKind, Literal, Not, Tree
from .known import KnownKeys, Place, Scope, stored_key

_COLUMN = {
    "id": "r.run_id",
    "name": "if(r.name = '', r.run_id, r.name)",
    "project": "r.project",
    "state": "r.state",
    "group": "r.`group`",
    "job_type": "r.job_type",
    "notes": "r.notes",
}
_NUMBERS = {
    "attempts": "SELECT run, max(attempt) AS number FROM raw_attempts GROUP BY run",
    # As Attempt.ran_ms says it; what goes on has gone on until now.
    "duration": (
        "SELECT run, sum(greatest(0, multiIf(isNull(ended) AND attempt < newest, began, "
        "isNull(ended), toUnixTimestamp64Milli(now64(3)), "
        "last > 0 AND (bad OR told >= world_size), least(last, until), until) "
        "- began)) / 1000 AS number FROM (SELECT run, attempt, ended, world_size, "
        "toUnixTimestamp64Milli(created) AS began, "
        "toUnixTimestamp64Milli(assumeNotNull(ended)) AS until, "
        "max(attempt) OVER (PARTITION BY run) AS newest FROM raw_attempts FINAL) AS a "
        "LEFT JOIN (SELECT run, attempt, toUnixTimestamp64Milli(max(finished)) AS last, "
        "count() AS told, max(how != '' OR exit_code != 0) AS bad "
        "FROM raw_finishes FINAL WHERE how != 'anew' GROUP BY run, attempt) AS f "
        "USING (run, attempt) GROUP BY run"
    ),
}
"""(run, number) of the fields that are numbers."""
_ATTEMPT_TEXTS = {"user": "raw_contexts", "host": "raw_attempts"}
"""The tables that have what attempts say as columns."""


@dataclass(frozen=True, slots=True)
class ValueSql:
    """The value of a field of a run as expressions."""

    kind: str
    number: str
    text: str


class FilterSql:
    """Conditions and values over `raw_runs AS r`, and the parameters that they use."""

    def __init__(self, known: KnownKeys, scope: Scope) -> None:
        self.params: dict[str, Param] = {}
        self._known = known
        self._scope = scope
        self._joined: dict[tuple[FieldKind, str], str] = {}
        self._clauses: list[str] = []

    @property
    def joins(self) -> str:
        """What stands behind `raw_runs AS r FINAL`, for the values that were asked for."""
        return "".join(self._clauses)

    def condition(self, tree: Tree) -> str:
        if isinstance(tree, Comparison):
            return self._comparison(tree)
        if isinstance(tree, Not):
            return f"NOT ({self.condition(tree.inner)})"
        word = " AND " if isinstance(tree, Both) else " OR "
        assert isinstance(tree, (Both, Either))
        return word.join(f"({self.condition(part)})" for part in tree.parts)

    def value(self, field: Field) -> ValueSql:
        """The value of FIELD, to sort and to group by."""
        if field.is_key or field.is_of_attempts or field.kind is FieldKind.NUMBER:
            alias = self._joined.get((field.kind, field.name))
            if alias is not None:
                return ValueSql(f"{alias}.kind", f"{alias}.number", f"{alias}.text")
            alias = self._joined[field.kind, field.name] = f"v{len(self._joined)}"
            if field.is_key:
                rows = self._values(self._known.place(field))
            elif field.is_of_attempts:
                rows = (
                    f"SELECT run, {int(Kind.TEXT)} AS kind, toFloat64(0) AS number, text "
                    f"FROM ({attempt_texts(field.name)})"
                )
            else:
                rows = (
                    f"SELECT run, {int(Kind.NUMBER)} AS kind, number, toString(number) AS text "
                    f"FROM ({_NUMBERS[field.name]})"
                )
            self._clauses.append(f" ANY LEFT JOIN ({rows}) AS {alias} ON {alias}.run = r.run")
            return ValueSql(f"{alias}.kind", f"{alias}.number", f"{alias}.text")
        if field.kind is FieldKind.TIME:
            moment = f"toUnixTimestamp64Milli(r.{field.name})"
            return ValueSql(f"toUInt8({int(Kind.NUMBER)})", moment, "''")
        if field.kind is FieldKind.TAGS:
            text = "arrayStringConcat(r.tags, ', ')"
        else:
            text = _COLUMN[field.name]
        return ValueSql(f"if({text} = '', 0, {int(Kind.TEXT)})", "toFloat64(0)", text)

    def parameter(self, value: Param, kind: str) -> str:
        """A place for VALUE in the text of the query."""
        name = f"p{len(self.params)}"
        self.params[name] = value
        return f"{{{name}:{kind}}}"

    # --- where the values of a key stand ---

    def _values(self, place: Place) -> str:
        """(run, kind, number, text) of the runs that have the key."""
        scope = self._scope.condition(self.params)
        parts = []
        if place.key:
            key = self.parameter(place.key, "String")
            parts.append(
                f"SELECT run, kind, number, text FROM raw_fields FINAL "
                f"WHERE key = {key}{scope} AND kind != 0"
            )
        if place.metric is not None:
            metric, column = self.parameter(place.metric, "UInt64"), place.column
            parts.append(
                f"SELECT run, {int(Kind.NUMBER)} AS kind, toFloat64({column}) AS number, "
                f"toString({column}) AS text FROM raw_summaries FINAL "
                f"WHERE metric = {metric}{scope} AND isFinite({column})"
            )
        if not parts:
            return "SELECT run, toUInt8(0) AS kind, 0. AS number, '' AS text FROM raw_runs WHERE 0"
        if len(parts) == 1:
            return parts[0]
        user, live = parts
        return (
            "SELECT run, tupleElement(best, 1) AS kind, tupleElement(best, 2) AS number, "
            "tupleElement(best, 3) AS text FROM (SELECT run, "
            "argMin((toUInt8(kind), number, text), rank) AS best FROM "
            f"(SELECT run, kind, number, text, 0 AS rank FROM ({user}) UNION ALL "
            f"SELECT run, kind, number, text, 1 AS rank FROM ({live})) GROUP BY run)"
        )

    # --- comparisons ---

    def _comparison(self, one: Comparison) -> str:
        field = one.field
        if field.is_key:
            return self._key(one)
        if field.kind is FieldKind.TAGS:
            return self._tags(one)
        if field.is_of_attempts:
            return self._attempt_text(one)
        if field.kind is FieldKind.TEXT:
            return self._text(_COLUMN[field.name], one.operator, one.values)
        if one.operator == "=" and one.value is None:
            return "0"  # every run has it
        if field.kind is FieldKind.TIME:
            moment = f"toFloat64(toUnixTimestamp64Milli(r.{field.name}))"
            return self._number(moment, one.operator, one.values)
        condition = self._number("number", one.operator, one.values)
        return f"r.run IN (SELECT run FROM ({_NUMBERS[field.name]}) WHERE {condition})"

    def _key(self, one: Comparison) -> str:
        alias = self._joined.get((one.field.kind, one.field.name))
        if alias is not None:
            # It is read for the order anyway.
            if one.operator == "=" and one.value is None:
                return f"{alias}.kind = 0"
            return self._value(one, f"{alias}.")
        rows = self._values(self._known.place(one.field))
        if one.operator == "=" and one.value is None:
            return f"r.run NOT IN (SELECT run FROM ({rows}))"
        return f"r.run IN (SELECT run FROM ({rows}) WHERE {self._value(one)})"

    def _value(self, one: Comparison, of: str = "") -> str:
        """A condition over kind, number and text, behind OF."""
        kind, number, text = f"{of}kind", f"{of}number", f"{of}text"
        operator, parts = one.operator, []
        numbers = [v for v in one.values if isinstance(v, float)]
        flags = [v for v in one.values if isinstance(v, bool)]
        texts = [v for v in one.values if isinstance(v, str)]
        if operator in ("has", "contains"):
            parts.append(f"{kind} = {int(Kind.LIST)} AND {self._element(text, one.value)}")
            if operator == "contains" and texts:
                found = self._text(text, operator, texts)
                parts.append(f"{kind} = {int(Kind.TEXT)} AND {found}")
        else:
            if numbers:
                found = self._number(number, operator, numbers)
                parts.append(f"{kind} = {int(Kind.NUMBER)} AND {found}")
            if texts:
                found = self._text(text, operator, texts)
                # A list is named by its JSON.
                kinds = f"{kind} IN (3, 4)" if operator in ("=", "in") else f"{kind} = 3"
                parts.append(f"{kinds} AND {found}")
            if flags:
                found = self._number(number, operator, [float(flag) for flag in flags])
                parts.append(f"{kind} = {int(Kind.FLAG)} AND {found}")
        return " OR ".join(f"({part})" for part in parts)

    def _element(self, text: str, value: Literal) -> str:
        """Whether the list TEXT has VALUE."""
        elements = f"JSONExtractArrayRaw({text})"
        if isinstance(value, bool):
            return f"has({elements}, '{'true' if value else 'false'}')"
        if isinstance(value, str):
            wanted = self.parameter(value, "String")
            return (
                f"arrayExists(x -> startsWith(x, '\"') AND JSONExtractString(x) = {wanted}, "
                f"{elements})"
            )
        assert value is not None
        number = self.parameter(float(value), "Float64")
        return f"has(arrayMap(x -> toFloat64OrNull(x), {elements}), {number})"

    def _attempt_text(self, one: Comparison) -> str:
        rows = attempt_texts(one.field.name)
        if one.operator == "=" and one.value is None:
            return f"r.run NOT IN (SELECT run FROM ({rows}))"
        condition = self._text("text", one.operator, one.values)
        return f"r.run IN (SELECT run FROM ({rows}) WHERE {condition})"

    def _tags(self, one: Comparison) -> str:
        if one.operator == "=":
            return "empty(r.tags)"
        assert isinstance(one.value, str)
        text = self.parameter(one.value, "String")
        if one.operator == "matches":
            return f"arrayExists(tag -> match(tag, {text}), r.tags)"
        return f"has(r.tags, {text})"

    def _text(self, expression: str, operator: str, values: Sequence[Literal]) -> str:
        if operator == "=" and values[0] is None:
            return f"{expression} = ''"
        if operator == "in":
            return f"{expression} IN {self.parameter([str(v) for v in values], 'Array(String)')}"
        text = self.parameter(str(values[0]), "String")
        if operator == "contains":
            return f"position({expression}, {text}) > 0"
        if operator == "matches":
            return f"match({expression}, {text})"
        return f"{expression} {operator} {text}"

    def _number(self, expression: str, operator: str, values: Sequence[Literal]) -> str:
        numbers = [float(value) for value in values if value is not None]
        if operator == "in":
            return f"{expression} IN {self.parameter(numbers, 'Array(Float64)')}"
        return f"{expression} {operator} {self.parameter(numbers[0], 'Float64')}"


def attempt_texts(name: str, runs: str = "1") -> str:
    """(run, text) of a field that attempts say, of the newest one that does; of the RUNS
    that meet a condition."""
    return (
        f"SELECT run, argMax({name}, (attempt, version)) AS text FROM {_ATTEMPT_TEXTS[name]} "
        f"WHERE {name} != '' AND {runs} GROUP BY run"
    )


def keys_of(fields: Sequence[Field]) -> list[str]:
    """The keys of raw_fields that FIELDS name."""
    return sorted({stored_key(field) for field in fields if field.is_key})
