"""Definitions of metrics, which live in the config under the reserved key."""

from __future__ import annotations

from typing import Any, Literal

from .errors import InvalidRequest

Goal = Literal["minimize", "maximize"]


def definition(*, x: str | None, goal: Goal | None, unit: str | None) -> dict[str, Any]:
    """What is kept of one `define_metric()`: only what was given."""
    if goal not in (None, "minimize", "maximize"):
        raise InvalidRequest(f"goal={goal!r} is unknown: use 'minimize' or 'maximize'.")
    given = {"x": x, "goal": goal, "unit": unit}
    return {key: value for key, value in given.items() if value is not None}
