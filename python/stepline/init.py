"""Starting a run."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from . import _core, current, exits, identity, notices
from .console import Recorder, listen
from .context import Gathering
from .delivery import ByProcess, ByThread, Delivery, NoDelivery
from .errors import RunExists, ServerUnreachable, from_core
from .launch import Launch
from .meta import SpoolMeta, key_of
from .plan import count_start, make_plan
from .pulse import Pulse
from .registration import register
from .run import Run
from .settings import (
    Mode,
    OnError,
    OnLive,
    Resume,
    Settings,
    SpoolPolicy,
    UploaderKind,
    find_api_key,
)
from .writers import NullWriter

_RANDOM_ID_TRIES = 3


def init(
    *,
    project: str | None = None,
    name: str | None = None,
    config: object = None,
    tags: Iterable[str] | None = None,
    group: str | None = None,
    job_type: str | None = None,
    run_id: str | None = None,
    resume: Resume = "never",
    fork_from: str | None = None,
    on_live: OnLive | None = None,
    rank: int | None = None,
    world_size: int | None = None,
    mode: Mode | None = None,
    server: str | None = None,
    api_key: str | None = None,
    dir: str | os.PathLike[str] | None = None,
    on_error: OnError = "offline",
    uploader: UploaderKind = "process",
    spool_limit: int | str | None = None,
    spool_policy: SpoolPolicy | None = None,
    capture: str | bool | Iterable[str] | None = None,
    redact: bool | None = None,
    system_metrics: float | str | bool | None = None,
    console: bool | str | None = None,
) -> Run:
    """Starts a run and makes it the current one.

    What is not given comes from the environment (STEPLINE_SERVER, STEPLINE_API_KEY,
    STEPLINE_PROJECT, STEPLINE_RUN_ID, STEPLINE_MODE, STEPLINE_DIR), then from defaults.

    Args: project: what the run belongs to; "default" without one. name: for people to read; the run
        id without one. config: what the run is started with: a dict, or what argparse, a
        dataclass, OmegaConf, pydantic or attrs gives, of anything JSON can hold. tags, group,
        job_type: for finding runs again. run_id: 1 to 64 letters, digits,
        dots, dashes, underscores. Without one it is derived from project and launch, so that all
        ranks of a job agree on it, or random where no launcher is found. resume: "never" (the run
        must be new), "allow" (new, or the next attempt), "must" (the next attempt), "auto" (like
        allow, with a run id that stays the same over restarts of the job). fork_from:
        "RUN_ID@STEP": begin with what another run shows up to and including that step; with the id
        of the run itself and `resume`, its next attempt begins after that step (docs/runs.md).
        on_live: what it means that somebody else's start of the run is alive: "refuse" (RunIsLive),
        "take_over" (the next attempt; what the other one still logs is superseded), "new_run" (a
        run of its own, with an id made of this one); "take_over" with resume="auto" without one,
        else "refuse". rank, world_size: found from
        torchrun, SLURM, Open MPI or STEPLINE_RANK and STEPLINE_WORLD_SIZE. mode: "online";
        "offline": only to disk, for `stepline sync`; "disabled": nothing at all. server: HOST:PORT
        of the service; 127.0.0.1:7424 without one. api_key: for services that want one. dir: where
        points wait on this host; ~/.local/state/stepline without one. on_error: what an unreachable
        service means: "offline" (a warning; training goes on and points are sent when it is back),
        "raise" (ServerUnreachable; wrong metric values raise too), "disabled" (log nothing).
        uploader: "process": one for all runs of the host, which outlives them; "thread": inside
        this process. spool_limit: bytes that this process may have waiting on disk, or a text such
        as "2GiB"; STEPLINE_SPOOL_LIMIT or 8 GiB without one, 0 is no limit. spool_policy: what
        happens there: "refuse" (new points are left out and counted, the service shows the gap),
        "block" (log() waits, up to a minute until the service moves), "drop_oldest" (the oldest
        unsent points are deleted, the service shows the gap); STEPLINE_SPOOL_POLICY without one.
        capture: what is recorded of the surroundings: "all", "none", or some of git, diff, program,
        packages, environment, machine; "-diff" leaves one out (docs/capture.md); STEPLINE_CAPTURE
        or "all" without one. redact: whether secrets in config and summary (keys such as api_key,
        texts such as a token of GitHub) are stored as "***"; True without STEPLINE_REDACT=0.
        system_metrics: seconds between two readings of each host (processors,
        memory, disks, network, GPUs, the processes of the run), or "off"; "15,cores" for each
        processor as well; STEPLINE_SYSTEM_METRICS or 15 without one. console: True keeps what
        the processes print, "rank0" what rank 0 prints (docs/capture.md says what is heard);
        STEPLINE_CONSOLE or "off" without one.

    Raises: RunExists, RunIsLive, RunNotFound, AccessDenied, InvalidRequest: the service refuses,
        whatever `on_error` says. ServerUnreachable: only with `on_error="raise"`. SpoolFailed: the
        directory cannot be written.
    """
    settings = Settings.resolve(
        project=project,
        name=name,
        config=config,
        tags=tags,
        group=group,
        job_type=job_type,
        run_id=run_id,
        resume=resume,
        fork_from=fork_from,
        on_live=on_live,
        mode=mode,
        server=server,
        api_key=api_key,
        dir=dir,
        on_error=on_error,
        uploader=uploader,
        spool_limit=spool_limit,
        spool_policy=spool_policy,
        capture=capture,
        redact=redact,
        system_metrics=system_metrics,
        console=console,
    )
    launch = Launch.detect(rank=rank, world_size=world_size)
    plan = make_plan(settings, launch)
    if settings.mode == "disabled":
        return _disabled_run(settings, plan)
    gathering = Gathering(settings.capture, launch)
    try:
        return _start(settings, plan, launch, gathering)
    except BaseException:
        gathering.close()
        raise


def _start(settings: Settings, plan: SpoolMeta, launch: Launch, gathering: Gathering) -> Run:
    reason = ""
    if settings.mode == "online":
        try:
            plan = _register(plan, reroll=settings.run_id is None and not launch.found)
        except ServerUnreachable as error:
            if settings.on_error == "raise":
                raise
            if settings.on_error == "disabled":
                notices.line(f"{error} This run is disabled and logs nothing.")
                gathering.close()
                return _disabled_run(settings, plan)
            reason = error.reason
    run = _spooled_run(settings, plan)
    gathering.record(run._writer.control)
    run._pulse.later(gathering.late)
    run._at_end(gathering.close)
    if settings.console == "all" or (settings.console == "rank0" and run.rank == 0):
        _keep_console(run)
    count_start(plan, settings, launch)
    _announce(settings, run, reason)
    return run


def _register(plan: SpoolMeta, *, reroll: bool) -> SpoolMeta:
    """The plan with the attempt that the service gave; REROLL replaces a taken id."""
    for left in reversed(range(_RANDOM_ID_TRIES)):
        try:
            run_id, attempt = register(plan)
            return replace(plan, run_id=run_id, attempt=attempt)
        except RunExists:
            if not reroll or left == 0:
                raise
        plan = replace(plan, run_id=identity.random_run_id())
    return plan


def _keep_console(run: Run) -> None:
    recorder = Recorder(run._writer.control)

    def flush() -> bool:
        recorder.flush()
        return False

    run._at_end(listen(recorder))
    run._pulse.later(flush)


def rejoin(settings: Settings, meta: SpoolMeta, spool: str, owner: int) -> Run:
    """The run of another process in this one, which was not forked from it: what a pickled run
    becomes. Like a forked child it logs to a spool of its own and leaves the end to OWNER.
    """
    for run in current.runs():
        if (run.id, run.rank) == (meta.run_id, meta.rank):
            return run
    if meta.mode == "disabled":
        return _disabled_run(settings, meta)
    api_key = find_api_key(key_of(spool))
    writer, pid, now = _core.new_writer_id(), os.getpid(), time.time_ns() // 1_000_000
    plan = replace(meta, writer=writer, pid=pid, created_ms=now, api_key=api_key, child=True)
    return _spooled_run(replace(settings, api_key=api_key), plan, owner)


def _spooled_run(settings: Settings, plan: SpoolMeta, owner: int | None = None) -> Run:
    delivery = _delivery(settings)
    pulse = Pulse(delivery)
    try:
        writer = _core.Writer(
            str(settings.dir),
            plan.to_json(),
            on_error="raise" if settings.on_error == "raise" else "warn",
            on_tick=pulse,
            write=settings.spool_write,
            limit_bytes=settings.spool_limit,
            policy=settings.spool_policy,
        )
    except _core.CoreError as error:
        raise from_core(error, server=settings.server) from None
    said = settings.mode == "online" and plan.attempt is None
    warn = partial(notices.unreachable, settings.server, plan.run_id, settings.dir)
    pulse.attach(writer, None if said or not delivery.sends else warn)
    # Only now, with the spool in place, look for the uploader: so one of the two sees the other.
    pulse()
    run = Run(plan, writer, delivery, pulse, settings, owner=owner)
    if owner is None:
        exits.watch(run)
    current.enter(run)
    return run


def _disabled_run(settings: Settings, plan: SpoolMeta) -> Run:
    delivery = NoDelivery()
    run = Run(
        replace(plan, mode="disabled"),
        NullWriter(),
        delivery,
        Pulse(delivery),
        settings,
    )
    current.enter(run)
    return run


def _delivery(settings: Settings) -> Delivery:
    sends = settings.mode != "offline"
    if settings.uploader == "thread":
        return ByThread(sends=sends)
    return ByProcess(str(settings.dir), sends=sends)


def _announce(settings: Settings, run: Run, reason: str) -> None:
    if run.mode == "online" and run.attempt is None:
        notices.unreachable(settings.server, run.id, settings.dir, reason)
    elif run.rank == 0:
        place = settings.server if run.mode == "online" else f"{settings.dir} (offline)"
        notices.line(f"run {run.id} of project {run.project} -> {place}")
