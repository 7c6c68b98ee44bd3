"""The projects of a showcase."""

from __future__ import annotations

import math
import time

import numpy as np

from tests.support.showcase.curves import Curves
from tests.support.showcase.pretraining import pretraining
from tests.support.showcase.writing import Showcase

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
HOSTILE = (
    "<script>window.hacked = 1</script>",
    '<img src=x onerror="window.hacked = 1">',
    "\u202etxt.exe \u05e9\u05dc\u05d5\u05dd \u0627\u0644\u0639\u0631\u0628\u064a\u0629",
    "🚀🔥 família 👩‍👩‍👧 e\u0301",
    "x" * 1_000,
    "a b\tc\"d'e&f;g`h${i}{{j}}",
)
"""Names of runs, metrics, tags and groups that a page must show as they are."""


def sweep(show: Showcase, now: int, *, runs: int, steps: int) -> None:
    """A search over a few settings, for tables, groups and parallel coordinates."""
    for number in range(runs):
        rng = np.random.default_rng(number)
        lr = float(10 ** rng.uniform(-4.3, -1.3))
        decay = float(rng.choice([0, 1e-4, 1e-3, 1e-2]))
        dropout = round(float(rng.uniform(0, 0.5)), 2)
        optimizer = str(rng.choice(["adamw", "sgd", "lion"]))
        badness = abs(math.log10(lr) + (2.9 if optimizer == "adamw" else 2.2)) + dropout
        created = now - (runs - number) * 23 * MINUTE
        curve = Curves(number, steps, created, 350.0)
        loss = curve.falling(2.3, 0.25 + 0.22 * badness, steps / 20, 0.02)
        accuracy = curve.rising(0.96 - 0.09 * badness, steps / 8, 0.006)
        failed = badness > 2.2
        if failed:
            loss[steps // 3 :] = np.nan
        show.run(
            f"sweep-{number:03d}",
            {
                0: [
                    curve.series("train/loss", loss),
                    curve.series("train/accuracy", accuracy),
                    curve.series("val/loss", loss + 0.08, every=20),
                    curve.series("val/accuracy", accuracy - 0.03, every=20),
                    curve.series("lr", curve.schedule(lr, 30)),
                    curve.series("grad/norm", curve.falling(6, 0.4, steps / 15, 0.08)),
                ]
            },
            project="vision-sweep",
            config={
                "optimizer": optimizer,
                "lr": lr,
                "weight_decay": decay,
                "dropout": dropout,
                "batch_size": int(rng.choice([64, 128, 256, 512])),
                "augment": bool(rng.random() > 0.4),
                "model": "resnet18",
            },
            created=created,
            ended=int(curve.times[-1]),
            exit_code=1 if failed else 0,
            tags=["sweep", optimizer],
            group=optimizer,
            job_type="train",
        )


def hostile(show: Showcase, now: int) -> None:
    """Texts that are no names to a page that is not careful."""
    for number, text in enumerate(HOSTILE):
        curve = Curves(number, 300, now - DAY + number * HOUR, 400.0)
        show.run(
            f"hostile-{number}",
            {
                0: [
                    curve.series("loss", curve.falling(3, 0.5, 30, 0.02)),
                    curve.series(f"odd/{text}"[:900], curve.rising(1, 60, 0.01)),
                ]
            },
            project="<b>odd</b> names",
            config={text[:200]: text, "html": "<i>not italic</i>"},
            created=now - DAY + number * HOUR,
            ended=now - DAY + number * HOUR + 130_000,
            name=text,
            tags=[text, "ok"],
            group=text,
        )


def fill(address: str, *, small: bool = False) -> None:
    """Everything; SMALL is enough for a test."""
    show = Showcase(address)
    now = int(time.time() * 1000)
    try:
        sweep(show, now - DAY, runs=12 if small else 80, steps=200 if small else 600)
        hostile(show, now)
        if small:
            pretraining(show, now, runs=3, ranks=4, steps=600)
        else:
            pretraining(show, now, runs=9, ranks=16, steps=4_000)
    finally:
        show.close()
