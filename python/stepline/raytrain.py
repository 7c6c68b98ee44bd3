"""The place of a worker of Ray Train, which Ray tells by its own API."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class RayWorker:
    """One worker of a training function."""

    rank: int
    world_size: int
    local_rank: int
    local_world_size: int
    job: str
    launch: str


def worker() -> RayWorker | None:
    """None outside of a training function. Inside of one Ray is there: it is not imported here."""
    ray, train = sys.modules.get("ray"), sys.modules.get("ray.train")
    if ray is None or train is None:
        return None
    # Whatever version of Ray this is, and whatever it thinks of being asked: no reason to fail.
    with contextlib.suppress(Exception):
        context: Any = train.get_context()
        rank, size = context.get_world_rank(), context.get_world_size()
        if rank is None or size is None:
            return None
        runtime: Any = ray.get_runtime_context()
        words = [runtime.get_job_id(), _ask(context, "get_experiment_name")]
        words.append(_ask(context, "get_trial_id"))
        job = "ray:" + ":".join(word for word in words if word)
        # Workers that are started anew are in another placement group.
        group = runtime.get_placement_group_id()
        return RayWorker(
            rank=int(rank),
            world_size=int(size),
            local_rank=int(context.get_local_rank()),
            local_world_size=int(context.get_local_world_size()),
            job=job,
            launch=f"{job}:{group}" if group else job,
        )
    return None


def _ask(context: Any, name: str) -> str:
    with contextlib.suppress(Exception):
        return str(getattr(context, name)() or "")
    return ""
