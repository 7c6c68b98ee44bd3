"""Requests about runs as the service takes them: checked, with defaults filled in."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from stepline import _core
from stepline_ingest.errors import ServiceError, invalid
from stepline_ingest.forks import Origin, origin
from stepline_ingest.gen.stepline.v1 import ingest_pb2, runs_pb2
from stepline_ingest.json_texts import (
    commas_at_most,
    json_value,
    long_digits,
    parts_at_most,
    shape,
)
from stepline_ingest.limits import Limits
from stepline_ingest.run_record import End, JsonObject
from stepline_ingest.signs import Key
from stepline_ingest.writers import Binding

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_RESUME = {
    runs_pb2.RESUME_UNSPECIFIED: "never",
    runs_pb2.RESUME_NEVER: "never",
    runs_pb2.RESUME_ALLOW: "allow",
    runs_pb2.RESUME_MUST: "must",
    runs_pb2.RESUME_AUTO: "auto",
}

_ON_LIVE = {
    runs_pb2.ON_LIVE_REFUSE: "refuse",
    runs_pb2.ON_LIVE_TAKE_OVER: "take_over",
    runs_pb2.ON_LIVE_NEW_RUN: "new_run",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What one rank says about the start of a run."""

    project: str
    run_id: str
    name: str
    config: JsonObject
    tags: list[str]
    group: str
    job_type: str
    resume: str
    """never | allow | must | auto"""
    launch_id: str
    rank: int
    world_size: int
    writer: bytes
    host: str
    pid: int
    created_ms: int
    fork: Origin | None = None
    on_live: str = "refuse"
    """refuse | take_over | new_run"""
    child: bool = False
    """A further process of a rank, which has not begun anew."""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def start(request: runs_pb2.CreateRunRequest, limits: Limits) -> Start:
    """Raises ServiceError(INVALID_ARGUMENT)."""
    run_id = check_run_id(request.run_id)
    resume = _RESUME.get(request.resume)
    if resume is None:
        raise invalid(f"resume {request.resume} is unknown: use NEVER, ALLOW, MUST or AUTO")
    on_live = _ON_LIVE.get(request.on_live, "take_over" if resume == "auto" else "refuse")
    writer = check_writer(request.writer)
    world_size = request.world_size or 1
    if world_size > limits.max_ranks:
        raise invalid(
            f"a world of {world_size} ranks, {limits.max_ranks} are allowed: pass the world_size "
            "of the job"
        )
    check_rank(request.rank, limits)
    if request.rank >= world_size:
        raise invalid(
            f"rank {request.rank} of a world of {world_size}: ranks count from 0; pass the "
            "world_size of the job"
        )
    for field in ("project", "name", "group", "job_type", "launch_id", "host"):
        check_text(field, getattr(request, field), limits)
    return Start(
        project=request.project or "default",
        run_id=run_id,
        name=request.name,
        config=json_object("config", request.config_json, limits),
        tags=check_tags(few_tags("tags", request.tags, limits), limits),
        group=request.group,
        job_type=request.job_type,
        resume=resume,
        # A process that names no launch is a launch of its own, and repeating its call changes
        # nothing.
        launch_id=request.launch_id or f"writer:{writer.hex()}",
        rank=request.rank,
        world_size=world_size,
        writer=writer,
        host=request.host,
        pid=request.pid,
        # A clock may be ahead; one that is behind looks like a run that was offline.
        created_ms=min(request.created_ms, now_ms()) if request.created_ms > 0 else now_ms(),
        fork=origin(request.fork_from),
        on_live=on_live,
        child=request.child,
    )


def end(request: runs_pb2.FinishRunRequest, limits: Limits) -> End:
    """How a rank ended."""
    return End(
        exit_code=0 if request.vanished else request.exit_code,
        vanished=request.vanished,
        preempted=request.preempted,
        error_type=_shortened(request.error_type, limits.max_error_bytes),
        error_message=_shortened(request.error_message, limits.max_error_bytes),
    )


def _shortened(text: str, size: int) -> str:
    data = text.encode()
    return text if len(data) <= size else data[:size].decode(errors="ignore") + " .."


def signs(
    request: runs_pb2.HeartbeatRequest, limits: Limits
) -> Iterator[tuple[Key, Sequence[int]]]:
    """The attempts that live, and which ranks of them; each is checked when its turn comes. Their
    ids may be none."""
    if len(request.signs) > limits.max_signs:
        raise invalid(
            f"{len(request.signs)} signs of life in one call, {limits.max_signs} are allowed: send "
            "several"
        )
    count = sum(len(sign.ranks) for sign in request.signs)
    if count > limits.max_ranks:
        raise invalid(
            f"{count} ranks in the signs of life of one call, {limits.max_ranks} are allowed: send "
            "several"
        )
    return _checked(request.signs, limits)


