"""Definitions of metrics, which live in the config under the reserved key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from .config import RESERVED
from .errors import InvalidRequest
from .name_pattern import NamePattern, is_pattern

Goal = Literal["minimize", "maximize"]
SummaryKind = Literal["last", "min", "max", "mean", "first", "best"]


def definition(
    *,
    x: str | None = None,
    goal: Goal | None = None,
    unit: str | None = None,
    summary: SummaryKind | None = None,
    hidden: bool | None = None,
) -> dict[str, Any]:
    """What is kept of one `define_metric()`: only what was given."""
    _check("goal", goal, get_args(Goal))
    _check("summary", summary, get_args(SummaryKind))
    for name, text in (("x", x), ("unit", unit)):
        if text is not None and not isinstance(text, str):
            raise InvalidRequest(f"{name}={text!r} is not text: pass a str.")
    if hidden is not None and not isinstance(hidden, bool):
        raise InvalidRequest(f"hidden={hidden!r} is unknown: use True or False.")
    given = {"x": x, "goal": goal, "unit": unit, "summary": summary, "hidden": hidden}
    return {key: value for key, value in given.items() if value is not None}


def _check(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value is not None and value not in allowed:
        words = ", ".join(map(repr, allowed))
        raise InvalidRequest(f"{name}={value!r} is unknown: use one of {words}.")


def definitions_of(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What a whole config says of metrics, by names and patterns."""
    own = config.get(RESERVED)
    metrics = own.get("metrics") if isinstance(own, dict) else None
    said = metrics if isinstance(metrics, dict) else {}
    return {name: words for name, words in said.items() if isinstance(words, dict)}


def defined(definitions: Mapping[str, Mapping[str, Any]], metric: str) -> dict[str, Any]:
    """What holds for METRIC: what a longer pattern says wins over a shorter one, and the metric's
    own name over every pattern, word by word."""
    found: dict[str, Any] = {}
    for name in sorted(definitions, key=lambda name: (len(name), name)):
        if is_pattern(name) and NamePattern(name).matches(metric):
            found |= definitions[name]
    if not is_pattern(metric):
        found |= definitions.get(metric, {})
    return found
