"""Errors of the extension become errors that people can act on."""

from __future__ import annotations

from typing import Any

import pytest

import stepline
from stepline import _core, errors
from stepline.errors import from_core

SERVER = "metrics:7424"


def rpc(code: str, message: str = "it went wrong") -> _core.RpcError:
    error = _core.RpcError(f"{code}: {message}")
    error.kind, error.code, error.message = "refused", code, message
    return error


def core(kind: str, message: str = "it went wrong") -> _core.CoreError:
    error = _core.CoreError(message)
    error.kind = kind
    return error


@pytest.mark.parametrize(
    ("code", "kind", "remedy"),
    [
        ("UNAUTHENTICATED", errors.AccessDenied, "STEPLINE_API_KEY"),
        ("RESOURCE_EXHAUSTED", errors.LimitExceeded, "Ask for less at a time."),
        ("ALREADY_EXISTS", errors.RunExists, "STEPLINE_LAUNCH_ID"),
        ("UNIMPLEMENTED", errors.ServiceFailed, "upgrade stepline-ingest"),
        ("INTERNAL", errors.ServiceFailed, "The log of the service says more."),
        ("DATA_LOSS", errors.ServiceFailed, "The log of the service says more."),
        ("SOMETHING_NEW", errors.ServiceFailed, "The log of the service says more."),
    ],
)
def test_a_status_becomes_an_error_with_the_remedy(
    code: str, kind: type[Exception], remedy: str
) -> None:
    made = from_core(rpc(code), server=SERVER)
    assert type(made) is kind
    assert str(made).startswith("It went wrong. ")
    assert remedy in str(made)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("INVALID_ARGUMENT", errors.InvalidRequest),
        ("OUT_OF_RANGE", errors.InvalidRequest),
        ("FAILED_PRECONDITION", errors.InvalidRequest),
        ("PERMISSION_DENIED", errors.AccessDenied),
    ],
)
def test_where_the_service_names_the_remedy_its_words_stand_alone(
    code: str, kind: type[Exception]
) -> None:
    made = from_core(rpc(code, "points is 0: ask for 1 or more"), server=SERVER)
    assert type(made) is kind
    assert str(made) == "Points is 0: ask for 1 or more."
    assert str(from_core(rpc(code, ""), server=SERVER)) == f"The service says {code}."


@pytest.mark.parametrize("code", ["UNAVAILABLE", "DEADLINE_EXCEEDED"])
def test_a_service_that_does_not_answer_is_named_with_the_reason(code: str) -> None:
    made = from_core(rpc(code, "connection refused."), server=SERVER)
    assert type(made) is errors.ServerUnreachable
    assert str(made) == (
        "No Stepline service answers at metrics:7424 (connection refused). "
        "Start one with `stepline serve`, or correct server= or STEPLINE_SERVER."
    )


def test_a_reason_that_has_a_remedy_is_not_followed_by_another_one() -> None:
    why = "invalid peer certificate: UnknownIssuer; set STEPLINE_TLS_CA to the CA that signed it"
    made = from_core(rpc("UNAVAILABLE", why), server=SERVER)
    assert str(made) == f"The service at metrics:7424 cannot be used: {why}."
    assert isinstance(made, errors.ServerUnreachable)
    assert made.reason == why


def test_what_is_missing_depends_on_what_was_asked_for() -> None:
    assert type(from_core(rpc("NOT_FOUND"), server=SERVER)) is errors.RunNotFound
    made = from_core(rpc("NOT_FOUND"), server=SERVER, missing=errors.MetricNotFound)
    assert type(made) is errors.MetricNotFound
    assert str(made) == "It went wrong."


def test_a_status_without_words_leaves_the_remedy() -> None:
    made = from_core(rpc("INTERNAL", ""), server=SERVER)
    assert str(made) == "The log of the service says more."


@pytest.mark.parametrize(
    ("kind", "expected", "said"),
    [
        ("unreachable", errors.ServerUnreachable, "answers at metrics:7424 (it went wrong)"),
        ("invalid", errors.InvalidRequest, "It went wrong."),
        ("closed", errors.RunFinished, "Call stepline.init() for a new run."),
        ("io", errors.SpoolFailed, "choose another place with init(dir=)"),
        ("full", errors.SpoolFailed, "Make room there"),
        ("corrupt", errors.ServiceFailed, "It went wrong."),
        ("internal", errors.ServiceFailed, "It went wrong."),
    ],
)
def test_an_error_of_the_extension_becomes_one_of_ours(
    kind: str, expected: type[Exception], said: str
) -> None:
    made = from_core(core(kind), server=SERVER)
    assert type(made) is expected
    assert said in str(made)


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.InvalidRequest, ValueError),
        (errors.InvalidValue, TypeError),
        (errors.NotInitialized, RuntimeError),
        (errors.RunFinished, RuntimeError),
        (errors.SpoolFailed, OSError),
        (errors.ServerUnreachable, ConnectionError),
        (errors.RunNotFound, LookupError),
        (errors.MetricNotFound, LookupError),
        (errors.AccessDenied, PermissionError),
    ],
)
def test_errors_are_also_the_builtin_ones_that_code_expects(
    error: type[Exception], builtin: type[Exception]
) -> None:
    assert issubclass(error, errors.SteplineError)
    assert issubclass(error, builtin)
    assert str(error("the message")) == "the message"


def test_every_error_can_be_caught_by_its_public_name() -> None:
    ours = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.SteplineError)
    }
    assert ours <= set(stepline.__all__)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("it broke", "It broke."),
        (" it broke! ", "It broke!"),
        ("'x' broke.", "'x' broke."),
        ("bk/monday broke", "bk/monday broke."),
        ("first_seq is 0", "first_seq is 0."),
        ("run7 broke", "run7 broke."),
        ("chDB broke", "chDB broke."),
        ("", ""),
    ],
)
def test_a_message_becomes_a_sentence(text: str, expected: str) -> None:
    assert errors.sentence(text) == expected


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("los", ["loss", "lr", "acc"], "Close to it: loss."),
        ("zzz", ["a1", "a2", "a3", "a4"], "There are: a1, a2, a3, .."),
        ("zzz", ["a1"], "There are: a1."),
        ("zzz", [], "There is none yet."),
    ],
)
def test_a_wrong_name_is_answered_with_what_exists(
    name: str, known: list[str], expected: str
) -> None:
    assert errors.neighbours(name, known).startswith(expected)


def test_nobody_answers_at_a_wrong_address() -> None:
    wrong: Any = "no address at all"
    with pytest.raises(errors.InvalidRequest, match="HOST:PORT"):
        stepline.connect(wrong)
