"""A run, as the training process sees it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import _core, current, exits, notices, spools
from .buffers import float64_column, int64_column
from .config import RESERVED, Config
from .definitions import Goal, SummaryKind, definition
from .delivery import Delivery
from .errors import InvalidRequest, RunFinished, from_core
from .jsonable import dumps
from .meta import SpoolMeta
from .pulse import Pulse
from .report import FinishReport, FlushReport, Health, LogLatency, disabled_health
from .secrecy import json_to_store
from .summary import Summary
from .writers import PointWriter

if TYPE_CHECKING:
    from .exits import Ending
    from .settings import Mode, Settings


class Run:
    """Made by `stepline.init()`; one for each process and run.

    Use it as a context manager to have it finished at the end of the block, with exit code 1 after
    an exception. A run that nobody finishes is finished when the program ends. In a forked child a
    run stays usable: the child's points go to a spool of its own, under the same run and rank. So
    does a run that is pickled for a process that is spawned.
    """

    def __init__(
        self,
        meta: SpoolMeta,
        writer: PointWriter,
        delivery: Delivery,
        pulse: Pulse,
        settings: Settings,
        *,
        owner: int | None = None,
    ) -> None:
        """OWNER is the process that tells the end of the run; this one when it is None."""
        self._meta = meta
        self._settings = settings
        self._writer = writer
        self._delivery = delivery
        self._pulse = pulse
        self._config = Config(settings.config, self._config_changed)
        self._summary = Summary({}, self._summary_changed)
        self._definitions: dict[str, dict[str, Any]] = {}
        self._owner = owner or os.getpid()
        self._report: FinishReport | None = None
        self._preempting = False
        self._last_works: list[Callable[[], None]] = []
        # The extension's own method under our name: no Python frame lies between the training loop
        # and the spool.
        self.__dict__["log"] = writer.log

    # --- what it is -------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The run id: what `stepline.connect().run(id)` takes."""
        return self._meta.run_id

    @property
    def project(self) -> str:
        """The project that the run belongs to."""
        return self._meta.project

    @property
    def name(self) -> str:
        """The name given to `init()`, or the id."""
        return self._meta.name or self._meta.run_id

    @property
    def rank(self) -> int:
        """This process among those of the job, from 0; a dimension of every point it logs."""
        return self._meta.rank

    @property
    def world_size(self) -> int:
        """How many ranks the job has."""
        return self._meta.world_size

    @property
    def attempt(self) -> int | None:
        """Which start of the run this is, from 1; None when the service was out of reach."""
        return self._meta.attempt

    @property
    def mode(self) -> Mode:
        """online, offline or disabled."""
        return self._meta.mode

    @property
    def spool(self) -> Path | None:
        """The directory that holds what is not stored yet; None for a disabled run."""
        return Path(self._writer.path) if self._writer.path else None

    @property
    def config(self) -> Config:
        """What the run was started with: a mapping, whose changes are sent along."""
        return self._config

    @property
    def summary(self) -> Summary:
        """What the run came to: a mapping, whose changes are sent along."""
        return self._summary

    # --- logging ----------------------------------------------------------------------------------

    def log(self, metrics: Mapping[str, object], step: int | None = None) -> None:
        """Records one value for each metric at STEP; returns about a microsecond later, whatever
        the network does.

        METRICS maps names to numbers: int, float, bool, NumPy scalars and anything else with
        `__float__`; NaN and infinities are kept. Nested dicts become names joined by "/". STEP is
        any int64, in any order; without it, the run's own counter goes on from the highest step so
        far. The same step logged twice is two points.

        When this returns, the values survive a SIGKILL of this process. A value that is not a
        number is left out, counted (see `health().refused`) and warned about once for each metric;
        with `init(on_error="raise")` it raises TypeError or ValueError before anything is recorded.
        Raises RunFinished after `finish()`.

        Tensors without dimensions are numbers too. One on a GPU (torch, CuPy, JAX) is taken as it
        is now and copied to the host behind the work that computes it: this neither waits for the
        device nor stalls its stream. Its value is recorded, with the step and the time of this
        call, by the first later call of `log()`, `log_array()`, `flush()` or `finish()` that finds
        it there. Until then a SIGKILL loses it, and `health().pending` counts it. Values from
        devices keep their order among themselves; among the values of one metric that were logged
        at the same step, one that was on a device counts as logged when it arrived. Beyond 100,000
        waiting values further ones are left out and counted.
        """
        self._writer.log(
            metrics, step
        )  # replaced in __init__; here for the documentation and for type checkers

    def log_array(self, name: str, steps: Any, values: Any) -> None:
        """Records many points of one metric at once.

        STEPS and VALUES are flat and of equal length; buffers of int64 and float64 are taken as
        they are, other arrays and sequences are converted. Raises InvalidRequest when they cannot
        be, and RunFinished after `finish()`.
        """
        self._check_open()
        try:
            self._writer.log_array(
                name, int64_column(steps, "steps"), float64_column(values, "values")
            )
        except _core.CoreError as error:
            raise from_core(error, server=self._meta.server) from None

    def define_metric(
        self,
        name: str,
        *,
        x: str | None = None,
        goal: Goal | None = None,
        unit: str | None = None,
        summary: SummaryKind | None = None,
        hidden: bool | None = None,
    ) -> None:
        """Says how the metric NAME (or all that match a pattern such as "val/*") wants to be shown.

        X is the metric to draw it over instead of steps, GOAL whether less or more is better, UNIT
        what it is measured in, SUMMARY what stands for it in a table of runs ("last" without one,
        "min", "max", "mean", "first", or "best", which goes by GOAL), HIDDEN whether lists and
        dashboards leave it out. A longer pattern wins over a shorter one, and a metric's own name
        over all patterns. Calls for one name add up.
        """
        said = definition(x=x, goal=goal, unit=unit, summary=summary, hidden=hidden)
        self._definitions[name] = {**self._definitions.get(name, {}), **said}
        self._config_changed({RESERVED: {"metrics": self._definitions}})

    # --- delivery ---------------------------------------------------------------------------------

    def flush(self, durable: bool = False, timeout: float | None = None) -> FlushReport:
        """Waits until the service has stored everything logged before the call, which includes what
        devices have still to deliver.

        DURABLE first makes it survive power loss on this host (fsync). TIMEOUT is in seconds, None
        waits for ever; an offline or disabled run does not wait at all. Does not raise when time is
        up or the service refuses: see `left` and `error` of the report. Raises SpoolFailed when the
        disk does not take it.
        """
        began = time.monotonic()
        pending = self._writer.collect(timeout)
        target = self._writer.last_seq()
        if durable:
            try:
                self._writer.sync()
            except _core.CoreError as error:
                raise from_core(error, server=self._meta.server) from None
        points = self._writer.stats()["points"]
        path = self._writer.path
        if not path:
            return FlushReport(stored=0, left=pending, durable=durable, seconds=0.0, error="")
        if not self._delivery.sends or target == 0:
            progress = spools.look(path)
        else:
            self._pulse()
            rest = _rest(timeout, began)
            progress = spools.wait(path, seq=target, timeout=rest, tend=self._pulse)
        left = progress.count_left(target, points)
        return FlushReport(
            stored=points - left,
            left=left + pending,
            durable=durable,
            seconds=time.monotonic() - began,
            error=progress.error if left else "",
        )

    def health(self, exact: bool = False) -> Health:
        """How the points of this process fare: cheap enough to be asked every step.

        EXACT counts what is not stored yet by reading it from the spool, about a second a gigabyte.
        """
        stats, seq, path = self._writer.stats(), self._writer.last_seq(), self._writer.path
        latency = LogLatency.of(*self._writer.latency())
        if not path:
            return disabled_health(latency)
        brief = _core.spool_brief(path)
        acked = seq if brief is None else brief["acked_seq"]
        queued = spools.share_left(stats["points"], acked, seq)
        counted = exact or queued in (0, stats["points"])
        if exact:
            queued = spools.count_left(path, stats["points"], acked, seq)
        unsent = 0 if brief is None else spools.share_left(stats["points"], brief["sent_seq"], seq)
        state = "done" if brief is None else brief["state"]
        return Health(
            logged=stats["points"],
            sent=stats["points"] - min(unsent, queued),
            acknowledged=stats["points"] - queued,
            queued=queued,
            exact=counted,
            pending=stats["pending"],
            refused=stats["refused"],
            gaps=stats["gaps"],
            lag_seconds=self._pulse.lag(acked) if queued else 0.0,
            bytes=0 if brief is None else brief["bytes"],
            state=state if self._delivery.sends else "offline",
            error="" if brief is None else brief["error"],
            spool=Path(path),
            latency=latency,
            buffered=self._writer.buffered,
        )

    # --- the end ----------------------------------------------------------------------------------

    def mark_preempting(self) -> None:
        """Says that this machine is wanted back: however the run ends now, its state is preempted
        instead of failed or crashed. To be called when the scheduler gives notice (docs/runs.md).
        Returns at once.
        """
        if not self._preempting:
            self._control({"update": {"preempting": True}})
            self._preempting = True

    def finish(self, exit_code: int = 0, timeout: float | None = 30.0) -> FinishReport:
        """Ends the run in this process: nothing can be logged afterwards.

        Waits at most TIMEOUT seconds (None: for ever) until everything is stored, and always
        returns a report that says what is and what is left. What is left stays on disk and goes on
        being sent by the uploader; nothing is lost. EXIT_CODE other than 0 marks the run as failed.
        A second call returns the first report again. Raises InvalidRequest for an exit code that is
        no int32; a KeyboardInterrupt ends the waiting, and is raised once the run is finished.
        """
        if not isinstance(exit_code, int) or not -(2**31) <= exit_code < 2**31:
            raise InvalidRequest(f"exit_code={exit_code!r} is no exit code: pass an int such as 1.")
        return self._finish(exit_code, timeout, patience=None)

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        exit_code = exits.code_of(error)
        self._finish(exit_code, 30.0, patience=None, error=error if exit_code else None)

    def __repr__(self) -> str:
        state = "finished" if self._report is not None else self.mode
        return f"<stepline run {self.id} of project {self.project!r}, rank {self.rank}, {state}>"

    def __reduce__(self) -> tuple[Callable[..., Run], tuple[object, ...]]:
        # For workers that are spawned: the key does not travel, it is read from the spool there.
        from .init import rejoin

        settings, meta = (replace(part, api_key=None) for part in (self._settings, self._meta))
        return rejoin, (settings, meta, self._writer.path, self._owner)

    def __deepcopy__(self, memo: object) -> Run:
        return self

    def __copy__(self) -> Run:
        return self

    def _finish_at_exit(self, ending: Ending, timeout: float, patience: float) -> FinishReport:
        return self._finish(ending.exit_code, timeout, patience=patience, error=ending.error)

    def _finish(
        self,
        exit_code: int,
        timeout: float | None,
        patience: float | None,
        error: BaseException | None = None,
    ) -> FinishReport:
        if self._report is not None:
            return self._report
        began = time.monotonic()
        self.__dict__["log"] = self._log_after_finish
        interrupted: KeyboardInterrupt | None = None
        trouble = ""
        try:
            trouble = self._collect(timeout, patience)
        except KeyboardInterrupt as pressed:
            interrupted = pressed
        if os.getpid() == self._owner:
            for work in self._last_works:
                work()
        trouble = self._seal(exit_code, error) or trouble
        path = self._writer.path
        stats = self._writer.stats()
        if path and self._delivery.sends:
            try:
                self._pulse()
                if interrupted is None:
                    rest = _rest(timeout, began)
                    spools.wait(path, seq=None, timeout=rest, patience=patience, tend=self._pulse)
                self._delivery.stop()
            except KeyboardInterrupt as pressed:
                interrupted = pressed
        self._report = self._make_report(path, stats, trouble, time.monotonic() - began)
        self._pulse.detach()
        exits.forget(self)
        current.leave(self)
        if path and (self.rank == 0 or self._report.left):
            notices.line(str(self._report))
        if interrupted is not None:
            raise interrupted
        return self._report

    def _at_end(self, work: Callable[[], None]) -> None:
        """WORK is done before the last word of the run is written."""
        self._last_works.append(work)

    def _collect(self, timeout: float | None, patience: float | None) -> str:
        """Records what devices still owe; returns what went wrong."""
        limits = [limit for limit in (timeout, patience) if limit is not None]
        try:
            self._writer.collect(min(limits) if limits else None)
        except (_core.CoreError, TypeError, ValueError) as error:
            return str(error)
        return ""

    def _seal(self, exit_code: int, error: BaseException | None) -> str:
        """Writes the last word and closes the spool; returns what went wrong, because finishing
        must go on.
        """
        try:
            if os.getpid() == self._owner:
                ended: dict[str, object] = {
                    "exit_code": exit_code,
                    "finished_ms": time.time_ns() // 1_000_000,
                    **exits.words_of(error),
                }
                if self._preempting:
                    ended["preempted"] = True
                self._writer.control(dumps({"finish": ended}))
            self._writer.close()
        except _core.CoreError as error:
            return str(error)
        return ""

    def _make_report(
        self, path: str, stats: dict[str, int], trouble: str, seconds: float
    ) -> FinishReport:
        left, error = 0, trouble
        if path:
            progress = spools.look(path)
            left = progress.count_left(self._writer.last_seq(), stats["points"])
            error = error or progress.error
        return FinishReport(
            run_id=self.id,
            stored=stats["points"] - left,
            left=left,
            refused=stats["refused"],
            gaps=stats["gaps"],
            undelivered=stats["pending"],
            seconds=seconds,
            server=self._meta.server,
            spool=Path(path) if left else None,
            error=error if left or trouble else "",
        )

    # --- inner workings ---------------------------------------------------------------------------

    def _config_changed(self, changes: dict[str, Any]) -> None:
        self._control({"update": {"config_json": self._to_store(changes, "config")}})

    def _summary_changed(self, changes: dict[str, Any]) -> None:
        self._control({"update": {"summary_json": self._to_store(changes, "summary")}})

    def _to_store(self, changes: dict[str, Any], what: str) -> str:
        return json_to_store(changes, what, redact=self._settings.redact, tell=self.rank == 0)

    def _control(self, payload: dict[str, Any]) -> None:
        self._check_open()
        try:
            self._writer.control(dumps(payload))
        except _core.CoreError as error:
            raise from_core(error, server=self._meta.server) from None

    def _check_open(self) -> None:
        if self._report is not None:
            self._log_after_finish({})

    def _log_after_finish(self, metrics: Mapping[str, object], step: int | None = None) -> None:
        raise RunFinished(
            f"Run {self.id} is finished: log before finish(), or call stepline.init() again."
        )


def _rest(timeout: float | None, began: float) -> float | None:
    return None if timeout is None else max(0.0, timeout - (time.monotonic() - began))
