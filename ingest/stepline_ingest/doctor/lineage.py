"""Lineage: what runs show are steps of attempts that are there.

What the death of a service may leave is no finding, since it is nothing to who reads: the attempt
and the layers of a run that is not there yet, and the layer of a next attempt that is not there.
Several attempts of a run may be running: who took a run over did not stop the older one.
"""

from __future__ import annotations

from collections.abc import Iterator

from .finding import Finding, Kind
from .names import Rule, check_tables
from .reading import Reader

_LAYERS = """(
    SELECT run, ordinal, source, attempt, first_step, last_step, own, begins FROM raw_layers FINAL
    WHERE (run, version) IN (SELECT run, max(version) FROM raw_layers GROUP BY run)
    AND run IN (SELECT run FROM raw_runs)
) AS l"""


def _rule(sql: str, message: str, *, kind: Kind = Kind.LINEAGE) -> Rule:
    return Rule(kind, sql.replace("LAYERS", _LAYERS), message)


_SOURCES = "SELECT DISTINCT run, source FROM LAYERS WHERE NOT own ORDER BY run, source"
_RULES = (
    _rule(
        "SELECT run, l.attempt, ordinal FROM LAYERS "
        "LEFT JOIN (SELECT run, max(attempt) AS newest FROM raw_attempts GROUP BY run) AS a "
        "USING run WHERE own AND l.attempt != 0 AND (run, l.attempt) NOT IN "
        "(SELECT run, attempt FROM raw_attempts) AND NOT (begins AND l.attempt = newest + 1) "
        "ORDER BY run, ordinal LIMIT 20",
        "layer {1} shows attempt {0}, which is not there",
    ),
    _rule(
        "SELECT run, source, attempt, ordinal FROM LAYERS WHERE NOT own AND attempt != 0 "
        "AND (source, attempt) NOT IN (SELECT run, attempt FROM raw_attempts WHERE run IN "
        "(SELECT run FROM raw_runs)) ORDER BY run, ordinal LIMIT 20",
        "layer {2} shows attempt {1} of run #{0}, which is not there",
    ),
    _rule(
        "SELECT run, ordinal, first_step, last_step FROM LAYERS WHERE last_step < first_step "
        "ORDER BY run, ordinal LIMIT 20",
        "layer {0} goes from step {1} to {2}, which are no steps",
    ),
    _rule(
        "SELECT run, count() AS n, max(ordinal) + 1 AS last FROM LAYERS GROUP BY run "
        "HAVING n != last ORDER BY run LIMIT 20",
        "{0} layers are there of {1}",
    ),
    _rule(
        "SELECT run, ordinal FROM LAYERS WHERE own != (source = run) "
        "ORDER BY run, ordinal LIMIT 20",
        "layer {0} is of its own attempts and of another run at once",
    ),
    _rule(
        "SELECT run, fork_run_id, fork_step FROM raw_runs FINAL WHERE fork_run_id != '' "
        "AND fork_run_id NOT IN (SELECT run_id FROM raw_runs) ORDER BY run LIMIT 20",
        "it was forked from {0}@{1}, but there is no such run",
        kind=Kind.REFERENCE,
    ),
    _rule(
        "SELECT run, fork_run_id, fork_step FROM raw_runs FINAL WHERE fork_run_id != '' "
        "AND run NOT IN (SELECT run FROM LAYERS WHERE NOT own) ORDER BY run LIMIT 20",
        "it was forked from {0}@{1}, and shows nothing of it",
    ),
)


def check_lineage(reader: Reader) -> Iterator[Finding]:
    """What runs show, by itself and against runs and attempts."""
    yield from check_tables(reader, _RULES)
    sources: dict[int, list[int]] = {}
    for run, source in reader.rows(_SOURCES.replace("LAYERS", _LAYERS)):
        sources.setdefault(run, []).append(source)
    for run in _in_circles(sources):
        yield Finding(
            kind=Kind.LINEAGE,
            message="it was forked from runs that were forked from it",
            run=reader.run_id(run),
            about="circle",
        )


def _in_circles(sources: dict[int, list[int]]) -> list[int]:
    """The runs from which a way leads back to themselves: what is left when those that nothing, or
    nobody, is left of are taken away again and again."""
    left = set(sources)
    while True:
        used = {one for run in left for one in sources[run]}
        kept = {run for run in left & used if not left.isdisjoint(sources[run])}
        if kept == left:
            return sorted(left)
        left = kept
