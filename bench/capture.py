"""What it costs to capture more than points.

    python -m bench capture

Three figures, each against the same without it, alternating in one run: `init()` with the whole
context, `print()` of a line while the console is kept, and the processor time of an uploader that
takes readings four times a second, as a share of a core at the default of once in 15 s.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import stepline
from tests.support.processes import uploaders

ROUNDS = 15
LINES = 2_000
SECONDS = 15.0
DEFAULT_INTERVAL = 15.0


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="stepline-bench-") as directory:
        folder = Path(directory)
        _context(folder)
        _console(folder)
        _readings(folder)
    return 0


def _start(folder: Path, **options: object) -> stepline.Run:
    quiet = {"capture": "none", "system_metrics": "off", **options}
    return stepline.init(mode="offline", dir=folder, **quiet)  # type: ignore[arg-type]


def _context(folder: Path) -> None:
    spent: dict[str, list[float]] = {"none": [], "all": []}
    for _ in range(ROUNDS):
        for parts, times in spent.items():
            began = time.perf_counter()
            run = _start(folder / "context", capture=parts)
            times.append(time.perf_counter() - began)
            run.finish()
    without, whole = (statistics.median(times) * 1e3 for times in spent.values())
    print(f"init(): {without:.1f} ms, with the context {whole:.1f} ms")


def _console(folder: Path) -> None:
    spent: dict[bool, list[float]] = {False: [], True: []}
    stdout = sys.stdout
    try:
        with (folder / "printed").open("w", buffering=1) as sink:
            sys.stdout = sink
            for _ in range(ROUNDS // 3):
                for kept, times in spent.items():
                    run = _start(folder / "console", console=kept)
                    began = time.process_time()
                    for number in range(LINES):
                        print("step", number, "loss", 0.25)
                    times.append((time.process_time() - began) / LINES)
                    run.finish()
    finally:
        sys.stdout = stdout
    without, kept_ = (statistics.median(times) * 1e6 for times in spent.values())
    print(
        f"print() of four words, processor time: {without:.1f} us, kept {kept_:.1f} us "
        f"({kept_ / without:.1f} times)"
    )


def _readings(folder: Path) -> None:
    shares = []
    for interval in ("off", "0.25"):
        spools = folder / f"readings-{interval}"
        run = _start(spools, system_metrics=interval)
        run.log({"a": 1.0})
        while not (found := uploaders(spools)):
            time.sleep(0.01)
        time.sleep(1.0)
        before, began = found[0].cpu_times(), time.monotonic()
        time.sleep(SECONDS)
        after, seconds = found[0].cpu_times(), time.monotonic() - began
        shares.append((after.user + after.system - before.user - before.system) / seconds)
        run.finish()
    idle, busy = shares
    each = max(0.0, busy - idle) * 0.25
    print(
        f"readings: {each * 1e3:.2f} ms of a processor each, {each / DEFAULT_INTERVAL:.4%} of a "
        f"core every {DEFAULT_INTERVAL:.0f} s (the idle uploader takes {idle:.2%})"
    )


if __name__ == "__main__":
    raise SystemExit(main())
