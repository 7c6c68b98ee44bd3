"""What a spool says about its run, so that whoever sends it needs nothing else."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from .jsonable import dumps
from .settings import Mode, Resume


@dataclass(frozen=True, kw_only=True)
class SpoolMeta:
    """The content of spool.json; the twin of `SpoolMeta` in rust/core/src/spool/meta.rs."""

    writer: str
    """32 hexadecimal digits."""
    run_id: str
    project: str
    name: str
    """Empty for a run without a name."""
    config_json: str
    tags: tuple[str, ...]
    group: str
    job_type: str
    resume: Resume
    fork_from: str
    launch_id: str
    rank: int
    world_size: int
    host: str
    pid: int
    created_ms: int
    server: str
    api_key: str | None = field(repr=False)
    attempt: int | None
    """What the service numbered this start of the run; None when it was out of reach."""
    mode: Mode

    def to_json(self) -> str:
        """A JSON object with these names."""
        return dumps(asdict(self))
