"""One run, read back from a service."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal, overload

from .asking import Ranks, SmoothingKind, axis_of, check_range, texts, whole
from .chart import Chart
from .console.lines import ConsoleLine, in_order
from .context.record import Context
from .errors import (
    MetricNotFound,
    neighbours,
)
from .expired import warn
from .history import History
from .jsonable import dumps
from .lineage import Lineage, Segment
from .points import Chunk, Points
from .run_summary import RunSummary
from .runs import ConfigChange, Metric, RunInfo
from .watching import Watch

if TYPE_CHECKING:
    from .reader import Client


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
        """Deletes the run with all its points, for ever: see `Client.delete`."""
        self._client.delete(self.id)

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
        arrays. Of points that have expired `History.expired` tells, and an ExpiredPointsWarning.
        """
        check_range(start, stop)
        whole("rank", rank, 0, 2**32 - 1)
        try:
            with self._client._errors(missing=MetricNotFound):
                chunks = self._client._transport.history(
                    self.id, metric, rank, start, stop, all_attempts
                )
                found = History.from_chunks(chunks, run_id=self.id, metric=metric, rank=rank)
        except MetricNotFound:
            found = History.from_chunks((), run_id=self.id, metric=metric, rank=rank)
        if not len(found) and not found.expired:
            self._check_metric(metric)
        warn(found.expired, stacklevel=2)
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
        for rank in of_ranks:
            whole("ranks", rank, 0, 2**32 - 1)

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
        nonfinite_steps: bool = ...,
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
        nonfinite_steps: bool = ...,
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
        nonfinite_steps: bool = False,
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
                nonfinite_steps=nonfinite_steps,
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
