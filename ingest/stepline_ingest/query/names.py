"""Names of metrics: those of a run, and those that a mistyped one may have meant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from stepline._core import siphash64
from stepline_ingest.errors import invalid
from stepline_ingest.similar import closest
from stepline_ingest.store.contract import Param, Setting, Store, StoreError
from stepline_ingest.store.memo import digest

from .failure import NO_REGEX
from .select import plain, select

_LISTED = 100_000
"""Names among which the nearest ones are looked for."""
_NAMES = (
    "SELECT DISTINCT name FROM raw_metrics WHERE run = {run:UInt64} "
    "ORDER BY name LIMIT {limit:UInt64}"
)
_TABLE = "raw_metrics"
_RUNS = "run IN {runs:Array(UInt64)}"
_MATCHING = (_RUNS, "startsWith(name, {prefix:String})")
_GROUP = (
    "if(position(name, '/', length({prefix:String}) + 1) > 0, "
    "substring(name, 1, position(name, '/', length({prefix:String}) + 1)), name)"
)
_MOST_GROUPS = 10_000
_ALL = 2**32 - 1
_RE2_SAYS = re.compile(r"error: (.*?)(?:\. Look at|$)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class NamesQuery:
    """Names that meet every condition that is not empty."""

    prefix: str = ""
    pattern: str = ""
    regex: str = ""
    limit: int = 0
    """0 for all."""
    offset: int = 0
    hiding: Sequence[tuple[str, bool]] = ()
    """(name or pattern, whether it hides): of those that match a name the last one counts."""


class UnknownMetricsError(Exception):
    """None of METRICS has points in any of the runs."""

    def __init__(self, run_ids: Sequence[str], metrics: Sequence[str]) -> None:
        super().__init__(f"no points of {metrics} in {run_ids}")
        self.run_ids = run_ids
        self.metrics = metrics


def find_names(
    store: Store, runs: Sequence[int], query: NamesQuery, limits: Mapping[str, Setting]
) -> tuple[dict[int, str], int]:
    """A page of the names of RUNS, in order, by their hash; and how many there are on all pages.

    Raises ServiceError(INVALID_ARGUMENT) for a regular expression that is none.
    """
    where, params = _conditions(runs, query)
    page = ""
    most = query.limit or _ALL
    if query.limit or query.offset:
        params |= {"limit": most, "offset": query.offset}
        page = " LIMIT {limit:UInt32} OFFSET {offset:UInt32}"
    try:
        names = _read(store, where, params, limits, page)
    except StoreError as error:
        if error.code == NO_REGEX and query.regex:
            raise invalid(
                f"{query.regex[:200]!r} is no regular expression of RE2 ({_why(error)}): see "
                "https://github.com/google/re2/wiki/Syntax"
            ) from error
        if error.code == NO_REGEX and query.pattern:
            raise invalid(
                f"the pattern {query.pattern[:200]!r} cannot be compiled ({_why(error)}): "
                "shorten it"
            ) from error
        raise
    if len(names) < most and (names or not query.offset):
        # The last page.
        return names, query.offset + len(names)
    count = select({"names": "uniqExact(metric)"}, _TABLE, where=where)
    ((total,),) = _ask(store, count, params, limits)
    return names, int(str(total))


def _why(error: StoreError) -> str:
    """What RE2 says, without what the engine says around it."""
    found = _RE2_SAYS.search(str(error))
    return found[1][:200] if found else "it cannot be compiled"


def count_runs(
    store: Store, runs: Sequence[int], metrics: Iterable[int], limits: Mapping[str, Setting]
) -> dict[int, int]:
    """In how many of RUNS each of METRICS is."""
    params: dict[str, Param] = {"runs": list(runs), "metrics": list(metrics)}
    counts = {"metric": "metric", "runs": "uniqExact(run)"}
    where = [_RUNS, "metric IN {metrics:Array(UInt64)}"]
    sql = select(counts, _TABLE, where=where, group_by=["metric"])
    return {int(str(metric)): int(str(n)) for metric, n in _ask(store, sql, params, limits)}


def group_names(
    store: Store, runs: Sequence[int], query: NamesQuery, limits: Mapping[str, Setting]
) -> list[tuple[str, int]]:
    """Names by what stands before their first "/" behind the prefix, with it, in order; and how
    many there are of each."""
    where, params = _conditions(runs, query)
    found = _ask(
        store,
        select(
            {"group": _GROUP, "names": "uniqExact(metric)"},
            _TABLE,
            where=where,
            group_by=["group"],
            order_by=["group"],
            limit=_MOST_GROUPS,
        ),
        params,
        limits,
    )
    return [(str(group), int(str(count))) for group, count in found]


def _conditions(runs: Sequence[int], query: NamesQuery) -> tuple[list[str], dict[str, Param]]:
    where = list(_MATCHING)
    params: dict[str, Param] = {"runs": list(runs), "prefix": query.prefix}
    for name, text in (("pattern", query.pattern), ("regex", query.regex)):
        if text:
            where.append(f"match(name, {{{name}:String}})")
            params[name] = pattern_of([text]) if name == "pattern" else text
    if query.hiding:
        choices = []
        for number, (text, hides) in enumerate(reversed(query.hiding)):
            params[f"hiding{number}"] = pattern_of([text])
            choices.append(f"match(name, {{hiding{number}:String}}), {int(hides)}")
        where.append(f"NOT multiIf({', '.join(choices)}, 0)")
    return where, params


def matching_names(
    store: Store, runs: Sequence[int], patterns: Sequence[str], limits: Mapping[str, Setting]
) -> dict[int, str]:
    """The names of RUNS that match one of PATTERNS, in order, by their hash; all without one."""
    where = [_RUNS]
    params: dict[str, Param] = {"runs": list(runs)}
    if patterns:
        where.append("match(name, {pattern:String})")
        params["pattern"] = pattern_of(patterns)
    return _read(store, where, params, limits)


def pattern_of(patterns: Sequence[str]) -> str:
    """The regular expression of names that match one of PATTERNS, where * stands for any characters
    and ? for one.
    """
    wild = {"*": ".*", "?": "."}
    each = ("".join(wild.get(c) or re.escape(c) for c in pattern) for pattern in patterns)
    return f"(?s)^(?:{'|'.join(each)})$"


def _read(
    store: Store,
    where: Sequence[str],
    params: Mapping[str, Param],
    limits: Mapping[str, Setting],
    page: str = "",
) -> dict[int, str]:
    keys = ("metric", "name")
    sql = select(plain(*keys), _TABLE, where=where, group_by=keys, order_by=("name",)) + page
    names: dict[int, str] = {}
    for metric, name in _ask(store, sql, params, limits):
        assert isinstance(metric, int)
        assert isinstance(name, str)
        names[metric] = name
    return names


def _ask(
    store: Store, sql: str, params: Mapping[str, Param], limits: Mapping[str, Setting]
) -> list[tuple[object, ...]]:
    """Of the table of names alone."""
    return store.rows_memo.once(
        (_TABLE, digest((sql, params))),
        lambda: store.query(sql, params, limits),
        size=lambda rows: sum(
            200 + sum(len(cell) for cell in row if isinstance(cell, str)) for row in rows
        ),
    )


def unknown_metrics_text(
    store: Store, error: UnknownMetricsError, limits: Mapping[str, Setting]
) -> str:
    """What to tell who asked: the nearest names of the first run, and how to list all."""
    run_id, wanted = error.run_ids[0], error.metrics[0]
    found = store.query(_NAMES, {"run": siphash64(run_id), "limit": _LISTED}, limits)
    names = [name for (name,) in found if isinstance(name, str)]
    what = (
        f"metric {wanted!r}"
        if len(error.metrics) == 1
        else f"none of the {len(error.metrics)} metrics"
    )
    where = f"run {run_id}" if len(error.run_ids) == 1 else f"any of the {len(error.run_ids)} runs"
    verb = "has no points in" if len(error.metrics) == 1 else "has points in"
    if not names:
        return (
            f"{what} {verb} {where}; nothing is stored there yet: "
            "wait for the uploader, or check the run"
        )
    near = closest(wanted, names, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    return f"{what} {verb} {where}; {hint}`stepline metrics {run_id}` lists its {len(names)} names"
