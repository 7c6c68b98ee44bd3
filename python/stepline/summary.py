"""The summary of a run: what it came to."""

from __future__ import annotations

from .config import JsonRecord


class Summary(JsonRecord):
    """`run.summary`: single values that are worth a column in a table of runs, such as the best
    accuracy.

    Only what is set here; last values and extremes of metrics are known to the service anyway.
    """

    _what = "summary"
