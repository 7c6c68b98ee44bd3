"""What a spool says about its run, so that whoever sends it needs nothing else."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

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
    on_live: str = ""
    """What becomes of a start whose run is alive; empty for the default."""
    child: bool = False
    """Of a process whose end says nothing about the run."""
    local_rank: int | None = None
    """Among the ranks of this host; None where nobody says."""
    system_ms: int = 0
    """Between two readings of the host; 0 for none."""
    system_cores: bool = False
    tls_ca: str | None = None
    """PEM files, as absolute paths: whom to trust instead of the system's roots ..."""
    tls_cert: str | None = None
    """... the certificate to show ..."""
    tls_key: str | None = None
    """... and its key."""

    def to_json(self) -> str:
        """A JSON object with these names."""
        return dumps(asdict(self))


def key_of(spool: str) -> str | None:
    """The API key in the description of SPOOL, a directory; None when there is none to be read."""
    try:
        found = json.loads((Path(spool) / "spool.json").read_text())
    except (OSError, ValueError):
        return None
    key = found.get("api_key") if isinstance(found, dict) else None
    return key if isinstance(key, str) else None
