"""`stepline export`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..columns import need
from ..errors import InvalidRequest
from ..points import Points, arrow_schema
from ..reader import Client
from ..run_view import RunView
from .gaps import tell, told
from .options import add_range, add_server, client_of
from .progress import Bar

HELP = "write every point of a run to a Parquet, Arrow or CSV file"


def add(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("run", nargs="+", help="a run id")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="FILE",
        help="its ending says the format: .parquet, .arrow or .csv",
    )
    parser.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="PATTERN",
        help="a name, or a pattern with * and ?; may be repeated (default: all)",
    )
    parser.add_argument(
        "--rank", action="append", type=int, default=[], help="may be repeated (default: all)"
    )
    parser.add_argument(
        "--all-attempts", action="store_true", help="also what a newer attempt superseded"
    )
    parser.add_argument("--force", action="store_true", help="replace the file if it is there")
    add_range(parser)
    add_server(parser)


def run(args: argparse.Namespace) -> int:
    """Writes the file as a whole or not at all, and says how many points it has."""
    output: Path = args.output
    form = _FORMATS.get(output.suffix.lower())
    if form is None:
        endings = ", ".join(_FORMATS)
        raise InvalidRequest(f"{output}: the ending must be one of {endings}")
    if output.exists() and not args.force:
        raise InvalidRequest(f"{output} is there already: choose another name, or pass --force")
    need("pyarrow", "stepline export")
    part = output.with_name(output.name + ".part")
    rows = 0
    try:
        with client_of(args) as client:
            views = [client.run(run_id) for run_id in args.run]
            with told(), form(part) as write, Bar("exporting", total=_total(args, views)) as bar:
                for table in _tables(client, args, views):
                    write(table)
                    rows += table.num_rows
                    bar.show(rows, what=f"exporting, {rows:,} points")
        os.replace(part, output)
    except OSError as error:
        raise InvalidRequest(f"{output} cannot be written: {error.strerror or error}") from None
    finally:
        part.unlink(missing_ok=True)
    print(f"{rows:,} points in {output}")
    return 0


def _tables(client: Client, args: argparse.Namespace, views: list[RunView]) -> Iterator[Any]:
    for view in views:
        points: Points = view.points(
            args.metric,
            ranks=args.rank,
            start=args.start,
            stop=args.stop,
            all_attempts=args.all_attempts,
        )
        for batch in points:
            yield batch.to_arrow()
        tell(points.expired)


def _total(args: argparse.Namespace, views: list[RunView]) -> int | None:
    """The points to come, where they are known beforehand and somebody watches."""
    chosen = args.metric or args.rank or args.all_attempts
    if chosen or args.start is not None or args.stop is not None or not sys.stderr.isatty():
        return None
    return sum(metric.count for view in views for metric in view.metrics())


Writer = Callable[[Any], None]


@contextmanager
def _parquet(path: Path) -> Iterator[Writer]:
    parquet = need("pyarrow.parquet", "stepline export")
    with parquet.ParquetWriter(path, arrow_schema(), compression="zstd") as writer:
        yield writer.write_table


@contextmanager
def _arrow(path: Path) -> Iterator[Writer]:
    arrow = need("pyarrow", "stepline export")
    # Each batch has names of its own, which a stream may replace and a file may not.
    with (
        arrow.OSFile(str(path), "wb") as sink,
        arrow.ipc.new_stream(sink, arrow_schema()) as writer,
    ):
        yield writer.write_table


@contextmanager
def _csv(path: Path) -> Iterator[Writer]:
    arrow, csv = need("pyarrow", "stepline export"), need("pyarrow.csv", "stepline export")
    text = arrow.string()
    schema = arrow.schema(
        [
            field.with_type(text) if arrow.types.is_dictionary(field.type) else field
            for field in arrow_schema()
        ]
    )
    with csv.CSVWriter(path, schema) as writer:
        yield lambda table: writer.write_table(table.cast(schema))


_FORMATS = {".parquet": _parquet, ".arrow": _arrow, ".csv": _csv}
