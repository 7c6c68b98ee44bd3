"""Real mpirun: all ranks of a job are one run."""

from __future__ import annotations

import sys

from .conftest import Launched, program


def test_the_ranks_of_a_job_are_one_run_and_the_next_job_another(launched: Launched) -> None:
    allow = ["--allow-run-as-root", "--oversubscribe"]
    command = [program("mpirun"), *allow, "-n", "3", sys.executable]
    found, again = launched.job(command), launched.job(command)
    assert [(one["attempt"], one["rank"], one["local_rank"]) for one in found] == [
        (1, rank, rank) for rank in range(3)
    ]
    assert {one["world_size"] for one in found} == {one["local_world_size"] for one in found} == {3}
    assert (len({one["run"] for one in found}), len({one["run"] for one in [*found, *again]})) == (
        1,
        2,
    )
