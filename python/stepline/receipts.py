"""What an uploader wrote down of points that were stored and deleted here: `docs/spool.md`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = "receipts"
_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Part:
    """Of the sequences `first` to `last`, all of which were there."""

    first: int
    last: int
    points: int
    sum: int


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """Of one writer."""

    writer: str
    run_id: str
    rank: int
    parts: tuple[Part, ...]


def of_spool(path: str) -> Receipt | None:
    """Of the freed segments of the spool at PATH; None when there is none."""
    spool = Path(path)
    return _read(spool.parent / FOLDER / f"{spool.name}.json")


def of_run(root: Path, run_id: str) -> dict[str, Receipt]:
    """By writer, of all writers of the run whose spools were drained under ROOT."""
    found = (_read(path) for path in sorted((root / FOLDER).glob("*.json")))
    return {receipt.writer: receipt for receipt in found if receipt and receipt.run_id == run_id}


def _read(path: Path) -> Receipt | None:
    """A hint, like every side file: one that cannot be read is none."""
    try:
        data: dict[str, Any] = json.loads(path.read_text())
        if data["version"] != _VERSION:
            return None
        parts = tuple(
            Part(first=int(first), last=int(last), points=int(points), sum=int(total))
            for first, last, points, _, total in data["ranges"]
        )
        return Receipt(
            writer=str(data["writer"]),
            run_id=str(data["run_id"]),
            rank=int(data["rank"]),
            parts=parts,
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
