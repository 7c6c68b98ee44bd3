"""Functions that SQL from people may not call, and why.

The names are those of the engine's system.functions, system.table_functions and
system.aggregate_function_combinators; a test holds the lists against them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .errors import StoreError

_BEYOND = frozenset(
    {
        "file",  # a file of the service, without any right
        "sqlite",  # would make an empty file before it is refused
        "catboostevaluate",  # loads a library
        "eval",  # a query in a text, which is not judged
    }
)
_BEYOND_TABLES = frozenset({"python", "arrowstream"})
"""chDB's own: they look for their data in the memory of this process."""
_ENDLESS = frozenset(
    {
        "arraylevenshteindistance",
        "arraylevenshteindistanceweighted",
        "arrayreduceinranges",
        "arraysimilarity",
        "dameraulevenshteindistance",
        "editdistance",
        "editdistanceutf8",
        "extracttextfromhtml",
        "h3kring",
        "jarosimilarity",
        "jarowinklersimilarity",
        "jsonmergepatch",
        "levenshteindistance",
        "levenshteindistanceutf8",
        "polygonsdistancespherical",
        "seriesdecomposestl",
    }
)
"""They take the square of the length of a value, which may be hours for one row: a limit of time is
looked at between blocks of rows, and not at all for a constant."""
_ENDLESS_BEGINNINGS = (
    "kolmogorovsmirnovtest",
    "polygonsintersection",
    "polygonssymdifference",
    "polygonsunion",
    "polygonswithin",
)
"""The same, with whatever the engine lets stand behind them: a combinator, or a kind of plane."""

COMBINATORS = (
    "SimpleState",
    "OrDefault",
    "Distinct",
    "Resample",
    "ForEach",
    "ArgMax",
    "ArgMin",
    "OrNull",
    "Tuple",
    "Merge",
    "State",
    "Array",
    "Null",
    "Map",
    "If",
)
_COMBINED = re.compile(rf"(?:{'|'.join(COMBINATORS)})*", re.ASCII)
_OF_STATES = frozenset({"finalizeaggregation", "runningaccumulate"})
"""Like the combinator Merge they take states of aggregates. A state can be made from any bytes by
a CAST to a type, whose name may itself be computed, and some of them are never done: one of
rankCorr with a NaN, which its own input would not let in."""
_OF_NAMES = frozenset({"arrayreduce", "initializeaggregation"})
"""Their first argument names an aggregate function."""
_NAME_IN_TEXT = re.compile(r"'(\w+)[('].*", re.ASCII | re.DOTALL)

_OF_HOST = frozenset(
    {
        "addresstoline",
        "addresstolinewithinlines",
        "addresstosymbol",
        "getmacro",
        "getmaxtablenamelengthfordatabase",
        "getmergetreesetting",
        "getserverport",
        "getserversetting",
        "logtrace",  # writes a text of the caller into the engine's log
    }
)
_OF_HOST_ALONE = frozenset(
    {
        "buildid",
        "connection_id",
        "connectionid",
        "filesystemavailable",
        "filesystemcapacity",
        "filesystemunreserved",
        "fqdn",
        "fullhostname",
        "getoskernelversion",
        "hostname",
        "serveruuid",
        "showcertificate",
        "tcpport",
        "tid",
        "uptime",
        "zookeepersessionuptime",
    }
)
"""Without arguments, so that nothing else can call them; some are words that a column may have.
Not displayName(), version() and timezone(), which drivers ask for: the engine says there what the
service had it say."""
_HIDDEN_TABLES = re.compile(
    r"""
    (?: azureblobstorage | file | hdfs | hudi | s3 | url
      | (?: deltalake | iceberg | paimon ) (?: azure | hdfs | local | s3 )? ) (?: cluster )?
  | bigquery | cluster | clusterallreplicas | cosn | dictionary | executable | filesystem | fuzzjson
  | gcs | input | jdbc | loop | merge | mongodb | mysql | odbc | oss | postgresql | redis | remote
  | remotesecure | viewexplain | ytsaurus | mergetree\w* | prometheusquery\w*
  | timeseries (?: data | metricfamilies | metrics | samples | selector | tags )
    """,
    re.VERBOSE | re.ASCII,
)
"""They lead to other tables, files and machines. The engine asks for rights where it reads, and
tells the columns of some to anyone who asks for a DESCRIBE."""


def why_refused(tokens: Sequence[str], at: int, *, tenant: bool) -> str | None:
    """Why the function that is named at AT may not be called there; None where it may, and where
    that is no call. Texts among TOKENS have their quotes."""
    word = tokens[at]
    if not (word[:1].isalpha() or word[:1] == "_"):
        return None
    direct, given = _called(tokens, at)
    if not (direct or given):
        return None
    name = word.lower()
    if name in _BEYOND or (direct and name in _BEYOND_TABLES):
        return f"{word}() reaches beyond the database of this service: leave it out"
    if _is_endless(word):
        return (
            f"{word}() can take hours for one row, and nothing ends it: leave it out, and "
            "compare in a program of your own what the query gives"
        )
    if name in _OF_STATES or (direct and _merges(word)):
        return _no_states(word)
    if name in _OF_NAMES:
        return _why_name_refused(word, tokens[at + 1 : at + 4])
    if not tenant:
        return None
    if name in _OF_HOST or (direct and name in _OF_HOST_ALONE):
        return f"{word}() tells of the host of this service: it takes an admin key"
    if direct and _HIDDEN_TABLES.fullmatch(name):
        return f"{word}() leads to what is not of one project: ask its views, by their names"
    return None


def _called(tokens: Sequence[str], at: int) -> tuple[bool, bool]:
    """Whether what stands at AT is called, by itself or by APPLY; and whether it is the first that
    is given to something, which may call it: arrayMap() does."""
    farther, nearer = (tokens[at - back].upper() if at >= back else "" for back in (2, 1))
    following = tokens[at + 1].upper() if at + 1 < len(tokens) else ""
    direct = following == "(" or nearer == "APPLY" or (nearer == "(" and farther == "APPLY")
    return direct, nearer == "(" and following in (",", ")", "AS")


def _why_name_refused(word: str, behind: Sequence[str]) -> str | None:
    """About a call of WORD, whose first argument must name an aggregate function in a text: what
    is computed cannot be judged."""
    if len(behind) == 3 and behind[0] == "(" and behind[2] in (",", ")"):
        found = _NAME_IN_TEXT.fullmatch(behind[1])
        if found is not None:
            named = found[1]
            if _merges(named):
                return _no_states(f"{word}({named})")
            if not _is_endless(named):
                return None
            return f"{named}() can take hours for one row, and nothing ends it: leave it out"
    return f"{word}() needs the name of its function as a plain text: write {word}('sum', ...)"


def _is_endless(word: str) -> bool:
    return word.lower() in _ENDLESS or word.lower().startswith(_ENDLESS_BEGINNINGS)


def _merges(word: str) -> bool:
    """Whether WORD is an aggregate function with the combinator Merge."""
    before, found, behind = word.rpartition("Merge")
    return bool(before and found and _COMBINED.fullmatch(behind))


def _no_states(what: str) -> str:
    return (
        f"{what} takes states of aggregates, of which some are never done: aggregate the values "
        "themselves, in one query"
    )


def refused(message: str) -> StoreError:
    return StoreError(message, code=164, blames_query=True)
