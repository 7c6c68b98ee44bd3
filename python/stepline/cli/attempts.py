"""`stepline attempts`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from ..errors import InvalidRequest
from ..lineage import Attempt, Lineage, RankTrouble, Segment
from .options import add_json, add_server, client_of
from .output import Column, moment, print_json, print_table

HELP = "list the attempts of a run, and bring an older one back"

_COLUMNS = (
    Column("attempt", number=True),
    Column("state"),
    Column("host"),
    Column("began"),
    Column("ended"),
    Column("steps shown"),
    Column("ranks", wrap=True),
    Column("error", wrap=True),
)
_RUNNING = "running"
_FIRST, _LAST = -(2**63), 2**63 - 1


def add(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("run", help="a run id")
    parser.add_argument(
        "--bring-back",
        type=int,
        metavar="N",
        help="show again what the run showed when attempt N was its newest one",
    )
    parser.add_argument(
        "--from",
        dest="step",
        type=int,
        metavar="STEP",
        help="only from this step on (default: all steps)",
    )
    add_json(parser)
    add_server(parser)


def run(args: argparse.Namespace) -> int:
    """Prints a table of attempts with the steps that are shown of each."""
    if args.step is not None and args.bring_back is None:
        raise InvalidRequest("--from says where --bring-back begins: pass both.")
    with client_of(args) as client:
        view = client.run(args.run)
        if args.bring_back is not None:
            view.bring_back(args.bring_back, step=args.step)
        found = view.lineage()
    if args.json:
        print_json(
            {
                **asdict(attempt),
                "shown": [
                    [segment.first_step, segment.last_step]
                    for segment in _of(found, args.run, attempt.attempt)
                ],
            }
            for attempt in found.attempts
        )
        return 0
    print_table(
        _COLUMNS,
        (
            (
                str(attempt.attempt),
                attempt.state,
                attempt.host,
                moment(attempt.created),
                moment(attempt.ended) if attempt.ended else "",
                _steps(_of(found, args.run, attempt.attempt)),
                ranks(attempt),
                f"{attempt.error_type}: {attempt.error_message}" if attempt.error_type else "",
            )
            for attempt in found.attempts
        ),
    )
    for segment in found.segments:
        if segment.run_id != args.run:
            print(f"{_steps([segment])} of run {segment.run_id}, attempt {segment.attempt}")
    return 0


def ranks(attempt: Attempt) -> str:
    """How its ranks fare, in one line."""
    words = [str(attempt.world_size)]
    if attempt.living is not None and attempt.state == _RUNNING:
        words[0] = f"{attempt.living} of {attempt.world_size} alive"
    groups: dict[str, list[int]] = {}
    for rank in attempt.troubled:
        groups.setdefault(_fate(rank), []).append(rank.rank)
    words += [f"{fate}: {_ranges(found)}" for fate, found in groups.items()]
    more = attempt.troubled_ranks - len(attempt.troubled)
    return "; ".join([*words, f"and {more} more"] if more else words)


def _fate(rank: RankTrouble) -> str:
    if rank.state == "failed":
        return f"failed ({rank.exit_code})"
    if rank.state == "silent":
        return f"silent since {moment(rank.seen)}" if rank.seen else "never heard of"
    return rank.state


def _ranges(found: Sequence[int]) -> str:
    """0, 2-5"""
    spans: list[tuple[int, int]] = []
    for rank in found:
        if spans and spans[-1][1] == rank - 1:
            spans[-1] = (spans[-1][0], rank)
        else:
            spans.append((rank, rank))
    return ", ".join(f"{first}-{last}" if first < last else str(first) for first, last in spans)


def _of(found: Lineage, run_id: str, attempt: int) -> list[Segment]:
    return [s for s in found.segments if (s.run_id, s.attempt) == (run_id, attempt)]


def _steps(segments: Iterable[Segment]) -> str:
    shown = []
    for segment in segments:
        first = "" if segment.first_step == _FIRST else f"{segment.first_step} "
        last = "" if segment.last_step == _LAST else f" {segment.last_step}"
        shown.append(f"{first}to{last}" if first or last else "all")
    return ", ".join(shown) or "none"
