"""The open choices of the store, measured: `python -m bench.store.choices` (about three minutes, 2
GB of disk).

Read the ratios; the first column of each table is what the others are compared with.
"""

from __future__ import annotations

import sys

from . import names, rollups, widths

SECTIONS = {"names": names.main, "rollups": rollups.main, "widths": widths.main}


def main(wanted: list[str] | None = None) -> None:
    for name in wanted or SECTIONS:
        print(f"\n== {name}", flush=True)
        SECTIONS[name]()


if __name__ == "__main__":
    main(sys.argv[1:])
