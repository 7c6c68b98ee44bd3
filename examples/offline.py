"""Log where there is no network, and send later: points wait in a directory of your choice.

python examples/offline.py
stepline status --dir ./spools
stepline sync ./spools --server HOST:PORT
"""
# ruff: noqa: T201

from __future__ import annotations

import numpy as np

import stepline

run = stepline.init(project="offline-example", mode="offline", dir="spools")

# Whole arrays at once: int64 steps and float64 values are taken as they are, without a copy each.
steps = np.arange(100_000)
run.log_array("eval/score", steps, np.sin(steps / 5_000))

report = run.finish()
print(f"{report.left:,} points wait in {report.spool}")
print(f"send them with: {report.command}")
