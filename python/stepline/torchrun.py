"""The ids of a job that torchrun started.

Within one agent (one host) the environment tells everything. The agents of several hosts count
restarts each for itself, and without --rdzv-id nothing in the environment tells one launch from
another. What they do share is the key-value store of their rendezvous, which lives as long as the
launch: there the ranks agree on a name for it and on the number of the start. `Meeting` is that
agreement.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Mapping
from datetime import timedelta
from pathlib import PurePath
from typing import Any, Protocol

_TIMEOUT = timedelta(seconds=5)
_MOST_ROUNDS = 10_000

_met: tuple[int, str, str, int] | None = None
"""(process id, store, name, round): a process meets once; its second run is not a restart."""


class Store(Protocol):
    """What is used of torch.distributed.Store."""

    def add(self, key: str, amount: int, /) -> int: ...
    def compare_set(self, key: str, expected: str, desired: str, /) -> bytes: ...


def ids(env: Mapping[str, str], around: tuple[str, str] | None) -> tuple[str, str] | None:
    """(job id, launch id). AROUND are those of the batch system that torchrun runs in."""
    given = env["TORCHELASTIC_RUN_ID"]
    restart = env.get("TORCHELASTIC_RESTART_COUNT", "0")
    log = _log_directory(env)
    if env.get("GROUP_WORLD_SIZE") == "1" and log is not None:
        # one agent, whose log directory is new for each launch
        job = _job(given, around) or f"torch:{log}"
        return job, f"{job}:{log}:{restart}"
    met = _meet(env)
    if met is not None:
        name, round_number = met
        job = _job(given, around) or f"torch:{name}"
        return job, f"{job}:{name}:{round_number}"
    known = _job(given, around)
    if known is None:
        return None
    master = f"{env.get('MASTER_ADDR', '')}:{env.get('MASTER_PORT', '')}"
    within = f":{around[1]}" if around else ""
    return known, f"{known}:{master}{within}:{restart}"


def _job(given: str, around: tuple[str, str] | None) -> str | None:
    """What is kept when the ranks meet again, perhaps at another port."""
    if given != "none":
        return f"torch:{given}"
    return f"torch:{around[0]}" if around else None


def _log_directory(env: Mapping[str, str]) -> PurePath | None:
    """DIR/RUNID_RANDOM of DIR/RUNID_RANDOM/attempt_N/LOCAL_RANK/error.json."""
    path = PurePath(env.get("TORCHELASTIC_ERROR_FILE", ""))
    return path.parents[2] if len(path.parents) > 3 else None


def _meet(env: Mapping[str, str]) -> tuple[str, int] | None:
    """The name of the launch and the number of its start; None without a store to meet at."""
    global _met
    address, port = env.get("MASTER_ADDR", ""), env.get("MASTER_PORT", "")
    if env.get("TORCHELASTIC_USE_AGENT_STORE") != "True" or not port.isdigit():
        return None
    where = f"{address}:{port}"
    if _met is not None and _met[:2] == (os.getpid(), where):
        return _met[2:]
    store = _connect(address, int(port))
    if store is None:
        return None
    with contextlib.suppress(Exception):  # a store that goes away has errors of its own
        name, number = Meeting(store).attend(
            rank=int(env["RANK"]),
            group=f"{env.get('GROUP_RANK', '')} {env.get('TORCHELASTIC_RESTART_COUNT', '')}",
            world=env.get("WORLD_SIZE", ""),
        )
        _met = (os.getpid(), where, name, number)
        return name, number
    return None


def _connect(address: str, port: int) -> Store | None:
    try:
        # Imported late and only here: a script that torchrun starts imports it anyway.
        from torch.distributed import TCPStore  # type: ignore[import-not-found,unused-ignore]

        store: Any = TCPStore(
            address, port, is_master=False, timeout=_TIMEOUT, wait_for_workers=False
        )
        return store  # type: ignore[no-any-return]
    except Exception:
        return None


class Meeting:
    """Ranks that agree, through a store, on a name for their launch and on its round.

    A rank is in a round once. Who finds itself in the round already was restarted, and so was
    everybody: it opens the next one. So does who finds that its host has counted another restart,
    or that the world has another size.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def attend(self, *, rank: int, group: str, world: str) -> tuple[str, int]:
        """(name, round from 0). GROUP is "HOST RESTARTS"."""
        name = self._settle("name", secrets.token_hex(16))
        for number in range(int(self._settle("round", "0")), _MOST_ROUNDS):
            if self._joins(number, rank=rank, group=group, world=world):
                return name, number
            self._compare_set("round", str(number), str(number + 1))
        raise RuntimeError("too many rounds")

    def _joins(self, number: int, *, rank: int, group: str, world: str) -> bool:
        host, _, restarts = group.partition(" ")
        return (
            self._settle(f"{number}/world", world or "?") == (world or "?")
            and self._settle(f"{number}/restarts/{host}", restarts or "?") == (restarts or "?")
            and self._store.add(f"stepline/{number}/rank/{rank}", 1) == 1
        )

    def _settle(self, key: str, wish: str) -> str:
        """The value of KEY: WISH, if nobody was first."""
        return self._compare_set(key, "", wish)

    def _compare_set(self, key: str, expected: str, desired: str) -> str:
        return bytes(self._store.compare_set(f"stepline/{key}", expected, desired)).decode()
