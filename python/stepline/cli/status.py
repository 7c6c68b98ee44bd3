"""`stepline status`."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from .. import _core
from ..errors import InvalidRequest, sentence
from ..settings import find_dir
from .options import add_json
from .output import Column, human_bytes, print_json, print_table

HELP = "show what waits on this host to be sent"

_WIDE = 110
"""From so many columns on, all numbers stand in the table."""

_NARROW_COLUMNS = (
    Column("run"),
    Column("rank", number=True),
    Column("state"),
    *(Column(name, number=True) for name in ("queued", "stored", "gaps", "lag", "size")),
)
_WIDE_COLUMNS = (
    Column("run"),
    Column("project"),
    Column("rank", number=True),
    Column("writer"),
    Column("state"),
    *(Column(name, number=True) for name in ("logged", "sent", "stored", "queued", "gaps")),
    *(Column(name, number=True) for name in ("lag", "size")),
    Column("server"),
)


def add(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.epilog = (
        "Counts are calls of log(); gaps are points that found no room on the disk; lag is the age "
        "of the oldest call that is not stored."
    )
    parser.add_argument(
        "--dir", help="where the spools lie (default: $STEPLINE_DIR or ~/.local/state/stepline)"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Prints a table of spools, what is wrong with them, and what else lies there."""
    root = str(find_dir(args.dir))
    try:
        spools = [_described(spool) for spool in _core.spool_scan(root)]
    except _core.CoreError as error:
        raise InvalidRequest(f"{sentence(str(error))} Pass another --dir.") from None
    leftovers = _leftovers(Path(root))
    if args.json:
        print_json([*spools, *leftovers])
        return 0
    _print(root, spools, leftovers)
    return 0


def _described(status: _core.SpoolStatus) -> dict[str, Any]:
    """What is known of one spool, for people and for programs."""
    try:
        oldest_ms, gaps = _core.spool_outline(status["path"])
    except _core.CoreError:  # its state says why
        oldest_ms, gaps = None, 0
    queued = max(0, status["last_seq"] - status["acked_seq"])
    lag = max(0.0, time.time() - oldest_ms / 1000) if queued and oldest_ms is not None else 0.0
    stuck = queued > 0 and (
        status["mode"] == "offline" or status["state"] in ("refused", "unreachable", "waiting")
    )
    return {
        **status,
        "logged": status["last_seq"],
        "sent": max(status["sent_seq"], status["acked_seq"]),
        "stored": status["acked_seq"],
        "queued": queued,
        "gaps": gaps,
        "lag_seconds": round(lag, 3),
        "command": f"stepline sync {shlex.quote(status['path'])}" if stuck else None,
    }


def _leftovers(root: Path) -> list[dict[str, Any]]:
    """What no uploader will touch: damaged segments that were set aside, halves of spools."""
    if not root.is_dir():
        return []
    found = []
    for path in sorted(root.iterdir()):
        if path.suffix == ".bad":
            why = "a damaged segment, kept so that somebody can look into it"
        elif path.name.startswith(".old-"):
            why = "a stored spool whose deletion was interrupted: delete it"
        elif path.name.startswith(".new-") and not _fresh(path):
            why = "a spool that never began: delete it"
        else:
            continue
        found.append({"leftover": str(path), "bytes": _size(path), "why": why})
    return found


def _fresh(path: Path) -> bool:
    """Somebody may just be making it."""
    try:
        return time.time() - path.stat().st_mtime < 60
    except OSError:
        return True


def _size(path: Path) -> int:
    try:
        files = [path] if path.is_file() else path.rglob("*")
        return sum(file.stat().st_size for file in files if file.is_file())
    except OSError:
        return 0


def _print(root: str, spools: list[dict[str, Any]], leftovers: list[dict[str, Any]]) -> None:
    uploader = "an uploader is running" if _core.uploader_alive(root) else "no uploader is running"
    queued = sum(spool["queued"] for spool in spools)
    size = human_bytes(sum(spool["bytes"] for spool in spools))
    print(f"{root}: {len(spools)} spools, {queued:,} calls queued, {size}; {uploader}")
    if spools:
        wide = _width() >= _WIDE
        columns, row = (_WIDE_COLUMNS, _wide_row) if wide else (_NARROW_COLUMNS, _narrow_row)
        print_table(columns, map(row, spools))
    for text, same in _troubles(spools):
        names = ", ".join(f"{spool['run_id'] or spool['writer']}/{spool['rank']}" for spool in same)
        print(f"{names}: {text}")
    commands = [spool["command"] for spool in spools if spool["command"]]
    if len(commands) == 1:
        print(f"send it with: {commands[0]}")
    elif commands:
        print(f"send them with: stepline sync {shlex.quote(root)}")
    for leftover in leftovers:
        where = f"{leftover['leftover']} ({human_bytes(leftover['bytes'])})"
        print(f"left over: {where}: {leftover['why']}")


def _troubles(spools: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Each text once, with the spools that say it."""
    by_text: dict[str, list[dict[str, Any]]] = {}
    for spool in spools:
        if spool["error"]:
            by_text.setdefault(spool["error"], []).append(spool)
    return list(by_text.items())


def _state(spool: dict[str, Any]) -> str:
    alive = "live" if spool["alive"] else "ended"
    return f"{'offline' if spool['mode'] == 'offline' else spool['state']}, {alive}"


def _lag(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3_600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3_600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} d"


def _narrow_row(spool: dict[str, Any]) -> tuple[str, ...]:
    return (
        spool["run_id"],
        str(spool["rank"]),
        _state(spool),
        f"{spool['queued']:,}",
        f"{spool['stored']:,}",
        f"{spool['gaps']:,}",
        _lag(spool["lag_seconds"]),
        human_bytes(spool["bytes"]),
    )


def _wide_row(spool: dict[str, Any]) -> tuple[str, ...]:
    return (
        spool["run_id"],
        spool["project"],
        str(spool["rank"]),
        spool["writer"][:8],
        _state(spool),
        *(f"{spool[name]:,}" for name in ("logged", "sent", "stored", "queued", "gaps")),
        _lag(spool["lag_seconds"]),
        human_bytes(spool["bytes"]),
        spool["server"],
    )


def _width() -> int:
    """Of the terminal; a file and a pipe take everything."""
    if not sys.stdout.isatty() and "COLUMNS" not in os.environ:
        return _WIDE
    return shutil.get_terminal_size().columns
