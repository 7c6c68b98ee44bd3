"""Promise: what the engine says becomes an error with its number and its words, whatever a query
made it say, and the log has nothing of the query."""

from __future__ import annotations

import pytest

from stepline_ingest.store.errors import StoreError, kind_of, query_error, split, without_query

SECRET = "SECRET"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Code: 62. DB::Exception: no. (SYNTAX_ERROR)", (62, "no. (SYNTAX_ERROR)")),
        ("Code: 33. DB::Exception: Code: 33. DB::Exception: no (version 26.9.2.1)", (33, "no")),
        ("Code: 6. no (version 26.9 (official build)) (for url http://h/)", (6, "no")),
        ("Code: 6. no, Stack trace (when copying this message):\n 0. x", (6, "no")),
        ("Streaming query failed: Code: 47. DB::Exception: no", (47, "no")),
        ("no", (None, "no")),
    ],
)
def test_an_error_is_its_number_and_its_words(text: str, found: tuple[int | None, str]) -> None:
    assert split(text) == found


def test_a_query_gives_its_error_no_other_number() -> None:
    for number in ("241", "999", "9" * 10_000):
        error = query_error(f"Code: 395. DB::Exception: Code: {number}. DB::Exception: {SECRET}")
        assert (error.code, error.blames_query) == (395, True)


@pytest.mark.parametrize("text", [" ", "\n,", "(version ", "(version 1) ", "(A", "Code: 1. "])
def test_what_a_query_repeats_is_looked_at_once(text: str) -> None:
    """A look at each place from each place would take hours here, in which nothing else runs."""
    error = query_error(f"Code: 395. DB::Exception: x{text * 1_000_000}y: while executing x")
    assert (error.code, kind_of(error)) == (395, "code 395")
    assert without_query(error).startswith("code 395: x")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "Code: 252. DB::Exception: Too many parts (300): while executing 'SECRET'. "
            "(TOO_MANY_PARTS)",
            "code 252 (TOO_MANY_PARTS): Too many parts (300)",
        ),
        ("Code: 202. Too many queries: In scope SELECT 'SECRET'", "code 202: Too many queries"),
        ("Code: 394. cancelled: While executing SECRET", "code 394: cancelled"),
        (
            "Code: 241. Query memory limit exceeded: would use 4 GiB: In scope SELECT 'SECRET'. "
            "(MEMORY_LIMIT_EXCEEDED)",
            "code 241 (MEMORY_LIMIT_EXCEEDED)",
        ),
        ("Code: 159. SECRET took too long. (TIMEOUT_EXCEEDED)", "code 159 (TIMEOUT_EXCEEDED)"),
        ("the connection broke", "the connection broke"),
    ],
)
def test_the_log_has_nothing_of_a_query(text: str, told: str) -> None:
    assert without_query(query_error(text)) == told


def test_of_what_a_query_may_say_itself_the_log_has_the_number() -> None:
    error = query_error(f"Code: 395. {SECRET}: while executing x. (FUNCTION_THROW_IF)")
    assert kind_of(error) == "code 395 (FUNCTION_THROW_IF)"
    assert kind_of(StoreError(SECRET)) == "an error without a number"
