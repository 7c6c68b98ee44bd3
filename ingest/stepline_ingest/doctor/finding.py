"""What an audit finds, and what to do about it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Kind(str, Enum):
    """What is wrong. The values are what `--json` prints."""

    HOLE = "hole"
    """Sequences of a writer that are neither stored nor recorded as rejected or lost."""
    DOUBLE = "double"
    """A point that is stored more than once."""
    REJECTED_BUT_STORED = "rejected-but-stored"
    """A range that is recorded as rejected and has points."""
    BAD_SEQUENCE = "bad-sequence"
    """A sequence that no writer can have."""
    SHARED_WRITER = "shared-writer"
    """A writer in more than one place."""
    MARK = "mark"
    """The mark that the service works with is not the highest settled sequence."""
    ROLLUP = "rollup"
    """A rollup that does not say what its points say, or whose files are damaged."""
    NAME = "name"
    """An id without a name, or with one that it is not the hash of."""
    REFERENCE = "reference"
    """Something that refers to what is not there."""
    LINEAGE = "lineage"
    """What a run shows is not what attempts, rewinds and forks can make of it."""
    PART = "part"
    """Files of points or of other rows are damaged, or were set aside by the engine."""
    LEFTOVER = "leftover"
    """Damaged files that the engine has set aside and needs no more."""
    MUTATION = "mutation"
    """A change of rows that the engine cannot finish."""
    KEPT = "kept"
    """What is kept of expired points does not agree with itself."""
    SCHEMA = "schema"
    """Tables that are not those of this program."""


DOCUMENT = "docs/operations.md"

REMEDIES = {
    Kind.HOLE: "points are lost here: if the spool of this writer still exists, keep it and run "
    "`stepline verify` on it; restore a backup if there is one, and report this",
    Kind.DOUBLE: "charts and counts are too high by these rows: report this with the log of the "
    "service; a copy of the run without them is `SELECT DISTINCT` over (writer, seq, metric)",
    Kind.REJECTED_BUT_STORED: "the points are there and can be used: report this",
    Kind.BAD_SEQUENCE: "no client of ours sends this: find out who wrote these rows",
    Kind.SHARED_WRITER: "two processes logged under one id: give every process its own, and take "
    "neither of them for complete",
    Kind.MARK: "stop the service, which trims and takes batches by this mark, and run "
    f"`stepline doctor --rebuild`, which computes it from the points ({DOCUMENT}, 'A rollup is "
    "damaged'); then look for holes and doubles here",
    Kind.ROLLUP: "the points themselves are not concerned: stop the service and run "
    f"`stepline doctor --rebuild` ({DOCUMENT}, 'A rollup is damaged')",
    Kind.NAME: "restore table raw_metrics or raw_runs from a backup; the points are there but "
    "cannot be found by name",
    Kind.REFERENCE: "restore the small tables from a backup of the same time as the points",
    Kind.LINEAGE: "all points are there (`all_attempts=True`, SQL `points`); restore table "
    "raw_layers from a backup, or bring one back with `stepline attempts RUN --bring-back N`",
    Kind.PART: "rows may be lost here: keep a copy of the directory and all spools, restore the "
    "newest sound backup into a new directory with `stepline restore`, and serve from that; what "
    f"spools still have is sent again ({DOCUMENT}, 'Rows are damaged')",
    Kind.LEFTOVER: "nothing is missing, other files have these rows: stop the service and move the "
    "folder named here away; have the disk checked",
    Kind.MUTATION: "the engine tries it again by itself: put right what the reason names (room on "
    "the disk, damaged files) and restart the service; if it stays, report this",
    Kind.KEPT: "restore raw_cells, raw_marks and raw_expiry from one backup that is younger than "
    "the expiry; the points themselves are gone",
    Kind.SCHEMA: "start the service of this version once: it brings the tables up to date",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One difference between what is stored and what must be."""

    kind: Kind
    message: str
    """What is where, with the numbers."""
    run: str = ""
    """The run id; its number when it has no name."""
    attempt: int | None = None
    rank: int | None = None
    writer: str = ""
    """32 hexadecimal digits."""
    first_seq: int | None = None
    last_seq: int | None = None

    rollup: str = ""
    """The projection that does not say what its points say, or whose files are damaged."""
    about: str = ""
    """What of it: a projection and a metric, where that is not clear from the rest."""

    @property
    def subject(self) -> tuple[object, ...]:
        """The same for the same difference, seen again when there are more rows."""
        place = (self.run, self.attempt, self.rank, self.writer)
        return (self.kind, *place, self.first_seq, self.about)

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return REMEDIES[self.kind]

    @property
    def place(self) -> str:
        """Run, attempt, rank and writer, as far as they are known."""
        parts = [f"run {self.run}" if self.run else ""]
        parts.append(f"attempt {self.attempt}" if self.attempt is not None else "")
        parts.append(f"rank {self.rank}" if self.rank is not None else "")
        parts.append(f"writer {self.writer}" if self.writer else "")
        return ", ".join(part for part in parts if part)

    def to_json(self) -> dict[str, Any]:
        """An object of `stepline doctor --json`."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        fields |= {"kind": self.kind.value, "place": self.place, "remedy": self.remedy}
        del fields["about"]
        return fields

    def __str__(self) -> str:
        return f"{self.kind.value}: {self.place + ': ' if self.place else ''}{self.message}"
