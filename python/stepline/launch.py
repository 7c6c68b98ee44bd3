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
from typing import SupportsIndex

from . import launchers, raytrain
from .errors import InvalidRequest


@dataclass(frozen=True, kw_only=True)
class Launch:
    """This process within its job."""

    rank: int
    world_size: int
    local_rank: int | None
    """This process among those of its host, from 0; None where nobody says."""
    local_world_size: int | None
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
        """Arguments first, then ENVIRON (the process environment), then what Ray Train says.

        Raises InvalidRequest for a rank outside 0 .. world_size - 1 and for numbers that are none.
        """
        env = os.environ if environ is None else environ
        ray = raytrain.worker() if environ is None else None
        place = launchers.place(env, ray)
        found_rank, found_size = place.rank, place.world_size
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
        ids = launchers.ids(env, ray)
        job_id, launch_id = ids if ids is not None else (secrets.token_hex(16),) * 2
        return cls(
            rank=the_rank,
            world_size=size,
            local_rank=0 if size == 1 else place.local_rank,
            local_world_size=1 if size == 1 else place.local_world_size,
            launch_id=launch_id,
            job_id=job_id,
            found=ids is not None,
            host=socket.gethostname(),
        )


def _index(name: str, value: SupportsIndex) -> int:
    try:
        return index(value)
    except TypeError:
        raise InvalidRequest(f"{name}={value!r} is not a whole number: pass an int.") from None
