"""What `define_metric()` says of metrics. It lies in the config under the reserved key:

    {"_stepline": {"metrics": {"val/*": {"goal": "minimize", "x": "epoch"}, "val/acc": {..}}}}

A name is a metric or a pattern ("*" any characters, "?" one). Of all that match a metric, what a
longer name says wins over a shorter one, and the metric's own name over every pattern, word by
word. Names and texts have the length of names at most; limits.max_definitions of them count, of
which limits.max_patterns may be patterns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import islice
from typing import Any

from stepline.name_pattern import NamePattern, is_pattern
from stepline_ingest.limits import Limits

from .fields import RESERVED

SUMMARIES = ("last", "min", "max", "mean", "first", "best")
_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Definition:
    """Of one metric. Empty where nothing was said."""

    x: str = ""
    goal: str = ""
    """minimize | maximize"""
    unit: str = ""
    summary: str = ""
    """One of SUMMARIES: what stands for the metric in a table."""
    hidden: bool = False


_NAMES = tuple(field.name for field in fields(Definition))


class Definitions:
    """Of the metrics of a run, or of several: what an earlier config says wins."""

    def __init__(self, configs: Iterable[Mapping[str, Any]] = ()) -> None:
        self._said: dict[str, dict[str, Any]] = {}
        wild: list[str] = []
        for config in configs:
            for name, said in islice(_metrics(config), _LIMITS.max_definitions):
                if name not in self._said:
                    if len(self._said) >= _LIMITS.max_definitions or not _is_short(name):
                        continue
                    if is_pattern(name):
                        if len(wild) >= _LIMITS.max_patterns:
                            continue
                        wild.append(name)
                known = {word: said[word] for word in _NAMES if _is_right(word, said.get(word))}
                self._said[name] = {**known, **self._said.get(name, {})}
        # The least specific one first.
        wild.sort(key=lambda name: (len(name), name))
        self._patterns = [(name, NamePattern(name)) for name in wild]

    def __bool__(self) -> bool:
        return bool(self._said)

    def of(self, metric: str) -> Definition:
        """What holds for METRIC."""
        if not self._said:
            return Definition()
        found: dict[str, Any] = {}
        for name, pattern in self._patterns:
            if pattern.matches(metric):
                found |= self._said[name]
        return Definition(**{**found, **self._said.get(metric, {})})

    def hiding(self) -> list[tuple[str, bool]]:
        """(name or pattern, whether it hides), the least specific one first: of those that match a
        metric the last one counts. Empty when nothing is hidden."""
        exact = [name for name in self._said if not is_pattern(name)]
        listed = [
            (name, bool(self._said[name]["hidden"]))
            for name in (*(name for name, _ in self._patterns), *exact)
            if "hidden" in self._said[name]
        ]
        return listed if any(hides for _, hides in listed) else []


def _metrics(config: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    own = config.get(RESERVED)
    metrics = own.get("metrics") if isinstance(own, dict) else None
    for name, said in metrics.items() if isinstance(metrics, dict) else ():
        if isinstance(said, dict):
            yield name, said


def _is_short(text: str) -> bool:
    """As a name has to be."""
    return len(text.encode("utf-8", "replace")) <= _LIMITS.max_name_bytes


def _is_right(word: str, value: object) -> bool:
    """Whether a client may say so; others have said worse."""
    if word == "hidden":
        return isinstance(value, bool)
    if not isinstance(value, str) or not _is_short(value):
        return False
    allowed = {"goal": ("minimize", "maximize"), "summary": SUMMARIES}.get(word)
    return allowed is None or value in allowed
