"""Which process of which job this is, as the launchers say it in the environment.

A launch id is the same for all ranks of one start of a job and another for each restart. With one,
ranks that do not know of each other agree on a run id. Where no launcher says anything, it is
random and each process is a run of its own.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from operator import index
from pathlib import PurePath
from typing import SupportsIndex

from .errors import InvalidRequest


@dataclass(frozen=True, kw_only=True)
class Launch:
    """This process within its job."""

    rank: int
    world_size: int
    launch_id: str
    """The same for all ranks of one start; another after a restart, unless the launcher hides it.
    """
    job_id: str
    """Like `launch_id`, and kept over restarts: what `resume="auto"` goes by."""
    found: bool
    """False when the ids are random, for want of a launcher."""
    host: str

    @classmethod
    def detect(
        cls,
        *,
        rank: int | None = None,
        world_size: int | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Launch:
        """Arguments first, then ENVIRON (the process environment).

        Raises InvalidRequest for a rank outside 0 .. world_size - 1 and for numbers that are none.
        """
        env = os.environ if environ is None else environ
        found_rank, found_size = _rank_and_size(env)
        the_rank = found_rank if rank is None else _index("rank", rank)
        if world_size is not None:
            size = _index("world_size", world_size)
        elif rank is not None:  # an argument may go beyond what no launcher has told
            size = max(found_size, the_rank + 1)
        else:
            size = found_size
        if not 0 <= the_rank < 2**32:
            raise InvalidRequest(f"rank={the_rank} is out of range: pass 0 or more.")
        if size <= the_rank:
            raise InvalidRequest(
                f"rank={the_rank} does not fit world_size={size}: ranks count from 0."
            )
        ids = _launch_ids(env)
        job_id, launch_id = ids if ids is not None else (secrets.token_hex(16),) * 2
        return cls(
            rank=the_rank,
            world_size=size,
            launch_id=launch_id,
            job_id=job_id,
            found=ids is not None,
            host=socket.gethostname(),
        )


# (rank, world size) in the order of who is nearest to the process: torchrun may run inside srun,
# and mpirun inside a SLURM
# allocation whose variables then describe mpirun's own daemon.
_RANK_VARIABLES = (
    ("STEPLINE_RANK", ("STEPLINE_WORLD_SIZE",)),
    ("RANK", ("WORLD_SIZE",)),
    ("OMPI_COMM_WORLD_RANK", ("OMPI_COMM_WORLD_SIZE",)),
    ("SLURM_PROCID", ("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS")),
    ("PMIX_RANK", ()),
)


def _rank_and_size(env: Mapping[str, str]) -> tuple[int, int]:
    for rank_variable, size_variables in _RANK_VARIABLES:
        if not env.get(rank_variable):
            continue
        if rank_variable == "SLURM_PROCID" and not env.get("SLURM_STEP_ID"):
            continue  # the batch script itself, which is one process whatever SLURM_NTASKS says
        rank = _number(env, rank_variable)
        sizes = [_number(env, name) for name in size_variables if env.get(name)]
        return rank, sizes[0] if sizes else rank + 1
    return 0, 1


def _number(env: Mapping[str, str], name: str) -> int:
    try:
        return int(env[name])
    except ValueError:
        raise InvalidRequest(
            f"The environment variable {name}={env[name]!r} is not a whole number: correct it, or "
            "pass rank= and world_size=."
        ) from None


def _index(name: str, value: SupportsIndex) -> int:
    try:
        return index(value)
    except TypeError:
        raise InvalidRequest(f"{name}={value!r} is not a whole number: pass an int.") from None


def _launch_ids(env: Mapping[str, str]) -> tuple[str, str] | None:
    """(job id, launch id), or None when nothing in ENV tells one start from another."""
    explicit = env.get("STEPLINE_LAUNCH_ID")
    if explicit:
        return explicit, explicit
    if env.get("TORCHELASTIC_RUN_ID"):
        return _torch(env)
    if env.get("OMPI_COMM_WORLD_RANK"):
        return _mpi(env)
    if env.get("SLURM_JOB_ID") and env.get("SLURM_STEP_ID"):
        return _slurm(env)
    return _mpi(env)


def _torch(env: Mapping[str, str]) -> tuple[str, str] | None:
    """torchrun. Its run id is "none" unless --rdzv-id is given; then something else must tell two
    launches apart.
    """
    master = f"{env.get('MASTER_ADDR', '')}:{env.get('MASTER_PORT', '')}"
    run_id = env["TORCHELASTIC_RUN_ID"]
    if run_id != "none":
        job = f"torch:{run_id}:{master}"
    elif env.get("SLURM_JOB_ID"):
        job = f"torch:slurm:{_slurm(env)[0]}:{master}"
    elif env.get("GROUP_WORLD_SIZE") == "1" and len(_error_file(env).parents) > 3:
        # one agent, whose log directory is new for each launch:
        # DIR/none_RANDOM/attempt_N/LOCAL_RANK/error.json
        job = f"torch:{_error_file(env).parents[2]}"
    else:
        return None
    return job, f"{job}:{env.get('TORCHELASTIC_RESTART_COUNT', '0')}"


def _error_file(env: Mapping[str, str]) -> PurePath:
    return PurePath(env.get("TORCHELASTIC_ERROR_FILE", ""))


def _slurm(env: Mapping[str, str]) -> tuple[str, str]:
    job = f"slurm:{env['SLURM_JOB_ID']}.{env.get('SLURM_STEP_ID', 'batch')}"
    return job, f"{job}:{env.get('SLURM_RESTART_COUNT', '0')}"


def _mpi(env: Mapping[str, str]) -> tuple[str, str] | None:
    """PMIx names a job with the host and process of its launcher; Open MPI before 5 has a number of
    its own.
    """
    job = env.get("PMIX_NAMESPACE") or env.get("OMPI_MCA_ess_base_jobid")
    return (f"mpi:{job}",) * 2 if job else None
