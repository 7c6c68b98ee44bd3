"""Every error that Stepline raises. A message ends with what to do about it.

The errors of the extension (`CoreError`, `RpcError`) become these in one place, `from_core`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from . import _core


class SteplineError(Exception):
    """The base of all of them."""


class InvalidRequest(SteplineError, ValueError):
    """An argument that can never work: a bad run id, an unknown mode, a range that ends before it
    begins.
    """


class InvalidValue(SteplineError, TypeError):
    """A config or summary value that JSON cannot hold."""


class NotInitialized(SteplineError, RuntimeError):
    """A module-level function was called without a current run."""


class RunFinished(SteplineError, RuntimeError):
    """Something was logged to a run after `finish()`."""


class SpoolFailed(SteplineError, OSError):
    """The spool on the local disk could not be written."""


class ServerUnreachable(SteplineError, ConnectionError):
    """Nobody answers at the server's address, or not in time."""

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        """What the connection says."""


class RunExists(SteplineError):
    """`init(resume="never")` with the id of a run that is there already."""


class RunIsLive(RunExists):
    """Another start of the run is alive: its process runs, or was heard of a moment ago."""


class RunNotFound(SteplineError, LookupError):
    """The server has no run of this id."""


class MetricNotFound(SteplineError, LookupError):
    """The run has no metric of this name, or not from this rank."""


class ExpiredPointsWarning(UserWarning):
    """Some of the points that were asked for have expired; what came is without them. See
    `History.expired` and `Points.expired`.
    """


class AccessDenied(SteplineError, PermissionError):
    """The API key is missing, unknown, or not for this."""


class LimitExceeded(SteplineError):
    """The service refuses an amount: too many points, names or bytes."""


class ServiceFailed(SteplineError):
    """The service answered with an error of its own."""


_UNREACHABLE_CODES = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED"})
_CODES: dict[str, tuple[type[SteplineError], str]] = {
    # the service names the remedy of these itself
    "INVALID_ARGUMENT": (InvalidRequest, ""),
    "OUT_OF_RANGE": (InvalidRequest, ""),
    "FAILED_PRECONDITION": (InvalidRequest, ""),
    "PERMISSION_DENIED": (AccessDenied, ""),
    "UNAUTHENTICATED": (AccessDenied, "Pass api_key= or set STEPLINE_API_KEY."),
    "RESOURCE_EXHAUSTED": (LimitExceeded, "Ask for less at a time."),
    "ALREADY_EXISTS": (
        RunExists,
        "Ranks of one job join one run when STEPLINE_LAUNCH_ID is the same for all of them.",
    ),
    "ABORTED": (RunIsLive, ""),
    "UNIMPLEMENTED": (
        ServiceFailed,
        "The service is older than this client: upgrade stepline-ingest.",
    ),
}
_SERVICE_REMEDY = "The log of the service says more."


def unreachable(server: str, detail: str = "") -> ServerUnreachable:
    """The error for a server that does not answer."""
    if "; " in detail:  # with a remedy of its own: it is there, and cannot be used
        return ServerUnreachable(f"The service at {server} cannot be used: {detail}.", detail)
    why = f" ({detail})" if detail else ""
    return ServerUnreachable(
        f"No Stepline service answers at {server}{why}. "
        "Start one with `stepline serve`, or correct server= or STEPLINE_SERVER.",
        detail,
    )


def from_core(
    error: _core.CoreError,
    *,
    server: str,
    missing: type[SteplineError] = RunNotFound,
) -> SteplineError:
    """What users see of an error of the extension; MISSING is the class that NOT_FOUND means."""
    if isinstance(error, _core.RpcError):
        message = sentence(error.message)
        if error.code in _UNREACHABLE_CODES:
            return unreachable(server, error.message.strip().rstrip("."))
        if error.code == "NOT_FOUND":
            return missing(message)
        kind, remedy = _CODES.get(error.code, (ServiceFailed, _SERVICE_REMEDY))
        return kind(f"{message} {remedy}".strip() or f"The service says {error.code}.")
    message = sentence(str(error))
    if error.kind == "unreachable":
        return unreachable(server, str(error).strip().rstrip("."))
    if error.kind == "invalid":
        return InvalidRequest(message)
    if error.kind == "closed":
        return RunFinished(f"{message} Call stepline.init() for a new run.")
    if error.kind in ("io", "full"):
        return SpoolFailed(f"{message} Make room there, or choose another place with init(dir=).")
    return ServiceFailed(message)


def sentence(text: str) -> str:
    """TEXT with a full stop, so that a remedy can follow, and with a capital unless it begins with
    a name or a path."""
    text = text.strip()
    if not text:
        return text
    ended = text if text[-1] in ".!?" else text + "."
    word = ended.split(maxsplit=1)[0].rstrip(",:;.!?")
    return ended[0].upper() + ended[1:] if word.isalpha() and word.islower() else ended


def neighbours(name: str, known: Iterable[str], *, limit: int = 3) -> str:
    """A remedy that names what exists: the closest matches, or the first few."""
    names = list(known)
    if not names:
        return "There is none yet."
    close = difflib.get_close_matches(name, names, n=limit, cutoff=0.5)
    if close:
        return f"Close to it: {', '.join(close)}."
    more = ", .." if len(names) > limit else ""
    return f"There are: {', '.join(names[:limit])}{more}."
