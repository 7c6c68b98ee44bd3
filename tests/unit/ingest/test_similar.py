"""Names that a mistyped one may have meant: found as difflib does, with bounded work."""

from __future__ import annotations

import difflib
import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import cast

import pytest

from stepline_ingest.catalogue.known import nearest
from stepline_ingest.errors import ServiceError
from stepline_ingest.query import groups
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


def refused(name: str, *configs: dict[str, object]) -> str:
    """What who groups by NAME hears."""
    runs = [SimpleNamespace(run_id=str(n), config=config) for n, config in enumerate(configs)]
    with pytest.raises(ServiceError) as caught:
        groups_of(name, cast("list[RunRecord]", runs))
    return caught.value.message


def test_keys_that_are_too_long_are_not_made() -> None:
    long = "k" * 10_000
    many = {str(n): n for n in range(10_000)}
    said = refused("nosuch", {long: many, "a": {long: 1, "b": {long: many, "dropout": 1}}, "lr": 1})
    assert said.endswith("has 'nosuch' in its config; there are 'a.b.dropout', 'lr'")
    assert "did you mean 'a.b.dropout'?" in refused("a.b.dropuot", {"a": {"b": {"dropout": 1}}})
    assert "have no short key: group by group" in refused("nosuch", {long: many}, {})
    assert len(refused(long, {"lr": 1})) < 400
    wide = {f"{'k' * 195}{n}": n for n in range(10)}
    assert len(refused("nosuch", wide)) < 1_200


def test_few_keys_of_all_configs_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []
    monkeypatch.setattr(
        groups, "closest", lambda name, names, **_: compared.append(len(names)) or []
    )
    refused("nosuch", *({f"{run}.{n}": n for n in range(5_000)} for run in range(10)))
    refused("nosuch", *({str(n): n for n in range(50)} for _ in range(100)), {"lr": 1})
    assert compared[0] < 21_000
    assert compared[1] == 51 + 5

    class Endless(dict[str, object]):
        def items(self) -> Iterator[tuple[str, object]]:  # type: ignore[override]
            return zip(itertools.repeat("k" * 1_000), itertools.repeat(1))

    assert "no short key" in refused("nosuch", Endless(a=1))


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
