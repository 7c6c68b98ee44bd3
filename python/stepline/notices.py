"""What Stepline says on standard error: rarely, and never in the way of training."""

from __future__ import annotations

import contextlib
import sys
import textwrap
from pathlib import Path

from .report import sync_command

_WIDTH = 88


def line(text: str) -> None:
    """One line."""
    _write(f"stepline: {text}\n")


def unreachable(server: str, run_id: str, root: Path, reason: str = "") -> None:
    """Warns that no service can be reached: why, where the points are, and what sends them."""
    box(
        f"Stepline: no service at {server}",
        [
            *([f"It cannot be reached: {reason}."] if reason else []),
            f"Run {run_id} goes on without it. Points are kept in the spool directory",
            f"    {root}",
            "and are sent as soon as the service answers. To send them by hand, later:",
            f"    {sync_command(root, server)}",
        ],
    )


def box(title: str, paragraphs: list[str]) -> None:
    """A framed warning that stands out in a training log. Paths and commands are never broken."""
    rows: list[str] = []
    for paragraph in paragraphs:
        if paragraph.startswith(" "):
            rows.append(paragraph)
        else:
            rows.extend(
                textwrap.wrap(paragraph, _WIDTH, break_long_words=False, break_on_hyphens=False)
            )
    width = max(len(row) for row in [*rows, title + "  "])
    encoding = (getattr(sys.stderr, "encoding", None) or "ascii").lower()
    top_left, top_right, bottom_left, bottom_right, dash, bar = tuple(
        "╭╮╰╯─│" if "utf" in encoding else "++++-|"
    )
    frame = [f"{top_left}{dash} {title} {dash * (width - len(title) - 1)}{top_right}"]
    frame += [f"{bar} {row.ljust(width)} {bar}" for row in rows]
    frame += [f"{bottom_left}{dash * (width + 2)}{bottom_right}"]
    _write("\n".join(frame) + "\n")


def _write(text: str) -> None:
    # a closed or missing standard error is no reason to end a training run
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(text)
        sys.stderr.flush()
