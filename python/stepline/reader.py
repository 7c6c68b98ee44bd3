"""Reading runs back from a service."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from . import _core
from .asking import Ranks, SmoothingKind, defined_axis, question, texts
from .chart import Chart
from .comparing import Comparison, compared
from .errors import (
    InvalidRequest,
    MetricNotFound,
    RunNotFound,
    SteplineError,
    from_core,
    neighbours,
)
from .paging import runs_of_pages
from .run_view import RunView
from .runs import Metric, Project, RunGroup, RunInfo, RunKey, Runs
from .settings import find_api_key, find_server
from .table import FORMAT, Table
from .tls import find_tls
from .transport import Transport
from .watching import Watch

_NEIGHBOURS_AMONG = 1_000
_LOOKED_FOR = 100
"""Runs of a chart, of which one may not be there."""


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
        fields = {
            "project": project or "",
            "filter": filter or "",
            "sort": [sort] if isinstance(sort, str) else list(sort),
            "columns": names,
        }
        with self._errors():
            found, total = runs_of_pages(
                lambda limit, offset: self._transport.list_runs(
                    {**fields, "limit": limit, "offset": offset}
                ),
                limit,
                offset,
            )
        return Runs((RunInfo.from_reply(run, names) for run in found), total)

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

    def delete(self, run_id: str) -> None:
        """Deletes a run with all its points, for ever. Its id stays taken, and what its writers
        still send is refused. Takes an ingest or an admin key. Raises RunNotFound when it is gone
        already."""
        with self._errors():
            self._transport.delete_run(run_id)

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

        Raises RunNotFound and MetricNotFound, which name similar ones.
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
        try:
            with self._errors(missing=MetricNotFound):
                lines = self._transport.chart(asked.fields)
        except MetricNotFound:
            # Of a run that is not there the service says the same.
            for run_id in asked.fields["run_ids"][:_LOOKED_FOR]:
                self.run(run_id)
            raise
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
        if not interval >= 0:
            raise InvalidRequest(f"interval={interval!r}: give seconds, 0 or more.")
        pause = round(min(interval, 60.0) * 1000)

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
            answer = self._transport.sql(query, FORMAT)
        try:
            return Table.parse(answer)
        except ValueError:
            raise InvalidRequest(
                "The answer came in another format than was asked for: leave FORMAT out of the "
                "query."
            ) from None

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

    def _months(self, keep_seconds: int) -> tuple[list[dict[str, Any]], int]:
        """The months of points that the service has, and how many seconds it keeps points."""
        with self._errors(missing=InvalidRequest):
            return self._transport.list_months(keep_seconds)

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
        except OverflowError:
            raise InvalidRequest(
                "A number is too little or too large: counts, ranks and attempts go from 0 to "
                "4294967295."
            ) from None
        except UnicodeEncodeError as error:
            raise InvalidRequest(
                f"{error.object[:80]!r} is no text that UTF-8 can write: take the half of a "
                "character out."
            ) from None


@dataclass(frozen=True)
class Backup:
    """A complete backup: its folder on the machine of the service, its size in bytes, and the
    instant that it shows (ISO 8601)."""

    path: str
    nbytes: int
    created: str
