"""A driver of Ray Train whose two workers run the script of the launcher tests."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any


def worker(config: dict[str, Any]) -> None:
    sys.path[:0] = config["path"]
    from tests.support.launched import train

    out = Path(config["out"])
    train(config["server"], config["directory"], out, config["resume"], config["crash"])


def main() -> None:
    import ray
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

    parser = argparse.ArgumentParser()
    for name in ("server", "directory", "out"):
        parser.add_argument(name)
    parser.add_argument("--resume", default="never")
    parser.add_argument("--crash", type=int, default=-1)
    config = {**vars(parser.parse_args()), "path": sys.path}
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
    DataParallelTrainer(
        worker,
        train_loop_config=config,
        scaling_config=ScalingConfig(num_workers=2),
        run_config=RunConfig(
            name="launched",
            storage_path=config["out"] + "-ray",
            failure_config=FailureConfig(max_failures=1),
        ),
    ).fit()


if __name__ == "__main__":
    main()
