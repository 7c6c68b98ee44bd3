"""Runs of tests say nothing about this machine: what they store is counted. What takes readings and
captures contexts has tests of its own, which ask for it."""

from __future__ import annotations

import os

os.environ.setdefault("STEPLINE_SYSTEM_METRICS", "off")
os.environ.setdefault("STEPLINE_CAPTURE", "none")
