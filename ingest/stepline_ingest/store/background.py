"""Merges give way to inserts and queries.

A merge may take place now or in a minute; an INSERT has a client that waits for it. The engine has
a setting for this, `os_threads_nice_value_merge_mutate`, and ignores it without CAP_SYS_NICE,
although Linux asks for no right to be nicer.
"""

from __future__ import annotations

import os
from pathlib import Path

NICE = 10
"""Of a busy core, such a thread still gets a tenth: parts are merged, however much is inserted."""
_THREADS = Path("/proc/self/task")
_NAME = "MergeMutate"


def merge_threads() -> list[int]:
    """The ids of the threads of this process that merge; none where the system is not Linux. The
    engine makes them with its first table and keeps them."""
    if not _THREADS.is_dir():
        return []
    return [int(thread.name) for thread in _THREADS.iterdir() if _name(thread) == _NAME]


def let_merges_give_way() -> None:
    """From now on, in this process, whose store has its tables. With a server there is nothing to
    do here: it has the setting."""
    for thread in merge_threads():
        os.setpriority(os.PRIO_PROCESS, thread, NICE)


def _name(thread: Path) -> str:
    try:
        return (thread / "comm").read_text().strip()
    except OSError:  # it has ended
        return ""
