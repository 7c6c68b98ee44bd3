"""Reading runs back from a service."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Protocol, overload

from . import _core
from .asking import Ranks, SmoothingKind, axis_of, check_range, defined_axis, question, texts
from .chart import Chart
from .comparing import Comparison, compared
from .console.lines import ConsoleLine, in_order
from .context.record import Context
from .errors import (
    InvalidRequest,
    MetricNotFound,
    RunNotFound,
    SteplineError,
    from_core,
    neighbours,
)
from .history import History
from .jsonable import dumps
from .lineage import Lineage, Segment
from .points import Chunk, Points
from .run_summary import RunSummary
from .runs import ConfigChange, Metric, Project, RunGroup, RunInfo, RunKey, Runs
from .settings import find_api_key, find_server
from .table import FORMAT, Table
from .tls import find_tls
from .watching import Watch

_NEIGHBOURS_AMONG = 1_000


class Transport(Protocol):
    """What a client needs of a connection; `_core.Connection` has it."""

    def get_run(self, run_id: str) -> dict[str, Any]: ...
    def list_runs(self, fields: dict[str, Any]) -> dict[str, Any]: ...
    def list_projects(self) -> list[dict[str, Any]]: ...
    def list_run_keys(self, fields: dict[str, Any]) -> tuple[list[dict[str, Any]], int]: ...
    def list_config_changes(self, run_id: str) -> list[dict[str, Any]]: ...
    def update_run(self, request_json: str) -> None: ...
    def delete_run(self, run_id: str) -> None: ...
    def get_context(
        self, run_id: str, *, attempt: int, rank: int | None, parts: list[str]
    ) -> list[dict[str, Any]]: ...
    def read_console(
        self,
        run_id: str,
        *,
        attempt: int,
        rank: int,
        cursor: bytes,
        limit: int,
        tail: int,
        contains: str,
    ) -> dict[str, Any]: ...
    def backup(self, name: str, base: str) -> Iterable[tuple[int, int, str, str]]: ...
    def list_metrics(self, fields: dict[str, Any]) -> dict[str, Any]: ...
    def get_lineage(self, run_id: str) -> dict[str, Any]: ...
    def bring_back(self, run_id: str, attempt: int, step: int | None) -> list[dict[str, Any]]: ...
    def history(
        self,
        run_id: str,
        metric: str,
        rank: int,
        start: int | None,
        stop: int | None,
        all_attempts: bool,
    ) -> Iterable[tuple[int, bytes, bytes, bytes, bytes]]: ...
    def export(
        self,
        run_id: str,
        *,
        metrics: list[str],
        ranks: list[int],
        start: int | None,
        stop: int | None,
        all_attempts: bool,
        after: bytes,
    ) -> Iterable[Chunk]: ...
    def chart(self, request: dict[str, Any]) -> list[dict[str, Any]]: ...
    def watch(self, charts: list[dict[str, Any]], interval_ms: int) -> Iterator[dict[str, Any]]: ...
    def sql(self, query: str, format: str) -> bytes: ...
    def close(self) -> None: ...


def connect(
    server: str | None = None, *, api_key: str | None = None, timeout: float = 30.0
) -> Client:
    """A client of the service at SERVER, "HOST:PORT"; STEPLINE_SERVER or 127.0.0.1:7424 without
    one.

    TIMEOUT is in seconds and holds for each request. Nothing is sent before the first request,
    which raises ServerUnreachable when nobody answers.
    """
    address = find_server(server)
    try:
        connection = _core.Connection(
            address, api_key=find_api_key(api_key), timeout=timeout, **find_tls()
        )
    except _core.CoreError as error:
        raise from_core(error, server=address) from None
    return Client(connection, address)


class Client:
    """Made by `connect()`. Every method raises ServerUnreachable, AccessDenied or InvalidRequest
    where they apply.
    """

    def __init__(self, transport: Transport, server: str) -> None:
        self._transport = transport
        self.server = server

    def runs(
        self,
        project: str | None = None,
        *,
        filter: str | None = None,
        sort: str | Iterable[str] = (),
        columns: Iterable[str] = (),
        limit: int = 100,
        offset: int = 0,
    ) -> Runs:
        """Runs, the newest first; of all projects without PROJECT. A list, with `total` besides.

        FILTER keeps those for which it holds, such as 'config.lr > 0.001 and "big" in tags' (see
        docs/filters.md). SORT is such a field or several, "-config.lr" is descending; runs without
        a value come last. With COLUMNS, such fields too, the runs come without config and summary,
        which may be large, and have `values` instead. Raises InvalidRequest for a filter that
        cannot be understood, or a key that no run has: the message says where, and what is near.
        """
        names = texts("columns", columns)
        with self._errors():
            reply = self._transport.list_runs(
                {
                    "project": project or "",
                    "filter": filter or "",
                    "sort": [sort] if isinstance(sort, str) else list(sort),
                    "columns": names,
                    "limit": limit,
                    "offset": offset,
                }
            )
        return Runs((RunInfo.from_reply(run, names) for run in reply["runs"]), reply["total"])

    def groups(
        self,
        by: str | Iterable[str],
        *,
        project: str | None = None,
        filter: str | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[RunGroup]:
        """The values that runs have of the fields BY, with how many runs each, the largest first.
        `runs(filter=group.filter)` are the runs of a group."""
        with self._errors():
            reply = self._transport.list_runs(
                {
                    "project": project or "",
                    "filter": filter or "",
                    "group_by": [by] if isinstance(by, str) else list(by),
                    "limit": limit,
                    "offset": offset,
                }
            )
        return [RunGroup.from_reply(group) for group in reply["groups"]]

    def projects(self) -> list[Project]:
        """The projects, the one with the latest activity first."""
        with self._errors():
            return [Project.from_reply(found) for found in self._transport.list_projects()]

    def keys(
        self, project: str | None = None, *, prefix: str = "", search: str = ""
    ) -> list[RunKey]:
        """The keys of configs and summaries that runs can be filtered, sorted and shown by; those
        that begin with PREFIX and contain SEARCH, whatever its case."""
        fields = {"project": project or "", "prefix": prefix, "search": search}
        with self._errors():
            found, _ = self._transport.list_run_keys(fields)
        return [RunKey.from_reply(key) for key in found]

    def run(self, run_id: str) -> RunView:
        """One run. Raises RunNotFound, which names runs with similar ids."""
        try:
            with self._errors():
                info = RunInfo.from_reply(self._transport.get_run(run_id))
        except RunNotFound:
            known = [run.id for run in self.runs(limit=_NEIGHBOURS_AMONG)]
            raise RunNotFound(
                f"There is no run {run_id!r} at {self.server}. {neighbours(run_id, known)}"
            ) from None
        return RunView(self, info)

    def metrics(
        self,
        runs: Iterable[str],
        prefix: str = "",
        *,
        pattern: str = "",
        regex: str = "",
        limit: int | None = None,
        offset: int = 0,
        hidden: bool = False,
    ) -> list[Metric]:
        """The metrics that any of RUNS has, by name, without statistics: `Metric.runs` says how
        many of them have it. Conditions as in `RunView.metrics`."""
        reply = self._list_metrics(
            run_ids=texts("runs", runs),
            prefix=prefix,
            pattern=pattern,
            regex=regex,
            limit=limit,
            offset=offset,
            hidden=hidden,
        )
        return [Metric.from_reply(metric) for metric in reply["metrics"]]

    def compare(self, runs: Iterable[str], *, metrics: Iterable[str] = ()) -> Comparison:
        """What is different between RUNS: configs, summaries, and for each metric what each run
        shows of it; METRICS are names or patterns, all without one. Raises RunNotFound,
        InvalidRequest for fewer than two runs."""
        run_ids = list(dict.fromkeys(texts("runs", runs)))
        if len(run_ids) < 2:
            raise InvalidRequest("A comparison needs two different runs at least: name another.")
        patterns = texts("metrics", metrics) or [""]
        views = [self.run(run_id) for run_id in run_ids]
        found = [
            {one.name: one for pattern in patterns for one in view.metrics(pattern=pattern)}
            for view in views
        ]
        return compared([view.info for view in views], found, self.chart)

    def chart(
        self,
        *,
        runs: Iterable[str],
        metrics: Iterable[str],
        points: int = 1000,
        x: str | None = None,
        start: int | None = None,
        stop: int | None = None,
        ranks: Ranks = "band",
        top: int = 8,
        smooth: float | None = None,
        smoothing: SmoothingKind = "ema",
        quantiles: Iterable[float] = (),
        group_by: str | None = None,
        log_x: bool = False,
        all_attempts: bool = False,
        common_grid: bool = False,
        nonfinite_steps: bool = False,
    ) -> list[Chart]:
        """Many lines in one request: one for each run, metric and (with ranks="all") rank that has
        points.

        POINTS is the most buckets a line may have; START (inclusive) and STOP (exclusive) are
        steps. X is "step", "time", "relative" (time since the run began), or the name of a metric,
        of which each bucket gets the last value ("metric:time" for one with such a name); without
        it what `define_metric(x=)` set for all METRICS, or steps. LOG_X spends the buckets evenly
        over the logarithm of the step.

        Buckets suit each run: a run with a half (a fourth, ...) of the steps of all has narrower
        ones. COMMON_GRID gives all runs of a metric the same. NONFINITE_STEPS adds `argnonfinite`,
        the step of the first NaN or infinity of each bucket.

        RANKS is "band" (one line over all ranks), a rank, "all", or "stragglers": the TOP ranks
        that deviate most from the others, the worst first, with their `deviation`. QUANTILES (0 to
        1) are added to bands as `quantiles`: over ranks, or over the runs of a group.

        SMOOTH adds `smooth` beside the mean. With SMOOTHING "ema" it is the weight (below 1) of a
        debiased moving average, as in TensorBoard; with "ema_over_x" the same by distance on the x
        axis, as in W&B; with "gaussian" the standard deviation of the kernel in buckets.

        GROUP_BY makes one line of the runs of each group: "group", "job_type", "tags", "state",
        "project", or the key of a config ("optimizer.lr"). Raises InvalidRequest when no run has
        it.

        ALL_ATTEMPTS makes a line of each attempt of a run, superseded or not, and one of what it
        was forked from; `attempt` says which (0 for the latter).
        """
        asked = question(
            runs=runs,
            metrics=metrics,
            points=points,
            x=x,
            start=start,
            stop=stop,
            ranks=ranks,
            top=top,
            smooth=smooth,
            smoothing=smoothing,
            quantiles=quantiles,
            group_by=group_by,
            log_x=log_x,
            all_attempts=all_attempts,
            common_grid=common_grid,
            nonfinite_steps=nonfinite_steps,
        )
        with self._errors(missing=MetricNotFound):
            lines = self._transport.chart(asked.fields)
        return [
            Chart.from_line(line, *defined_axis(line, asked.kind, asked.axis), asked.quantiles)
            for line in lines
        ]

    def watch(
        self,
        *,
        runs: Iterable[str],
        metrics: Iterable[str] = (),
        patterns: Iterable[str] = (),
        points: int = 1000,
        x: str = "step",
        start: int | None = None,
        stop: int | None = None,
        ranks: Ranks = "band",
        top: int = 8,
        smooth: float | None = None,
        smoothing: SmoothingKind = "ema",
        quantiles: Iterable[float] = (),
        group_by: str | None = None,
        log_x: bool = False,
        interval: float = 0.25,
        forever: bool = False,
    ) -> Watch:
        """The lines of `chart`, and then what changes of them: an iterator of `Update`.

        It goes on until all runs have ended, or, with FOREVER, until it is closed. Metrics that
        nobody has logged yet are waited for; PATTERNS ("*" stands for any characters, "?" for one)
        add all metrics that match, new ones too. INTERVAL is the least time between two updates in
        seconds. After a restart of the service it goes on where it was.
        Raises RunNotFound when a run is not there, or is deleted meanwhile.
        """
        asked = question(
            runs=runs,
            metrics=metrics,
            patterns=patterns,
            points=points,
            x=x,
            start=start,
            stop=stop,
            ranks=ranks,
            top=top,
            smooth=smooth,
            smoothing=smoothing,
            quantiles=quantiles,
            group_by=group_by,
            log_x=log_x,
        )
        pause = max(0, min(round(interval * 1000), 60_000))

        def begin() -> Iterator[dict[str, Any]]:
            with self._errors():
                stream = self._transport.watch([asked.fields], pause)
            while True:
                with self._errors():
                    update = next(stream, None)
                if update is None:
                    return
                yield update

        return Watch(begin, asked, forever=forever)

    def sql(self, query: str) -> Table:
        """The answer to a read-only query in ClickHouse's SQL. Raises InvalidRequest when the
        engine does not take it.
        """
        with self._errors(missing=InvalidRequest):
            return Table.parse(self._transport.sql(query, FORMAT))

    def backup(
        self,
        name: str,
        *,
        base: str | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Backup:
        """Backs the embedded store of the service up into the folder NAME of its backup directory,
        while points go on being stored. Needs a key with the scope admin.

        BASE is an earlier backup: what did not change since is linked from it. PROGRESS is told
        bytes done and bytes in all. Raises InvalidRequest when the service has no place for
        backups, or the name is taken.
        """
        with self._errors(missing=InvalidRequest):
            last = (0, 0, "", "")
            for last in self._transport.backup(name, base or ""):
                progress(last[0], last[1])
        return Backup(path=last[2], nbytes=last[0], created=last[3])

    def close(self) -> None:
        """Ends the connection."""
        self._transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<stepline client of {self.server}>"

    def _list_metrics(self, **fields: Any) -> dict[str, Any]:
        with self._errors():
            return self._transport.list_metrics(fields)

    @contextmanager
    def _errors(self, missing: type[SteplineError] = RunNotFound) -> Iterator[None]:
        try:
            yield
        except _core.CoreError as error:
            raise from_core(error, server=self.server, missing=missing) from None


@dataclass(frozen=True)
class Backup:
    """A complete backup: its folder on the machine of the service, its size in bytes, and the
    instant that it shows (ISO 8601)."""

    path: str
    nbytes: int
    created: str


class RunView:
    """One run of a client, to be read. `info` is what was known when it was made."""

    def __init__(self, client: Client, info: RunInfo) -> None:
        self._client = client
        self.info = info

    @property
    def id(self) -> str:
        """The run id."""
        return self.info.id

    def delete(self) -> None:
        """Deletes the run with all its points, for ever. Its id stays taken, and what its writers
        still send is refused. Raises RunNotFound when it is gone already."""
        with self._client._errors():
            self._client._transport.delete_run(self.id)

    @property
    def context(self) -> Context:
        """From what the newest attempt was started: the code, the command, the packages, the
        machine of rank 0. A mapping of parts; empty when nothing was captured.
        """
        contexts = self.contexts()
        return contexts[0] if contexts else Context(0, 0, {})

    def contexts(self, *, attempt: int = 0, rank: int | None = None) -> list[Context]:
        """The same of each rank that told anything (the first one of each host tells of its
        machine), or of RANK; of the newest attempt without one.
        """
        with self._client._errors():
            found = self._client._transport.get_context(
                self.id, attempt=attempt, rank=rank, parts=[]
            )
        return Context.from_reply(found)

    def console(
        self, *, rank: int = 0, attempt: int = 0, tail: int = 0, contains: str = ""
    ) -> list[ConsoleLine]:
        """What RANK printed, each line in its last state: in the newest attempt in which it printed
        anything, or in ATTEMPT. Only the last TAIL lines, when that is not 0, and only lines that
        contain the text CONTAINS. Empty unless the run was started with `console=True`.
        """
        lines, _ = self._read_console(rank, attempt, b"", tail, contains)
        return in_order(lines)

    def follow_console(
        self,
        *,
        rank: int = 0,
        attempt: int = 0,
        tail: int = 0,
        contains: str = "",
        every: float = 1.0,
    ) -> Iterator[ConsoleLine]:
        """The same lines and those that follow, for ever: each once, when it has its end. Asks
        the service again EVERY so many seconds.
        """
        lines, cursor = self._read_console(rank, attempt, b"", tail, contains)
        while True:
            yield from (line for line in in_order(lines) if not line.open)
            time.sleep(every)
            lines, cursor = self._read_console(rank, attempt, cursor, 0, contains)

    def _read_console(
        self, rank: int, attempt: int, cursor: bytes, tail: int, contains: str
    ) -> tuple[list[ConsoleLine], bytes]:
        lines: list[ConsoleLine] = []
        with self._client._errors():
            while True:
                reply = self._client._transport.read_console(
                    self.id,
                    attempt=attempt,
                    rank=rank,
                    cursor=cursor,
                    limit=0,
                    tail=0 if cursor else tail,
                    contains=contains,
                )
                lines += map(ConsoleLine.from_reply, reply["lines"])
                cursor = reply["cursor"]
                if not reply["more"]:
                    return lines, cursor

    def metrics(
        self,
        prefix: str = "",
        *,
        pattern: str = "",
        regex: str = "",
        limit: int | None = None,
        offset: int = 0,
        hidden: bool = False,
    ) -> list[Metric]:
        """The metrics of the run, by name; those that meet every condition that is given.

        PREFIX begins the name, PATTERN is all of it ("*" stands for any characters, "?" for one),
        REGEX is found anywhere in it (RE2). At most LIMIT of them, without the OFFSET first ones.
        Those that `define_metric(hidden=True)` hides only with HIDDEN.
        Raises InvalidRequest for a REGEX that is none.
        """
        reply = self._client._list_metrics(
            run_id=self.id,
            prefix=prefix,
            pattern=pattern,
            regex=regex,
            limit=limit,
            offset=offset,
            hidden=hidden,
        )
        return [Metric.from_reply(metric) for metric in reply["metrics"]]

    def lineage(self) -> Lineage:
        """The attempts of the run, and which of them, or of the runs that it was forked from, is
        visible at which steps."""
        with self._client._errors():
            return Lineage.from_reply(self._client._transport.get_lineage(self.id))

    def bring_back(self, attempt: int, *, step: int | None = None) -> list[Segment]:
        """Shows again, from STEP on (from the beginning without one), what the run showed when
        ATTEMPT was its newest one; returns what it shows then. Nothing is lost: what is superseded
        by this can be brought back in the same way. Raises InvalidRequest for an attempt that is
        not there.
        """
        with self._client._errors():
            found = self._client._transport.bring_back(self.id, attempt, step)
        return [Segment.from_reply(segment) for segment in found]

    @property
    def summary(self) -> RunSummary:
        """What the run has come to so far: what it has set, and what its metrics say."""
        metrics = {metric.name: metric for metric in self.metrics()}
        with self._client._errors():
            info = RunInfo.from_reply(self._client._transport.get_run(self.id))
        return RunSummary(info.summary, metrics)

    def config_changes(self) -> list[ConfigChange]:
        """What changed in the config since the first start, the oldest change first."""
        with self._client._errors():
            found = self._client._transport.list_config_changes(self.id)
        return [ConfigChange.from_reply(change) for change in found]

    def edit(
        self,
        *,
        name: str | None = None,
        notes: str | None = None,
        group: str | None = None,
        job_type: str | None = None,
        tags: Iterable[str] | None = None,
        add_tags: Iterable[str] = (),
        remove_tags: Iterable[str] = (),
    ) -> RunView:
        """Changes what is given, leaves the rest, and returns the run as it is then. Needs a key
        with the scope ingest. ADD_TAGS and REMOVE_TAGS change the tags that are there."""
        given = {"name": name, "notes": notes, "group": group, "job_type": job_type}
        changes: dict[str, Any] = {key: text for key, text in given.items() if text is not None}
        if tags is not None:
            changes["tags"] = texts("tags", tags)
        changes["add_tags"] = texts("add_tags", add_tags)
        changes["remove_tags"] = texts("remove_tags", remove_tags)
        with self._client._errors():
            self._client._transport.update_run(dumps({"run_id": self.id, **changes}))
        return self._client.run(self.id)

    def set_tags(self, tags: Iterable[str]) -> RunView:
        """Replaces the tags: `edit(tags=)`."""
        return self.edit(tags=tags)

    def set_notes(self, notes: str) -> RunView:
        """Replaces the notes: `edit(notes=)`."""
        return self.edit(notes=notes)

    def history(
        self,
        metric: str,
        *,
        rank: int = 0,
        start: int | None = None,
        stop: int | None = None,
        all_attempts: bool = False,
    ) -> History:
        """Every point of METRIC on one rank, from step START (inclusive) to STOP (exclusive).
        ALL_ATTEMPTS gives what newer attempts superseded as well, attempt after attempt, with the
        array `attempt`.

        Raises MetricNotFound, which names similar metrics. A rank without points gives empty
        arrays.
        """
        check_range(start, stop)
        try:
            with self._client._errors(missing=MetricNotFound):
                chunks = self._client._transport.history(
                    self.id, metric, rank, start, stop, all_attempts
                )
                found = History.from_chunks(chunks, run_id=self.id, metric=metric, rank=rank)
        except MetricNotFound:
            found = History.from_chunks((), run_id=self.id, metric=metric, rank=rank)
        if not len(found):
            self._check_metric(metric)
        return found

    def points(
        self,
        metrics: Iterable[str] = (),
        *,
        ranks: Iterable[int] = (),
        start: int | None = None,
        stop: int | None = None,
        all_attempts: bool = False,
    ) -> Points:
        """Every point of many series, to be read batch after batch or as one table.

        METRICS are names or patterns ("*" stands for any characters, "?" for one), all without one;
        RANKS the same. From step START (inclusive) to STOP (exclusive). ALL_ATTEMPTS gives also
        what a newer attempt superseded. Reading raises MetricNotFound when no name matches.
        """
        check_range(start, stop)
        names, of_ranks = texts("metrics", metrics), list(ranks)

        def read(after: bytes) -> Iterator[Chunk]:
            with self._client._errors(missing=MetricNotFound):
                yield from self._client._transport.export(
                    self.id,
                    metrics=names,
                    ranks=of_ranks,
                    start=start,
                    stop=stop,
                    all_attempts=all_attempts,
                    after=after,
                )

        return Points(self.id, read)

    @overload
    def chart(
        self,
        metric: str,
        points: int = ...,
        x: str | None = ...,
        start: int | None = ...,
        stop: int | None = ...,
        *,
        ranks: Literal["all", "stragglers"],
        top: int = ...,
        smooth: float | None = ...,
        smoothing: SmoothingKind = ...,
        quantiles: Iterable[float] = ...,
        log_x: bool = ...,
    ) -> list[Chart]: ...
    @overload
    def chart(
        self,
        metric: str,
        points: int = ...,
        x: str | None = ...,
        start: int | None = ...,
        stop: int | None = ...,
        ranks: Literal["band"] | int = ...,
        *,
        top: int = ...,
        smooth: float | None = ...,
        smoothing: SmoothingKind = ...,
        quantiles: Iterable[float] = ...,
        log_x: bool = ...,
    ) -> Chart: ...
    def chart(
        self,
        metric: str,
        points: int = 1000,
        x: str | None = None,
        start: int | None = None,
        stop: int | None = None,
        ranks: Ranks = "band",
        *,
        top: int = 8,
        smooth: float | None = None,
        smoothing: SmoothingKind = "ema",
        quantiles: Iterable[float] = (),
        log_x: bool = False,
    ) -> Chart | list[Chart]:
        """METRIC in at most POINTS buckets, from step START (inclusive) to STOP (exclusive).

        RANKS is "band" (one line over all ranks), a rank (its line), "all" (a list of lines, one
        for each rank), or "stragglers" (a list of lines, of the TOP ranks that deviate most). X is
        "step", "time", "relative" or a metric; this and the other options are as in
        `Client.chart`. Raises MetricNotFound, which names similar metrics.
        """
        kind, axis = axis_of(x or "step")
        try:
            lines = self._client.chart(
                runs=[self.id],
                metrics=[metric],
                points=points,
                x=x,
                start=start,
                stop=stop,
                ranks=ranks,
                top=top,
                smooth=smooth,
                smoothing=smoothing,
                quantiles=quantiles,
                log_x=log_x,
            )
        except MetricNotFound:
            lines = []
        if not lines or not any(len(line) for line in lines):
            self._check_metric(metric)
            if kind == "metric":
                self._check_metric(axis)
        if ranks in ("all", "stragglers"):
            return lines
        rank = ranks if isinstance(ranks, int) else None
        return (
            lines[0]
            if lines
            else Chart.empty(run_id=self.id, metric=metric, rank=rank, kind=kind, axis=axis)
        )

    def watch(self, *metrics: str, **options: Any) -> Watch:
        """METRICS as they are and as they become; options as in `Client.watch`.

        >>> for update in view.watch("train/loss", ranks="all"):
        ...     draw(update.charts)
        """
        return self._client.watch(runs=[self.id], metrics=metrics, **options)

    def __repr__(self) -> str:
        return f"<stepline run {self.id} of project {self.info.project!r} at {self._client.server}>"

    def _check_metric(self, metric: str) -> None:
        known = [known.name for known in self.metrics(hidden=True)]
        if metric not in known:
            raise MetricNotFound(
                f"Run {self.id} has no metric {metric!r}. {neighbours(metric, known)}"
            )
