"""What launchers say of a process: its place in the job, and the ids of job and start."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from . import torchrun
from .errors import InvalidRequest
from .raytrain import RayWorker

Ids = tuple[str, str]
"""(job id, launch id): the first is kept over restarts, the second names one start."""

_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True, kw_only=True)
class Place:
    """One process among those of its job and of its host."""

    rank: int = 0
    world_size: int = 1
    local_rank: int | None = None
    local_world_size: int | None = None


@dataclass(frozen=True)
class _Variables:
    """The names under which one launcher says the place of a process; of several names for one
    number the first that is set counts."""

    rank: str
    world_size: tuple[str, ...] = ()
    local_rank: tuple[str, ...] = ()
    local_world_size: tuple[str, ...] = ()


# In the order of who is nearest to the process: torchrun may run inside srun or a pod, and mpirun
# inside a SLURM allocation whose variables then describe mpirun's own daemon.
_LAUNCHERS = (
    _Variables(
        "STEPLINE_RANK",
        ("STEPLINE_WORLD_SIZE",),
        ("STEPLINE_LOCAL_RANK",),
        ("STEPLINE_LOCAL_WORLD_SIZE",),
    ),
    _Variables("RANK", ("WORLD_SIZE",), ("LOCAL_RANK",), ("LOCAL_WORLD_SIZE",)),
    _Variables(
        "OMPI_COMM_WORLD_RANK",
        ("OMPI_COMM_WORLD_SIZE",),
        ("OMPI_COMM_WORLD_LOCAL_RANK",),
        ("OMPI_COMM_WORLD_LOCAL_SIZE",),
    ),
    _Variables("SLURM_PROCID", ("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"), ("SLURM_LOCALID",)),
    # MPICH and its descendants
    _Variables("PMI_RANK", ("PMI_SIZE",), ("MPI_LOCALRANKID",), ("MPI_LOCALNRANKS",)),
    _Variables("PMIX_RANK"),
)


def place(env: Mapping[str, str], ray: RayWorker | None = None) -> Place:
    """The place of this process; a process that nobody launched is a job of its own. Raises
    InvalidRequest for a variable that is no number."""
    if ray is not None and not env.get("STEPLINE_RANK"):
        return Place(
            rank=ray.rank,
            world_size=ray.world_size,
            local_rank=ray.local_rank,
            local_world_size=ray.local_world_size,
        )
    for names in _LAUNCHERS:
        if not env.get(names.rank):
            continue
        if names.rank == "SLURM_PROCID" and not env.get("SLURM_STEP_ID"):
            continue  # the batch script itself, which is one process whatever SLURM_NTASKS says
        rank = _number(env, names.rank)
        size = _first_number(env, names.world_size)
        return Place(
            rank=rank,
            world_size=rank + 1 if size is None else size,
            local_rank=_first_number(env, names.local_rank),
            local_world_size=_first_number(env, names.local_world_size),
        )
    if env.get("JOB_COMPLETION_INDEX"):
        # a pod has a network name of its own, so it is a host of its own
        rank = _number(env, "JOB_COMPLETION_INDEX")
        size = _first_number(env, ("JOB_COMPLETIONS", "WORLD_SIZE"))
        world_size = rank + 1 if size is None else size
        return Place(rank=rank, world_size=world_size, local_rank=0, local_world_size=1)
    return Place()


def ids(env: Mapping[str, str], ray: RayWorker | None = None) -> Ids | None:
    """None when nothing tells one start from another."""
    explicit = env.get("STEPLINE_LAUNCH_ID")
    if explicit:
        return explicit, explicit
    if ray is not None:
        return ray.job, ray.launch
    if env.get("TORCHELASTIC_RUN_ID"):
        around = _slurm(env) if env.get("SLURM_JOB_ID") else _kubernetes(env)
        return torchrun.ids(env, around)
    if env.get("OMPI_COMM_WORLD_RANK"):
        return _mpi(env)
    if env.get("SLURM_JOB_ID") and env.get("SLURM_STEP_ID"):
        return _slurm(env)
    return _mpi(env) or _kubernetes(env)


def _slurm(env: Mapping[str, str]) -> Ids:
    job = f"slurm:{env['SLURM_JOB_ID']}.{env.get('SLURM_STEP_ID', 'batch')}"
    return job, f"{job}:{env.get('SLURM_RESTART_COUNT', '0')}"


def _mpi(env: Mapping[str, str]) -> Ids | None:
    """PMIx names a job with the host and process of its launcher, Open MPI before 5 has a number
    of its own made of the two. Both come back, so a random key of the launch goes with them where
    there is one.
    """
    job = env.get("PMIX_NAMESPACE") or env.get("OMPI_MCA_ess_base_jobid")
    if not job:
        return None
    key = env.get("OMPI_MCA_orte_precondition_transports")
    return (f"mpi:{job}:{key}" if key else f"mpi:{job}",) * 2


def _kubernetes(env: Mapping[str, str]) -> Ids | None:
    """An indexed job: its pods are called JOB-INDEX. A job that is made anew under its old name is
    told from the old one by its uid only, which pods learn through the downward API.
    """
    index = env.get("JOB_COMPLETION_INDEX")
    if not index:
        return None
    host = env.get("HOSTNAME") or socket.gethostname()
    name = env.get("JOB_NAME") or re.sub(rf"-{re.escape(index)}(-[a-z0-9]{{5}})?$", "", host)
    space = env.get("POD_NAMESPACE") or ""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        space = space or _NAMESPACE.read_text().strip()
    job = f"kubernetes:{space}/{name}"
    uid = env.get("JOB_UID")
    return job, f"{job}:{uid}" if uid else job


def _first_number(env: Mapping[str, str], names: tuple[str, ...]) -> int | None:
    return next((_number(env, name) for name in names if env.get(name)), None)


def _number(env: Mapping[str, str], name: str) -> int:
    try:
        return int(env[name])
    except ValueError:
        raise InvalidRequest(
            f"The environment variable {name}={env[name]!r} is not a whole number: correct it, or "
            "pass rank= and world_size=."
        ) from None
