"""Promise: a list of runs is whole, however few of them an answer has."""

from __future__ import annotations

from typing import Any

import pytest

from stepline.paging import runs_of_pages


@pytest.mark.parametrize(
    ("limit", "offset"), [(0, 0), (7, 0), (7, 3), (100, 95), (5_000, 0), (3, 200)]
)
@pytest.mark.parametrize("size", [1, 4, 1_000])
def test_pages_that_end_early_are_followed(limit: int, offset: int, size: int) -> None:
    runs = [{"run_id": f"r{n}"} for n in range(100)]
    asked: list[tuple[int, int]] = []

    def ask(limit: int, offset: int) -> dict[str, Any]:
        asked.append((limit, offset))
        most = min(limit or 1_000, size)
        return {"runs": runs[offset : offset + most], "total": len(runs)}

    expected = runs[offset : offset + (limit or 1_000)]
    assert runs_of_pages(ask, limit, offset) == (expected, 100)
    assert asked[0] == (limit, offset)
    assert len(asked) == max(1, -(-len(expected) // size))


def test_a_run_that_begins_meanwhile_shows_none_twice() -> None:
    runs = [{"run_id": f"r{n}"} for n in range(3)]

    def ask(limit: int, offset: int) -> dict[str, Any]:
        page = {"runs": runs[offset : offset + 1], "total": len(runs)}
        if not offset:
            runs.insert(0, {"run_id": "new"})
        return page

    found, total = runs_of_pages(ask, 10, 0)
    assert ([run["run_id"] for run in found], total) == (["r0", "r1", "r2"], 4)
