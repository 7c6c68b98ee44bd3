"""A service full of runs that look like those of people: sweeps, long training jobs on many ranks,
spikes, NaN, hardware readings, and names that try to break a page.

    python -m tests.support.showcase HOST:PORT        # the gRPC port of a service

Runs come in through the protocol, with times of their own, so that they lie in the past.
"""

from __future__ import annotations

from tests.support.showcase.fill import HOSTILE, fill
from tests.support.showcase.writing import Series, Showcase

__all__ = ["HOSTILE", "Series", "Showcase", "fill"]
