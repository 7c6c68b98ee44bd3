"""Runs inside the environment of one tracker; needs nothing but the standard library and that
tracker.

    python child.py ADAPTER SPEC

SPEC is JSON: `folder`, `metrics`, `calls`, `seconds`, and `do`, which is one of

- "log": start, say "ready", wait for "go", time every call of log(), finish. Writes `latencies.bin`
  (unsigned 64-bit nanoseconds) and prints one line of JSON.
- "burst": the same without finishing: says "logged CALLS" after the last call and waits to be
  killed.
- "count": says how many values the tracker's own reader finds in the folder.
"""

from __future__ import annotations

import importlib.util
import json
import random
import struct
import sys
import time
from array import array
from pathlib import Path
from types import ModuleType
from typing import Any

POOL_POINTS = 16_000
"""Values made before the clock starts."""


def load(path: str) -> ModuleType:
    """The adapter: `start(folder)` gives an object with `log(metrics, step)` and `finish()`;
    `count(folder)` counts the stored values."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows(metrics: int) -> list[dict[str, float]]:
    """Dicts with the same keys, as a training loop makes them: values with the noise of a
    float32."""
    chance = random.Random(metrics)
    names = [f"train/layer{i:04d}/grad_norm" for i in range(metrics)]
    count = max(8, POOL_POINTS // metrics)
    return [{name: _float32(chance.gauss(1.0, 0.1)) for name in names} for _ in range(count)]


def _float32(value: float) -> float:
    return float(struct.unpack("f", struct.pack("f", value))[0])


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def timed_calls(log: Any, metrics: int, calls: int, seconds: float) -> array[int]:
    """Nanoseconds of each call; ends after CALLS calls or SECONDS, whichever comes first. The very
    first call, in which some make their series, comes first of all and does not count for the
    SECONDS."""
    pool = rows(metrics)
    latencies = array("Q", bytes(8 * calls))
    clock = time.perf_counter_ns
    say("ready")
    sys.stdin.readline()
    end = 0
    done = 0
    for step in range(calls):
        row = pool[step % len(pool)]
        began = clock()
        log(row, step)
        now = clock()
        latencies[step] = now - began
        done = step + 1
        if not end:
            end = now + int(seconds * 1e9)
        elif now > end:
            break
    return latencies[:done]


def main() -> None:
    adapter, spec = load(sys.argv[1]), json.loads(sys.argv[2])
    folder = Path(spec["folder"])
    if spec["do"] == "count":
        say(json.dumps({"points": adapter.count(str(folder))}))
        return
    tracker = adapter.start(str(folder))
    began = time.perf_counter()
    latencies = timed_calls(tracker.log, spec["metrics"], spec["calls"], spec["seconds"])
    if spec["do"] == "burst":
        say(f"logged {len(latencies)}")
        time.sleep(600)
        return
    logged = time.perf_counter()
    with (folder / "latencies.bin").open("wb") as file:
        latencies.tofile(file)
    finishing = time.perf_counter()
    tracker.finish()
    say(
        json.dumps(
            {
                "calls": len(latencies),
                "log_seconds": logged - began,
                "finish_seconds": time.perf_counter() - finishing,
            }
        )
    )


if __name__ == "__main__":
    sys.path.pop(0)  # this folder: its names must not hide the tracker's
    main()
