"""What git says of a work tree, as JSON: `python -I -S git_report.py ROOT [diff]`.

A process of its own, because git may take seconds and looking for secrets in a large diff takes a
quarter of one: a trainer must not wait for either. It needs the standard library and nothing else.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

DIFF_BYTES = 256 << 10
"""A longer diff is cut."""
PATIENCE = 60.0
"""Seconds for each command of git."""
_STATUS_BYTES = 4 << 20
_NAMES = 200
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*@")
_ENVIRONMENT = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
_QUIET = ("-c", "core.fsmonitor=false", "-c", "core.quotePath=false")
_DIFF = ("diff", "--no-ext-diff", "--no-textconv", "--no-color", "--submodule=short", "HEAD")


def report(root: Path, *, diff: bool) -> dict[str, dict[str, Any]]:
    """The parts of the context that git knows, by name."""
    status, _ = _ask(root, "status", "--porcelain=v2", "--branch", limit=_STATUS_BYTES)
    if not status:
        return {}
    found: dict[str, dict[str, Any]] = {"git": {"root": _valid(str(root)), **read_status(status)}}
    remotes, _ = _ask(root, "config", "--get-regexp", r"^remote\..*\.url$", limit=_STATUS_BYTES)
    remote = read_remote(remotes)
    if remote:
        found["git"]["remote"] = remote
    if diff and found["git"]["dirty"]:
        text, cut = _ask(root, *_DIFF, limit=DIFF_BYTES)
        if text:
            found["diff"] = {"diff": _redacted(text), **({"cut": True} if cut else {})}
    return found


def read_status(text: str) -> dict[str, Any]:
    """Of `git status --porcelain=v2 --branch`."""
    found: dict[str, Any] = {}
    paths: dict[str, list[str]] = {"changed": [], "untracked": []}
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "#":
            name, _, value = rest.partition(" ")
            if name == "branch.oid" and value != "(initial)":
                found["commit"] = value
            elif name == "branch.head" and value != "(detached)":
                found["branch"] = value
        elif kind in ("1", "2", "u"):
            fields = {"1": 8, "2": 9, "u": 10}[kind]
            paths["changed"].append(line.split(" ", fields)[-1].split("\t")[0])
        elif kind == "?":
            paths["untracked"].append(rest)
    found["dirty"] = bool(paths["changed"])
    for name, names in paths.items():
        if names:
            found[name] = names[:_NAMES]
        if len(names) > _NAMES:
            found[f"{name}_in_all"] = len(names)
    return found


def read_remote(text: str) -> str:
    """The URL of origin, or of the first remote, without what lets somebody in."""
    urls = dict(line.partition(" ")[::2] for line in text.splitlines())
    url = urls.get("remote.origin.url") or next(iter(urls.values()), "")
    return _CREDENTIALS.sub("", url)


def _ask(root: Path, *words: str, limit: int) -> tuple[str, bool]:
    """What git says, and whether it was cut; nothing when it fails."""
    process = subprocess.Popen(
        ["git", *_QUIET, *words],
        cwd=root,
        env={**os.environ, **_ENVIRONMENT},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    data = process.stdout.read(limit + 1)
    cut = len(data) > limit
    if cut:
        process.kill()
    failed = process.wait() != 0
    process.stdout.close()
    return ("", False) if failed and not cut else (data[:limit].decode("utf-8", "replace"), cut)


def _redacted(text: str) -> str:
    spec = spec_from_file_location("redaction", Path(__file__).parents[1] / "redaction.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    mended: str = module.redacted_command(text)
    return mended


def _valid(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def main() -> None:
    os.nice(5)
    found = report(Path(sys.argv[1]), diff=sys.argv[2:] == ["diff"])
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
