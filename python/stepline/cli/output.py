"""Printing: tables for people, JSON for programs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..jsonable import dumps, jsonable

_UNLIMITED = 100_000


@dataclass(frozen=True)
class Column:
    """A heading, and whether numbers stand below it."""

    heading: str
    number: bool = False
    wrap: bool = False


def print_json(rows: Iterable[Mapping[str, Any]]) -> None:
    """A JSON list with one object a line. NaN and infinities become "nan", "inf" and "-inf"."""
    lines = ",\n ".join(dumps(jsonable(_plain(row), "row")) for row in rows)
    print(f"[{lines}]")


def print_json_object(value: Mapping[str, Any]) -> None:
    """One JSON object, with a key a line. NaN and infinities become "nan", "inf" and "-inf"."""
    lines = ",\n ".join(
        f"{dumps(key)}: {dumps(jsonable(item, key))}" for key, item in value.items()
    )
    print(f"{{{lines}}}")


@contextmanager
def until_closed() -> Iterator[None]:
    """Ends early and quietly when whoever reads standard output has seen enough: the exit code is
    not about that."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # Else the interpreter would flush into the void when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    """A table as wide as the terminal; as wide as its content where there is none."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    class Plain(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # as `print` does

    console = Plain(width=None if sys.stdout.isatty() else _UNLIMITED)
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(
            column.heading,
            justify="right" if column.number else "left",
            no_wrap=not column.wrap,
            overflow="ellipsis",
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def moment(when: datetime) -> str:
    """In the time zone of the reader, to the second."""
    return when.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def human_bytes(size: int) -> str:
    """Such as "3.2 MB"; powers of 1,000, as disks are sold."""
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1_000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1_000
    return f"{amount:.1f} TB"


def number(value: float) -> str:
    """Short, and exact enough to compare."""
    return f"{value:.6g}"


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _iso(value) for key, value in row.items()}


def _iso(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
