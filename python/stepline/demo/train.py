"""The training script of the demo, as a user would write it. Every rank runs this function.

It knows nothing of servers, ranks or run ids: `stepline.init()` finds them in the environment, and
so all ranks log to one run.
"""

from __future__ import annotations

import math
import time
from typing import Any

import stepline
from stepline.demo.digits import Digits
from stepline.demo.exchange import Exchange
from stepline.demo.mlp import Mlp, norm

CONFIG: dict[str, Any] = {
    "layers": [64, 192, 96, 10],
    "batch": 96,
    "lr": 0.08,
    "momentum": 0.9,
    "weight_decay": 1e-4,
    "noise": 1.5,
    "warmup": 200,
}
EVALUATE_EVERY = 50


def train(steps: int, exchange: Exchange) -> stepline.FinishReport:
    """Trains a classifier of handwritten digits, data-parallel over all ranks."""
    run = stepline.init(project="digits", name="mlp", config={**CONFIG, "steps": steps})
    run.define_metric("perf/step_ms", unit="ms", goal="minimize")

    digits = Digits(run.rank, run.world_size, batch=CONFIG["batch"], noise=CONFIG["noise"])
    model = Mlp(CONFIG["layers"], seed=0)

    for step in range(steps):
        began = time.perf_counter()
        lr = learning_rate(step, steps)
        images, labels = digits.batch()
        loss, accuracy, gradient = model.gradient(images, labels)
        model.update(
            exchange.mean(run.rank, gradient),
            lr=lr,
            momentum=CONFIG["momentum"],
            weight_decay=CONFIG["weight_decay"],
        )
        run.log(
            {
                "train/loss": loss,
                "train/accuracy": accuracy,
                "grad/norm": norm(gradient),
                "lr": lr,
                "perf/step_ms": 1_000 * (time.perf_counter() - began),
                "norm": model.layer_norms(gradient),  # nested: norm/layer0/weight, ...
            },
            step=step,
        )
        if step % EVALUATE_EVERY == 0 or step == steps - 1:
            loss, accuracy = model.evaluate(*digits.held_out())
            run.log({"eval/loss": loss, "eval/accuracy": accuracy}, step=step)

    run.summary["eval/accuracy"] = accuracy
    return run.finish()


def learning_rate(step: int, steps: int) -> float:
    """Linear warm-up, then half a cosine."""
    warm = min(1.0, (step + 1) / CONFIG["warmup"])
    decay = 0.5 * (1.0 + math.cos(math.pi * step / steps))
    return float(CONFIG["lr"] * warm * decay)
