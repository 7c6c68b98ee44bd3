"""The runs that were deleted. Their ids stay taken for ever."""

from __future__ import annotations

from collections.abc import Mapping

import grpc

from stepline_ingest import access
from stepline_ingest.errors import ServiceError
from stepline_ingest.metrics import Refusal


class DeletedRuns:
    """With the project that each belonged to; "" where that is not known."""

    def __init__(self) -> None:
        self._projects: dict[str, str] = {}

    def __contains__(self, run_id: object) -> bool:
        return run_id in self._projects

    def add(self, deleted: Mapping[str, str]) -> None:
        """The projects of DELETED, by id."""
        self._projects.update(deleted)

    def refuse(self, run_id: str, *, whosever: bool = False) -> None:
        """FAILED_PRECONDITION, which clients do not repeat, when the run was deleted. A caller who
        is bound to another project is not told of it, unless WHOSEVER: then the id is wanted for a
        new run."""
        project = self._projects.get(run_id)
        if project is None:
            return
        if whosever or access.project() in (None, project):
            raise ServiceError(
                grpc.StatusCode.FAILED_PRECONDITION,
                f"run {run_id} was deleted, and its id is not used again: begin a run with "
                "another id",
                refusal=Refusal.DELETED,
            )
