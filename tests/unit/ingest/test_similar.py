"""Names that a mistyped one may have meant: found as difflib does, with bounded work."""

from __future__ import annotations

import difflib
import random

import pytest

from stepline_ingest import similar
from stepline_ingest.similar import MAX_CANDIDATES, MAX_COMPARED, MAX_LENGTH, closest


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
    """Shuffled letters: all pass the count of letters."""
    counted: list[str] = []

    class Counting(difflib.SequenceMatcher[str]):
        def quick_ratio(self) -> float:
            counted.append("letters")
            return super().quick_ratio()

        def ratio(self) -> float:
            counted.append("all")
            return super().ratio()

    monkeypatch.setattr(similar, "SequenceMatcher", Counting)
    dice = random.Random(3)
    letters = [chr(0x100 + number) for number in range(MAX_LENGTH)]
    names = ["".join(dice.sample(letters, len(letters))) for _ in range(3 * MAX_CANDIDATES)]
    closest(names[0][::-1], names)
    assert counted.count("letters") <= MAX_CANDIDATES
    assert counted.count("all") <= MAX_COMPARED


def test_what_is_too_long_is_neither_looked_for_nor_found() -> None:
    long = "x" * (MAX_LENGTH + 1)
    assert closest(long, [long, long[1:]]) == []
    assert closest(long[1:], [long]) == []
    assert closest("", ["a"]) == []
