"""`stepline expire`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from ..errors import InvalidRequest
from .options import add_json, add_store, client_of
from .output import Column, print_json, print_table
from .service import imported

HELP = "replace old points by their rollups, or say what would go"

_EPILOG = (
    "Points go by the month (UTC) in which the service received them, as a whole, once its last "
    "moment is older than AGE. Charts, statistics and tables keep showing them, at 128 steps or "
    "more a bucket; single points are gone. A service that runs does this by itself with `stepline "
    "serve --keep-points AGE`."
)
_COLUMNS = (
    Column("month"),
    Column("points", number=True),
    Column("bytes", number=True),
    Column("kept", number=True),
    Column("state"),
)


def add(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.epilog = _EPILOG
    add_store(
        parser, server="a service that runs, with --dry-run; needs a key with the scope admin"
    )
    parser.add_argument(
        "--keep-points",
        metavar="AGE",
        help="90d, 26w, 2y (default with --server: what the service was started with)",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="only say what would go, and how many bytes"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Prints a line for each month."""
    keep = _age(args.keep_points)
    if args.data is None:
        if not args.dry_run:
            raise InvalidRequest(
                "A service that runs replaces points by itself: start it with `stepline serve "
                "--keep-points AGE`, or pass --dry-run to see what would go."
            )
        with client_of(args) as client:
            months, kept = client._months(keep)
        keep = keep or kept
    else:
        if not keep:
            raise InvalidRequest("Say how long points are kept: --keep-points 90d, for example.")
        offline = imported("stepline_ingest.offline")
        if not args.dry_run:
            offline.expire(args.data, keep)
        months = offline.months(args.data, keep)
    rows = [_row(month, keep) for month in months]
    if args.json:
        print_json(rows)
    else:
        _print(rows, keep)
    return 0


def _age(text: str | None) -> int:
    if text is None:
        return 0
    parse = imported("stepline_ingest.retention.months").parse_age
    try:
        seconds: int = parse(text)
    except ValueError as error:
        raise InvalidRequest(f"--keep-points {error}.") from None
    return seconds


def _row(month: dict[str, Any], keep: int) -> dict[str, Any]:
    now = datetime.now(timezone.utc).timestamp() * 1000
    state = month["state"]
    if state == "stored" and keep and month["expires_ms"] <= now:
        state = "would expire"
    return {
        **month,
        "month": f"{month['month'] // 100:04}-{month['month'] % 100:02}",
        "state": state,
    }


def _print(rows: Iterable[dict[str, Any]], keep: int) -> None:
    listed = list(rows)
    if not listed:
        print("there are no points")
        return
    print_table(
        _COLUMNS,
        (
            (
                row["month"],
                f"{row['points']:,}",
                f"{row['bytes']:,}",
                f"{row['kept_bytes']:,}",
                _state(row, keep),
            )
            for row in listed
        ),
    )
    going = [row for row in listed if row["state"] == "would expire"]
    if going:
        points = sum(row["points"] for row in going)
        freed = sum(row["bytes"] - row["kept_bytes"] for row in going)
        print(f"{points:,} points would go, about {max(0, freed):,} bytes with them")


def _state(row: dict[str, Any], keep: int) -> str:
    if row["state"] != "stored" or not keep:
        return str(row["state"])
    when = datetime.fromtimestamp(row["expires_ms"] / 1000, tz=timezone.utc)
    return f"expires on {when:%Y-%m-%d}"
