"""A training script that a real launcher starts: logs one point, and writes down where it found
itself.

launched.py SERVER DIR OUT [--resume HOW] [--crash RANK] [--early]

--crash: RANK ends with an error when it is started for the first time; before `init()` with
--early.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

import stepline
from stepline.launch import Launch


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("server")
    parser.add_argument("directory")
    parser.add_argument("out", type=Path)
    parser.add_argument("--resume", default="never")
    parser.add_argument("--crash", type=int, default=-1)
    parser.add_argument("--early", action="store_true")
    args = parser.parse_args()
    train(args.server, args.directory, args.out, args.resume, args.crash, args.early)


def train(
    server: str, directory: str, out: Path, resume: str, crash: int = -1, early: bool = False
) -> None:
    launch = Launch.detect()
    first = launch.rank == crash and not (out / "crashed").exists()
    if first:
        (out / "crashed").touch()
        if early:
            sys.exit(3)
    run = stepline.init(
        project="launched",
        server=server,
        dir=directory,
        resume=resume,  # type: ignore[arg-type]
        on_error="raise",
    )
    run.log({"rank": run.rank}, step=run.attempt)
    found = {
        "run": run.id,
        "attempt": run.attempt,
        "rank": run.rank,
        "world_size": run.world_size,
        "local_rank": launch.local_rank,
        "local_world_size": launch.local_world_size,
    }
    (out / f"{os.getpid()}.json").write_text(json.dumps(found))
    if first:
        sys.exit(3)
    if crash >= 0 and run.attempt == 1:
        time.sleep(120)  # as one that waits for the others in a collective, until it is killed
    run.finish()


if __name__ == "__main__":
    main()
