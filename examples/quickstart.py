"""Log a run and read it back. Start a service first, in another terminal: `stepline serve --data
./data`.
"""
# ruff: noqa: T201

from __future__ import annotations

import math
import random

import stepline

with stepline.init(project="quickstart", config={"lr": 3e-4}, tags=["example"]) as run:
    for step in range(10_000):
        loss = math.exp(-step / 2_000) + random.gauss(0.0, 0.02)
        run.log({"train/loss": loss, "train/perplexity": math.exp(loss)}, step=step)
    run.summary["final_loss"] = loss

with stepline.connect() as client:
    view = client.run(run.id)
    for metric in view.metrics(prefix="train/"):
        print(f"{metric.name}: {metric.count:,} points, last {metric.last_value:.4f}")

    every_point = view.history("train/loss")
    print(f"history: {len(every_point):,} points, mean {every_point.value.mean():.4f}")

    chart = view.chart("train/loss", points=100)
    print(f"chart: {len(chart)} buckets of {chart.bucket_width} steps")

    answer = client.sql(
        "SELECT run, count() AS points FROM points GROUP BY run ORDER BY points DESC LIMIT 3"
    )
    print(*answer.rows, sep="\n")
