"""SQL from people: what is let through, and under which limits.

The text is judged in the form in which the engine's own parser writes it back, and exactly that
form is run. Rights and `readonly` are the engine's; the judgement here covers what those leave open
(measured on 26.9): INTO OUTFILE, SYSTEM, KILL and SET pass `readonly`, and the function file()
reads any file without a right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from .errors import StoreError
from .functions import refused, why_refused
from .params import Setting

LIMITS: dict[str, Setting] = {
    "max_execution_time": 60,
    "max_memory_usage": 4 << 30,
    "max_result_bytes": 64 << 20,
    "max_threads": 2,
    "max_query_size": 4 << 20,
}
"""What a query may take when its caller says nothing else."""

BEHIND: dict[str, Setting] = {"priority": 2, "low_priority_query_wait_time_ms": 20}
"""Inserts of points and what the service asks for charts have priority 1. While one of those runs,
a query from people waits so long before each block that it reads: it goes on, and slowly. Without
it the engine gives every query the same share, and eight heavy ones take nearly all of it."""

STREAMED_LIMITS: dict[str, Setting] = {"max_result_bytes": 0}
"""An answer that is sent while it is made may have any size."""

VIEW_SETTINGS: dict[str, Setting] = {"enable_join_runtime_filters_index_analysis": 1}
"""Lets a condition on names in the view `points` prune the raw table by its key: the ids that the
join finds on its small side are applied to the primary index of the large one. Without it the view
reads all points."""

MAX_WRITTEN = 1 << 20
"""Characters of a query as the engine writes it: longer than what was sent, by blanks and line
ends. Each word of it is looked at here."""

FORMAT_QUERY = "SELECT formatQuery({text:String})"

_READS = frozenset({"SELECT", "WITH", "EXPLAIN", "SHOW", "DESCRIBE", "DESC", "EXISTS"})
_TENANT_READS = _READS - {"EXPLAIN"}
"""EXPLAIN counts the rows that a query would read, those of other projects too."""
_SHOWN = frozenset({"TABLES", "COLUMNS", "CREATE", "DATABASES", "FUNCTIONS", "SETTINGS"})
"""Not PROCESSLIST, which has the queries of others."""
_SYSTEM_TABLES = frozenset(
    {
        "one",
        "numbers",
        "numbers_mt",
        "zeros",
        "zeros_mt",
        "databases",
        "tables",
        "columns",
        "settings",
        "functions",
        "table_functions",
        "formats",
        "data_type_families",
        "time_zones",
    }
)
"""Those of `system` that speak of the engine and of what the session may see; the engine opens all
of them to everyone, the running queries and past errors of others included."""
_SYNTAX_ERROR = 62
TOKEN = re.compile(
    r"""
    (?P<text>'(?:[^'\\]|\\.)*')
  | (?P<name>`(?:[^`\\]|\\.)*` | "(?:[^"\\]|\\.)*" | [A-Za-z_][A-Za-z0-9_]*)
  | (?P<other>\s+ | .)
    """,
    re.VERBOSE | re.DOTALL,
)


def analyst_settings(
    settings: Mapping[str, Setting] | None,
    view_settings: Mapping[str, Setting] = VIEW_SETTINGS,
    *,
    streams: bool = False,
) -> dict[str, Setting]:
    """Everything that a session of an analyst sets; `readonly` closes it. STREAMS: the answer is
    sent while it is made."""
    limits = LIMITS | (STREAMED_LIMITS if streams else {})
    return {**view_settings, **limits, **(settings or {}), **BEHIND, "readonly": 1}


def can_stream(statement: str) -> bool:
    """Whether STATEMENT, in its canonical form, is a query for rows."""
    first = next((token for token in _tokens(statement) if token != "("), "")
    return first.upper() in ("SELECT", "WITH")


def judged(text: str, canonical: Callable[[str], str], *, tenant: bool = False) -> str:
    """The statement to run. CANONICAL is the engine's formatQuery; raises StoreError for what may
    not be run: by anyone, and by a TENANT, who may see one project only."""
    statement = canonical(text)
    if len(statement) > MAX_WRITTEN:
        raise StoreError(
            f"the query has {len(statement):,} characters when it is written out, "
            f"{MAX_WRITTEN:,} are allowed: shorten it, or nest it less",
            code=_SYNTAX_ERROR,
            blames_query=True,
        )
    tokens = list(_tokens(statement))
    first = next((token for token in tokens if token != "("), "")
    if first.upper() not in _READS:
        raise refused(f"{first.upper()} changes something: this port only reads, use SELECT")
    for at, (token, following) in enumerate(zip(tokens, [*tokens[1:], ""], strict=True)):
        if token.upper() == "INTO" and following.upper() == "OUTFILE":
            raise refused(
                "INTO OUTFILE writes on the server: leave it out, the answer comes back here"
            )
        reason = why_refused(tokens, at, tenant=tenant)
        if reason is not None:
            raise refused(reason)
    if tenant:
        _judge_tenant(first.upper(), tokens)
    return statement


def _judge_tenant(first: str, tokens: Sequence[str]) -> None:
    """What the rights of the engine leave open to a session of one project."""
    if first not in _TENANT_READS:
        raise refused(f"{first} counts rows of all projects: it takes an admin key")
    words = iter([*tokens, "", ""])
    before, token, following = "", next(words), next(words)
    for after in words:
        if token.upper() == "SHOW" and before == "" and following.upper() not in _SHOWN:
            raise refused(f"SHOW {following} is about all projects: it takes an admin key")
        if token.lower() == "system" and following == "." and after.lower() not in _SYSTEM_TABLES:
            raise refused(f"system.{after} is about all projects: it takes an admin key")
        if token == ":" and following.lower() == "identifier":
            raise refused("a parameter cannot be the name of a table here: write the name itself")
        before, token, following = token, following, after


def _tokens(statement: str) -> Iterator[str]:
    """Names without their quotes, texts with theirs, and punctuation; blanks are left out."""
    for found in TOKEN.finditer(statement):
        if found["name"]:
            name = found["name"].strip('`"')
            # So that no name is taken for a text.
            yield found["name"] if name.startswith("'") else name
        elif found["text"]:
            yield found["text"]
        elif not found["other"].isspace():
            yield found["other"]
