"""The bare engine: the rows of a store inserted into a fresh one by a process that does nothing
else.

    python -m loadtest.bare SOURCE TARGET

Prints JSON: `seconds` in the inserts (blocks of 1,000,000 rows in the order of the key, the same
table and settings), `rows`, and `peak_bytes`, the most memory that the inserting process held,
without the block that was given to it.
"""

from __future__ import annotations

import json
import pickle
import resource
import subprocess
import sys
import time
from pathlib import Path

from bench.floor import blocks
from stepline_ingest.schema import migrate
from stepline_ingest.store import open_store


def measure(source: Path, target: Path) -> dict[str, float]:
    """In processes of their own, because an engine and a process belong together."""
    target.mkdir(parents=True)
    for command in (["prepare", str(source), str(target)], ["insert", str(target)]):
        done = subprocess.run(
            [sys.executable, "-m", "loadtest.bare", *command], check=True, stdout=subprocess.PIPE
        )
    result: dict[str, float] = json.loads(done.stdout)
    return result


def prepare(source: Path, target: Path) -> None:
    """Writes the blocks to files."""
    for number, block in enumerate(blocks(source)):
        (target / f"{number:04d}.block").write_bytes(pickle.dumps(block))


def insert(target: Path) -> None:
    store = open_store(None, target / "store")
    migrate(store)
    seconds, rows, largest = 0.0, 0, 0
    for path in sorted(target.glob("*.block")):
        count, pieces = pickle.loads(path.read_bytes())
        largest = max(largest, path.stat().st_size)
        began = time.perf_counter()
        store.insert_points(pieces, rows=count, token=path.stem)
        seconds += time.perf_counter() - began
        rows += count
        del pieces
    # Reading a file holds its bytes and the block made of them.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - 2 * largest
    print(json.dumps({"seconds": seconds, "rows": rows, "peak_bytes": peak}))
    store.close()


def main() -> None:
    match sys.argv[1:]:
        case ["prepare", source, target]:
            prepare(Path(source), Path(target))
        case ["insert", target]:
            insert(Path(target))
        case [source, target]:
            print(json.dumps(measure(Path(source), Path(target))))
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
