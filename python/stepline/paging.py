"""Lists of runs that take several answers: one ends early where configs are large."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

MOST = 1_000
"""Runs that the service lists at most."""


def runs_of_pages(
    ask: Callable[[int, int], dict[str, Any]], limit: int, offset: int
) -> tuple[list[dict[str, Any]], int]:
    """The runs that ASK(limit, offset) has on one page or several, and how many there are in
    all."""
    found: dict[str, dict[str, Any]] = {}
    at, left = offset, limit
    while True:
        reply = ask(left, at)
        page: list[dict[str, Any]] = reply["runs"]
        # Between two answers runs may begin, which moves the others.
        found |= {run["run_id"]: run for run in page if run["run_id"] not in found}
        at += len(page)
        left = min(limit or MOST, MOST) - len(found)
        if not page or left <= 0 or at >= reply["total"]:
            return list(found.values()), reply["total"]
