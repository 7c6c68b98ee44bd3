"""Curves and readings as training gives them."""

from __future__ import annotations

import numpy as np

from tests.support.showcase.writing import Array, Series


class Curves:
    """Curves as training gives them, the same for the same seed."""

    def __init__(self, seed: int, steps: int, began: int, step_ms: float) -> None:
        self.rng = np.random.default_rng(seed)
        self.steps = np.arange(steps)
        self.times = began + np.cumsum(np.abs(self.rng.normal(step_ms, step_ms / 12, steps)))

    def series(self, metric: str, values: Array, *, every: int = 1) -> Series:
        return Series(metric, self.steps[::every], values[::every], self.times[::every])

    def falling(self, start: float, end: float, pace: float, noise: float) -> Array:
        """A power law with noise that is correlated, as losses have."""
        n = len(self.steps)
        shape = (1 + self.steps / pace) ** -0.55
        white = self.rng.normal(0, noise, n)
        slow = np.convolve(self.rng.normal(0, noise, n + 63), np.ones(64) / 10, "valid")
        found: Array = end + (start - end) * shape + (white + slow) * (0.35 + shape)
        return found

    def rising(self, end: float, pace: float, noise: float) -> Array:
        rise = end * (1 - np.exp(-self.steps / pace))
        found: Array = rise + self.rng.normal(0, noise, len(self.steps))
        return found

    def schedule(self, peak: float, warmup: int) -> Array:
        done = self.steps / len(self.steps)
        rise = np.minimum(1, (self.steps + 1) / warmup)
        found: Array = peak * rise * 0.5 * (1 + np.cos(np.pi * done))
        return found


def hardware(curve: Curves, seed: int) -> list[Series]:
    """Readings of one node with eight devices, every 10 s; their steps are their times."""
    rng = np.random.default_rng(seed)
    times = np.arange(int(curve.times[0]), int(curve.times[-1]), 10_000)
    n = len(times)
    wave = 6 * np.sin(np.linspace(0, 9, n) + seed)
    cpu = np.clip(38 + wave + rng.normal(0, 5, n), 0, 100)
    memory = np.clip(np.linspace(41, 58, n) + rng.normal(0, 0.4, n), 0, 100)
    found = {
        "cpu/percent": cpu,
        "memory/percent": memory,
        "network/received_per_s": np.abs(rng.normal(2.4e9, 3e8, n)),
    }
    for gpu in range(8):
        busy = 96 + rng.normal(0, 1.6, n) - (rng.random(n) > 0.985) * rng.uniform(20, 90, n)
        if gpu == 5 and seed % 3 == 0:
            busy[n // 2 : n // 2 + n // 8] *= 0.3
        busy = np.clip(busy, 0, 100)
        found |= {
            f"gpu/{gpu}/utilization": busy,
            f"gpu/{gpu}/power": 180 + busy * 4.6 + rng.normal(0, 9, n),
            f"gpu/{gpu}/temperature": 38 + busy * 0.33 + gpu + rng.normal(0, 0.6, n),
            f"gpu/{gpu}/memory_percent": np.full(n, 83.0) + rng.normal(0, 0.2, n),
        }
    return [Series(f"system/{name}", times, values, times) for name, values in found.items()]
