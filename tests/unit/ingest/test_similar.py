"""Names that a mistyped one may have meant: found as difflib does, with bounded work."""

from __future__ import annotations

import difflib
import random
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import pytest

from stepline_ingest.catalogue.known import nearest
from stepline_ingest.errors import ServiceError
from stepline_ingest.query.groups import groups_of
from stepline_ingest.query.names import UnknownMetricsError, unknown_metrics_text
from stepline_ingest.run_record import RunRecord
from stepline_ingest.similar import MAX_CANDIDATES, MAX_COMPARED, MAX_LENGTH, closest
from stepline_ingest.store.contract import Store


def test_few_names_are_found_as_difflib_finds_them() -> None:
    dice = random.Random(11)
    for _ in range(200):
        names = ["".join(dice.choices("abcd/_", k=dice.randint(1, 12))) for _ in range(40)]
        name = "".join(dice.choices("abcd/_", k=dice.randint(1, 12)))
        for cutoff in (0.5, 0.6):
            expected = difflib.get_close_matches(name, names, n=3, cutoff=cutoff)
            assert closest(name, names, cutoff=cutoff) == expected


@pytest.mark.parametrize("mistyped", ["lyer.4711/grad_norm", "layer.4711/grad_nomr"])
def test_a_slip_is_found_among_a_hundred_thousand_names(mistyped: str) -> None:
    names = [f"layer.{number}/grad_norm" for number in range(100_000)]
    assert closest(mistyped, names)[0] == "layer.4711/grad_norm"


def test_whatever_the_names_are_few_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = counting(monkeypatch)
    names = shuffled(3 * MAX_CANDIDATES)
    closest(names[0][::-1], names)
    assert 0 < counted["quick_ratio"] <= MAX_CANDIDATES
    assert 0 < counted["ratio"] <= MAX_COMPARED


class Names:
    """A store in which a run has NAMES."""

    def __init__(self, names: list[str]) -> None:
        self._rows = [(name,) for name in names]

    def query(self, *_: object) -> list[tuple[str]]:
        return self._rows


def nothing_in_common(name: str, names: list[str]) -> None:
    run = cast(RunRecord, SimpleNamespace(run_id="r", config=dict.fromkeys(names, 1)))
    with pytest.raises(ServiceError):
        groups_of(name, [run])


ASKED: dict[str, Callable[[str, list[str]], object]] = {
    "the names of a run": lambda name, names: unknown_metrics_text(
        cast(Store, Names(names)), UnknownMetricsError(["r"], [name]), {}
    ),
    "the keys of runs": nearest,
    "the configs of runs": nothing_in_common,
}


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_who_names_a_similar_one_compares_few(
    monkeypatch: pytest.MonkeyPatch, asked: Callable[[str, list[str]], object]
) -> None:
    counted = counting(monkeypatch)
    names = shuffled(4 * MAX_COMPARED)
    asked(names[0][::-1], names)
    assert 0 < counted["ratio"] <= MAX_COMPARED


def counting(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often texts are compared, by what."""
    counted: Counter[str] = Counter()

    def count(method: str) -> None:
        compare = getattr(difflib.SequenceMatcher, method)

        def counted_compare(self: difflib.SequenceMatcher[str]) -> float:
            counted[method] += 1
            return float(compare(self))

        monkeypatch.setattr(difflib.SequenceMatcher, method, counted_compare)

    count("quick_ratio")
    count("ratio")
    return counted


def shuffled(count: int) -> list[str]:
    """Names of the same letters: to count those rules none out."""
    dice = random.Random(3)
    letters = [chr(0x100 + number) for number in range(MAX_LENGTH)]
    return ["".join(dice.sample(letters, len(letters))) for _ in range(count)]


def test_what_is_too_long_is_neither_looked_for_nor_found() -> None:
    long = "x" * (MAX_LENGTH + 1)
    assert closest(long, [long, long[1:]]) == []
    assert closest(long[1:], [long]) == []
    assert closest("", ["a"]) == []
