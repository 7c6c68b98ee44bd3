"""Runs of tests say nothing about this machine: what they store is counted. What takes readings and
captures contexts has tests of its own, which ask for it.

No example of a property has a time limit: on a busy machine it would fail without a fault."""

from __future__ import annotations

import os

import hypothesis

hypothesis.settings.register_profile("stepline", deadline=None)
hypothesis.settings.load_profile("stepline")

os.environ.setdefault("STEPLINE_SYSTEM_METRICS", "off")
os.environ.setdefault("STEPLINE_CAPTURE", "none")
# pytest-xdist tells its workers how wide the terminal is; what a test prints goes to a pipe.
os.environ.pop("COLUMNS", None)
