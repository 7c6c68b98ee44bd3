"""The values of labels. Fixed sets: a label that anyone outside could choose would let them fill
the memory of whoever collects it."""

from __future__ import annotations

from enum import Enum

import grpc


class Refusal(Enum):
    """Why a call was ended with an error."""

    INVALID = "invalid"
    """The request breaks the protocol or a limit on its fields."""
    SEQUENCE = "sequence"
    """A batch that does not follow on what was received."""
    WINDOW = "window"
    """More unacknowledged than Welcome allows."""
    TOO_LARGE = "too_large"
    """A message, batch or query beyond its limit."""
    OVERLOADED = "overloaded"
    """More calls or bytes than the service takes at a time; come back later."""
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    """The run or the writer is there already, elsewhere."""
    LIVE = "live"
    """The run has a living attempt."""
    DELETED = "deleted"
    """The run was deleted."""
    FENCED = "fenced"
    """Another stream speaks for the writer."""
    DATA_LOSS = "data_loss"
    """The client cannot send any more what is not stored here."""
    DAMAGED = "damaged"
    """A batch arrived damaged and is asked for again."""
    UNAUTHENTICATED = "unauthenticated"
    DENIED = "denied"
    QUERY_LIMIT = "query_limit"
    """A query ran into its limit of time or memory."""
    STORE_FAILS = "store_fails"
    STARTING = "starting"
    STOPPING = "stopping"
    UNSUPPORTED = "unsupported"
    INTERNAL = "internal"


class RejectReason(Enum):
    """Why a batch was put aside for ever. Its sequences count as settled, and a reject record says
    why."""

    TOO_LARGE = "too_large"
    UNDECODABLE = "undecodable"
    TOO_MANY_METRICS = "too_many_metrics"
    LOST_BEFORE_UPLOAD = "lost_before_upload"
    """A gap: the client lost these sequences before it could send them."""
    STORE_REFUSES = "store_refuses"
    """The engine says that the rows themselves are malformed."""


class AuthFailure(Enum):
    """Why a key was not good enough."""

    MISSING = "missing"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    REVOKED = "revoked"
    SCOPE = "scope"
    """A good key without the right for this call."""
    PROJECT = "project"
    """A good key of another project."""
    CERTIFICATE = "certificate"


class QueryKind(Enum):
    """What was asked."""

    METRICS = "metrics"
    HISTORY = "history"
    EXPORT = "export"
    CHART = "chart"
    SQL = "sql"
    SQL_HTTP = "sql_http"
    CONTEXT = "context"
    CONSOLE = "console"


_BY_CODE = {
    grpc.StatusCode.INVALID_ARGUMENT: Refusal.INVALID,
    grpc.StatusCode.OUT_OF_RANGE: Refusal.INVALID,
    grpc.StatusCode.NOT_FOUND: Refusal.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS: Refusal.CONFLICT,
    grpc.StatusCode.FAILED_PRECONDITION: Refusal.CONFLICT,
    grpc.StatusCode.ABORTED: Refusal.FENCED,
    grpc.StatusCode.DATA_LOSS: Refusal.DATA_LOSS,
    grpc.StatusCode.UNAUTHENTICATED: Refusal.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED: Refusal.DENIED,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Refusal.TOO_LARGE,
    grpc.StatusCode.UNAVAILABLE: Refusal.OVERLOADED,
    grpc.StatusCode.UNIMPLEMENTED: Refusal.UNSUPPORTED,
}


def refusal_of(code: grpc.StatusCode) -> Refusal:
    """What CODE says when nothing finer is known."""
    return _BY_CODE.get(code, Refusal.INTERNAL)