def _checked(
    signs: Iterable[runs_pb2.SignOfLife], limits: Limits
) -> Iterator[tuple[Key, Sequence[int]]]:
    for sign in signs:
        check_rank(max(sign.ranks, default=0), limits)
        yield (sign.run_id, sign.attempt), sign.ranks


def binding(
    request: ingest_pb2.Hello | runs_pb2.FinishRunRequest | Start, attempt: int, limits: Limits
) -> Binding:
    """The writer that speaks, and the place that it claims."""
    run_id = check_run_id(request.run_id)
    check_rank(request.rank, limits)
    return Binding(
        writer=check_writer(request.writer),
        run_id=run_id,
        run=_core.siphash64(run_id),
        attempt=attempt,
        rank=request.rank,
    )


def is_run_id(run_id: str) -> bool:
    """Whether a run may have that id."""
    return _RUN_ID.fullmatch(run_id) is not None


def check_run_id(run_id: str) -> str:
    if not is_run_id(run_id):
        raise invalid(
            f"run id {run_id[:80]!r}: use 1 to 64 letters, digits, '.', '_' and '-', a letter or a "
            "digit first"
        )
    return run_id


def check_writer(writer: bytes) -> bytes:
    if len(writer) != 16:
        raise invalid(
            f"a writer id has 16 bytes, this one has {len(writer)}: send a UUIDv7 as bytes"
        )
    return writer


def check_rank(rank: int, limits: Limits) -> None:
    if rank >= limits.max_ranks:
        raise invalid(f"rank {rank}: ranks count from 0 and lie below {limits.max_ranks}")


def check_text(field: str, text: str, limits: Limits) -> None:
    size = len(text.encode())
    if size > limits.max_name_bytes:
        raise invalid(
            f"{field} has {size} bytes, {limits.max_name_bytes} are allowed: shorten it, or put it "
            "into the config"
        )


def check_notes(notes: str, limits: Limits) -> str:
    size = len(notes.encode())
    if size > limits.max_notes_bytes:
        raise invalid(
            f"notes have {size} bytes, {limits.max_notes_bytes} are allowed: shorten them"
        )
    return notes


def few_tags(field: str, tags: Sequence[str], limits: Limits) -> Sequence[str]:
    """TAGS as they are, before any of them is looked at."""
    if len(tags) > limits.max_tags:
        raise invalid(f"{field} has {len(tags)} tags, {limits.max_tags} are allowed: use fewer")
    return tags


def check_tags(tags: Iterable[str], limits: Limits) -> list[str]:
    """Without repetitions, in the order of the first mention."""
    unique = list(dict.fromkeys(tags))
    if len(unique) > limits.max_tags:
        raise invalid(f"{len(unique)} tags, {limits.max_tags} are allowed: use fewer")
    for tag in unique:
        check_text("a tag", tag, limits)
    return unique


def check_size(field: str, text: str, limits: Limits) -> None:
    size = len(text.encode())
    if size > limits.max_config_bytes:
        raise invalid(
            f"{field} has {size} bytes of JSON, {limits.max_config_bytes} are allowed: "
            "keep large data in files and put their names here"
        )
    if size > limits.max_json_digits and (digits := long_digits(text)) > limits.max_json_digits:
        raise invalid(
            f"{field} has {digits:,} digits in very long numbers, {limits.max_json_digits:,} are "
            "allowed: keep large data in files and put their names here"
        )
    few_parts = parts_at_most(text) <= min(limits.max_json_depth, limits.max_json_parts)
    if few_parts and commas_at_most(text) < limits.max_json_values:
        return
    found = shape(text)
    if found.depth > limits.max_json_depth:
        raise _too_deep(field, limits)
    if found.parts > limits.max_json_parts:
        raise invalid(
            f"{field} has {found.parts:,} lists and objects, {limits.max_json_parts:,} are "
            "allowed: keep large data in files and put their names here"
        )
    if found.commas >= limits.max_json_values:
        raise invalid(
            f"{field} has more than {found.commas:,} values, {limits.max_json_values:,} are "
            "allowed: keep large data in files and put their names here"
        )


def json_object(field: str, text: str, limits: Limits) -> JsonObject:
    """The object that TEXT holds; empty text is an empty object. NaN and infinities are allowed, as
    Python writes them; halves of surrogate pairs become U+FFFD: no run fails for its config."""
    if not text:
        return {}
    check_size(field, text, limits)
    try:
        value: Any = json_value(text)
    except RecursionError:
        raise _too_deep(field, limits) from None
    except ValueError as error:
        raise invalid(f"{field} is no JSON ({error}): send a JSON object") from None
    if not isinstance(value, dict):
        raise invalid(f'{field} is JSON but no object: send an object, such as {{"lr": 0.001}}')
    return value


def _too_deep(field: str, limits: Limits) -> ServiceError:
    return invalid(
        f"{field} is JSON nested deeper than {limits.max_json_depth}: send it flatter, or as text"
    )


def json_text(value: Any) -> str:
    """Readable in any script; escaped only where UTF-8 cannot hold it (half of a surrogate
    pair)."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"))
    return text
