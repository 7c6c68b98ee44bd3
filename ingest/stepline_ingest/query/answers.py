"""Answers that are known already: to this client by their ETag, or to this service.

An ETag names a request and the points that it reads, by the version that the store gives them. So
it costs no look at the store to know that an answer would be the same. Where the store cannot tell
(it is a server, and others may write to it), there is none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from stepline_ingest.gen.stepline.v1 import query_pb2
from stepline_ingest.run_record import RunRecord
from stepline_ingest.store.contract import Memo
from stepline_ingest.store.memo import Version

MAX_KEPT_BYTES = 16 << 20
"""Of an answer; larger ones are read each time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """That of a chart, whether it is known or not."""

    etag: str
    version: Version

    def matches(self, if_none_match: str) -> bool:
        """Whether a client that has the answers IF_NONE_MATCH (as HTTP writes them) has this."""
        tags = (tag.strip().removeprefix("W/") for tag in if_none_match.split(","))
        return any(tag in ("*", self.etag) for tag in tags)

    def kept(self, memo: Memo) -> tuple[query_pb2.ChartLine, ...] | None:
        found: tuple[query_pb2.ChartLine, ...] | None = memo.get(self.etag, self.version)
        return found

    def keep(self, memo: Memo, lines: list[query_pb2.ChartLine], size: int) -> None:
        """LINES, of SIZE bytes, are all of it. They must not be changed any more."""
        memo.keep(self.etag, self.version, tuple(lines), size=size + 1_000)


def answer_to(
    request: query_pb2.ChartRequest, runs: Mapping[str, RunRecord], memo: Memo
) -> Answer | None:
    """The answer to REQUEST as points are now; None where that cannot be named."""
    descents = [run.descent for run in runs.values()]
    sources = {d.run for d in descents} | {s.run for d in descents for s in d.base}
    version = memo.version(sources)
    if version is None:
        return None
    digest = hashlib.sha256(f"{version.life} {version.number} ".encode())
    digest.update(request.SerializeToString(deterministic=True))
    for run_id, run in runs.items():
        # What its config says of metrics is the axis, which the request has by now.
        digest.update(repr((run_id, run.descent, run.created_ms)).encode())
        if request.group_by:
            # Groups are made of what the record says.
            said = (run.version, run.updated_ms, run.state, run.name, run.group, run.job_type)
            digest.update(repr((said, run.project, run.tags)).encode())
    return Answer(f'"{digest.hexdigest()[:32]}"', version)
