"""`make bench`: every benchmark, one after the other."""

from __future__ import annotations

import importlib
import sys

BENCHMARKS = (
    "log_cost",
    "log_weather",
    "uploader_cost",
    "end_to_end",
    "bytes",
    "chart",
    "live",
    "export",
    "dashboard",
    "catalogue",
    "capture",
)


def main() -> int:
    for name in sys.argv[1:] or BENCHMARKS:
        print(f"\n== {name}", flush=True)
        importlib.import_module(f"bench.{name}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main())
