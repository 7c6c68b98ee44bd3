"""Deciding which run a call of `init()` starts, before anybody is asked."""

from __future__ import annotations

import os
import time
from collections import Counter

from . import _core, identity, notices
from .jsonable import jsonable
from .launch import Launch
from .meta import SpoolMeta
from .secrecy import json_to_store
from .settings import Settings

_starts: Counter[tuple[str, ...]] = Counter()
"""How often this process has started what: a script's second run must not join its first one."""


def make_plan(settings: Settings, launch: Launch) -> SpoolMeta:
    """What the spool will say, short of the attempt."""
    run_id = settings.run_id or _choose_run_id(settings, launch)
    again = _starts[run_id, str(launch.rank)]
    config = jsonable(settings.config, "config")
    tell = launch.rank == 0 and settings.mode != "disabled"
    return SpoolMeta(
        writer=_core.new_writer_id(),
        run_id=run_id,
        project=settings.project,
        name=settings.name or "",
        config_json=json_to_store(config, "config", redact=settings.redact, tell=tell),
        tags=settings.tags,
        group=settings.group or "",
        job_type=settings.job_type or "",
        resume=settings.resume,
        fork_from=settings.fork_from or "",
        launch_id=f"{launch.launch_id}#{again + 1}" if again else launch.launch_id,
        rank=launch.rank,
        world_size=launch.world_size,
        host=launch.host,
        pid=os.getpid(),
        created_ms=time.time_ns() // 1_000_000,
        server=settings.server,
        api_key=settings.api_key,
        attempt=None,
        mode=settings.mode,
        on_live=settings.on_live or "",
        local_rank=launch.local_rank,
        system_ms=settings.readings.interval_ms,
        system_cores=settings.readings.cores,
        **settings.tls,
    )


def count_start(meta: SpoolMeta, settings: Settings, launch: Launch) -> None:
    """The run of META has begun: the next plan is for another one."""
    _starts[meta.run_id, str(launch.rank)] += 1
    _starts[settings.project, _start(settings, launch), str(launch.rank)] += 1


def _choose_run_id(settings: Settings, launch: Launch) -> str:
    if not launch.found:
        if launch.world_size > 1:
            notices.line(
                f"rank {launch.rank} of {launch.world_size} found no launch id, so it cannot join "
                "the run of the other ranks: set STEPLINE_LAUNCH_ID to one new value for all."
            )
        return identity.random_run_id()
    start = _start(settings, launch)
    again = _starts[settings.project, start, str(launch.rank)]
    return identity.derived_run_id(settings.project, f"{start}#{again}" if again else start)


def _start(settings: Settings, launch: Launch) -> str:
    """What the run id is derived from: with resume="auto" it stays the same over restarts."""
    return launch.job_id if settings.resume == "auto" else launch.launch_id
