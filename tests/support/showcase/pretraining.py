"""Long runs on many ranks."""

from __future__ import annotations

import numpy as np

from tests.support.showcase.curves import Curves, hardware
from tests.support.showcase.writing import Array, Series, Showcase

MINUTE, HOUR = 60_000, 3_600_000

SIZES = ("125M", "350M", "1.3B")
MIXES = ("web", "web+code", "web+code+math")


def pretraining(show: Showcase, now: int, *, runs: int, ranks: int, steps: int) -> None:
    """Spikes, a divergence to NaN, a slow rank, hardware readings; the last two runs go on."""
    for number in range(runs):
        kind, seed = number % 3, 7 + number
        lr = (6e-4, 3e-4, 2e-4)[kind] * (1, 0.5, 2)[number // 3 % 3]
        step_ms = 240.0 + 90 * kind
        goes_on = number >= runs - 2
        done = int(steps * (0.7 - 0.2 * (runs - 1 - number))) if goes_on else steps
        ended = now - (runs - number) * 5 * HOUR
        began = (now if goes_on else ended) - int(done * step_ms) - MINUTE
        curve = Curves(seed, done, began, step_ms)
        failed = number == 4
        loss = _loss(curve, kind, number, failed=failed)
        per_rank = {
            rank: _of_a_rank(curve, loss, step_ms, rank, slow=rank == ranks - 3)
            for rank in range(ranks)
        }
        per_rank[0] += _of_the_run(curve, loss, step_ms, lr, kind)
        for first in range(0, ranks, 8):
            per_rank[first] += hardware(curve, seed + first)
        show.run(
            f"gpt-{SIZES[kind].lower()}-{number:02d}",
            per_rank,
            project="llm-pretrain",
            config={
                "model": {
                    "size": SIZES[kind],
                    "layers": (12, 24, 24)[kind],
                    "width": (768, 1024, 2048)[kind],
                },
                "optimizer": {
                    "name": "adamw",
                    "lr": lr,
                    "betas": [0.9, 0.95],
                    "weight_decay": 0.1,
                },
                "batch_tokens": 524_288,
                "data": {"mix": MIXES[number // 3 % 3], "seed": seed},
                "precision": "bf16",
            },
            created=began,
            ended=None if goes_on else ended,
            exit_code=1 if failed else 0,
            summary={"best_checkpoint": f"step-{done - done % 100}", "val_tokens": 1 << 24},
            tags=["baseline"] if number < 3 else ["ablation", ("lr", "data")[number % 2]],
            group=SIZES[kind],
            job_type="pretrain",
        )


def _loss(curve: Curves, kind: int, number: int, *, failed: bool) -> Array:
    done = len(curve.steps)
    end = 2.35 + 0.4 * (kind == 0) + 0.05 * (number // 3)
    loss = curve.falling(10.8, end, done / 90, 0.02)
    if number % 4 == 1:
        at = int(done * 0.55)
        loss[at : at + 25] += np.linspace(2.6, 0, 25)
    if failed:
        tail = int(done * 0.83)
        loss[tail:] += np.linspace(0, 6, done - tail) ** 2 / 4
        loss[-40:] = np.nan
    return loss


def _of_a_rank(
    curve: Curves, loss: Array, step_ms: float, rank: int, *, slow: bool
) -> list[Series]:
    rng = np.random.default_rng([rank, len(loss)])
    n, factor = len(loss), 1.9 if slow else 1.0
    duration = step_ms * factor * (1 + np.abs(rng.normal(0, 0.03, n)))
    return [
        curve.series("train/loss", loss + rng.normal(0, 0.03, n)),
        curve.series("perf/step_ms", duration, every=4),
        curve.series("perf/data_wait_ms", np.abs(rng.normal(3, 2, n)) * factor, every=4),
    ]


def _of_the_run(curve: Curves, loss: Array, step_ms: float, lr: float, kind: int) -> list[Series]:
    n, rng = len(loss), curve.rng
    norms = curve.falling(4, 0.6, n / 30, 0.05)
    spikes = (rng.random(n) > 0.998) * rng.exponential(8, n)
    speed = 524_288e3 / (step_ms * (1 + np.abs(rng.normal(0, 0.04, n))))
    accuracy = curve.rising(0.62 - 0.04 * kind, n / 5, 0.004)
    return [
        curve.series("train/perplexity", np.exp(np.minimum(loss, 20)), every=2),
        curve.series("train/lr", curve.schedule(lr, 200)),
        curve.series("train/tokens", (curve.steps + 1) * 524_288.0, every=4),
        curve.series("grad/norm", norms + spikes),
        curve.series("grad/clipped", (norms > 1).astype(float), every=4),
        curve.series("val/loss", loss + 0.06, every=100),
        curve.series("val/accuracy", accuracy, every=100),
        curve.series("val/perplexity", np.exp(np.minimum(loss + 0.06, 20)), every=100),
        curve.series("perf/tokens_per_s", speed, every=4),
        curve.series("perf/mfu", 0.46 + rng.normal(0, 0.008, n), every=4),
        *(
            curve.series(
                f"layers/{layer:02d}/{what}", curve.falling(*bounds, n / 20, 0.02), every=8
            )
            for layer in range(6)
            for what, bounds in (
                ("weight_norm", (9.0 + layer, 14.0 + layer)),
                ("update_ratio", (0.01, 0.001)),
            )
        ),
    ]
