"""Runs.ListRuns with a filter, an order, columns or groups: from the request to the reply."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol, TypeVar

from stepline_ingest import access
from stepline_ingest.errors import invalid
from stepline_ingest.gen.stepline.v1 import runs_pb2
from stepline_ingest.limits import Limits
from stepline_ingest.run_record import RunRecord
from stepline_ingest.store.contract import Store
from stepline_ingest.store.memo import digest

from .fields import Value
from .filter_parse import parse_fields, parse_filter, parse_sort
from .filter_tree import Field, FieldKind
from .index import FieldIndex
from .known import Scope
from .runs_table import Group, RunsQuery, RunsTable
from .summaries import SummaryTable

MAX_COLUMNS = 200

Result = TypeVar("Result")


class RunLoader(Protocol):
    """Where runs come from; SqlRunTables."""

    def load(self, run_ids: Sequence[str], *, bare: bool = False) -> list[RunRecord]:
        """The runs of RUN_IDS that are there, in any order; BARE without config and summary."""

    def texts(self, run_ids: Sequence[str], most: int) -> dict[str, tuple[str, str]]:
        """See run_texts.read_texts()."""


@dataclass(frozen=True, slots=True)
class _Page:
    """Runs in order, the values of the columns of each by its id, and how many runs there are."""

    runs: list[RunRecord]
    values: dict[str, list[Value]]
    total: int
    texts: dict[str, tuple[str, str]]
    """Config and summary of each, where there are no columns."""

    def size(self) -> int:
        """About what it takes in memory."""
        parts = sum(len(run.descent.layers) for run in self.runs)
        parts += sum(len(attempt.ends) + 1 for run in self.runs for attempt in run.attempts)
        texts = sum(len(value.text) for values in self.values.values() for value in values)
        texts += sum(len(run.notes) + sum(map(len, run.tags)) for run in self.runs)
        return 4_000 * len(self.runs) + 500 * parts + 2 * texts


class Listing:
    """Answers what the plain list of runs cannot. INDEX and SUMMARIES are brought up to date
    before they are read."""

    def __init__(
        self,
        store: Store,
        runs: RunLoader,
        index: FieldIndex,
        summaries: SummaryTable,
        limits: Limits,
        executor: Executor,
        message: Callable[[RunRecord], runs_pb2.Run],
    ) -> None:
        """MESSAGE makes the message of a run."""
        self._store = store
        self._table = RunsTable(store, limits.of_a_query())
        self._runs = runs
        self._index = index
        self._summaries = summaries
        self._limits = limits
        self._executor = executor
        self._message = message

    @staticmethod
    def concerns(request: runs_pb2.ListRunsRequest) -> bool:
        """Whether REQUEST asks for more than a page of the newest runs."""
        return bool(request.filter or request.sort or request.columns or request.group_by)

    async def answer(self, request: runs_pb2.ListRunsRequest) -> runs_pb2.ListRunsReply:
        """Raises ServiceError, StoreError."""
        own = access.project()
        if own is not None and request.project not in ("", own):
            return runs_pb2.ListRunsReply()
        scope = Scope(request.project if own is None else own)
        columns = parse_fields("column", request.columns, most=MAX_COLUMNS)
        most = self._limits.max_listed_runs
        query = RunsQuery(
            scope=scope,
            filter=request.filter,
            tree=parse_filter(request.filter),
            sort=parse_sort(request.sort),
            group_by=[_groupable(key) for key in parse_fields("key to group by", request.group_by)],
            limit=min(request.limit or most, most),
            offset=request.offset,
        )
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._read, query, columns)

    def _read(self, query: RunsQuery, columns: Sequence[Field]) -> runs_pb2.ListRunsReply:
        self._index.flush()
        if any(field.kind is FieldKind.SUMMARY for field in [*query.fields(), *columns]):
            self._summaries.refresh()
        if query.group_by:
            groups, total = self._table.groups(query)
            return runs_pb2.ListRunsReply(groups=map(_group, groups), total=total)
        named = [*query.fields(), *columns]
        # What goes on by itself is read each time, and so are configs, which may be large.
        if not columns or any(field.moves for field in named):
            page = self._page(query, columns)
        else:
            page = self._store.rows_memo.once(
                ("page of runs", digest((query, columns))),
                lambda: self._page(query, columns),
                size=_Page.size,
            )
        return runs_pb2.ListRunsReply(
            runs=[self._run(run, page) for run in page.runs],
            total=page.total,
        )

    def _page(self, query: RunsQuery, columns: Sequence[Field]) -> _Page:
        run_ids, total = self._table.page(query)
        texts: dict[str, tuple[str, str]] = {}
        if not columns:
            texts = self._runs.texts(run_ids, self._limits.max_listed_bytes)
            run_ids = list(texts)
        found = {run.run_id: run for run in self._runs.load(run_ids, bare=True)}
        runs = [found[run_id] for run_id in run_ids if run_id in found]
        values = self._table.columns(runs, columns, query.scope) if columns else {}
        return _Page(runs, values, total, texts)

    def _run(self, run: RunRecord, page: _Page) -> runs_pb2.Run:
        message = self._message(run)
        message.config_json, message.summary_json = page.texts.get(run.run_id, ("", ""))
        if run.run_id in page.values:
            message.columns_json = _list(page.values[run.run_id])
        return message


def _group(group: Group) -> runs_pb2.RunGroup:
    return runs_pb2.RunGroup(
        values_json=_list(group.values), count=group.count, filter=group.filter
    )


def _list(values: Sequence[Value]) -> str:
    return f"[{','.join(value.json() for value in values)}]"


def _groupable(key: Field) -> Field:
    if key.kind is FieldKind.TIME:
        raise invalid(f"runs cannot be grouped by {key.name}: use a key that many runs share")
    return key
