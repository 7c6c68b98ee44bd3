"""Promise: who is refused again and again is told so at a fixed pace; who is refused now and then
notices nothing."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import pytest

from stepline_ingest.limits import Limits
from stepline_ingest.metrics import Refusal
from stepline_ingest.pace import STRANGERS, Pace, catch_up, hold_back

LIMITS = replace(
    Limits(),
    refusals_per_second=10.0,
    refusal_burst=5,
    refusal_delay=2.0,
    stream_refusal_delay=8.0,
    max_delayed_refusals=3,
)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pace(clock: Clock) -> Pace:
    return Pace(LIMITS, clock=clock)


def test_a_burst_is_told_at_once_and_the_rest_at_the_rate(pace: Pace) -> None:
    assert [pace.charge("p") for _ in range(5)] == [0.0] * 5
    assert [pace.charge("p") for _ in range(3)] == pytest.approx([0.1, 0.2, 0.3])


def test_no_refusal_waits_longer_than_the_limit(pace: Pace) -> None:
    waits = [pace.charge("p", 1_000_000) for _ in range(100)]
    assert 1.0 <= min(waits) < max(waits) <= 2.0, "and not all that long: they would go on together"


def test_an_open_stream_waits_longer_than_a_call(pace: Pace) -> None:
    assert pace.charge("p", 5 + 30, on_stream=True) == pytest.approx(3.0)
    assert pace.charge("p", 0) <= 2.0
    assert 4.0 <= pace.charge("p", 1_000_000, on_stream=True) <= 8.0


def test_it_is_forgotten_with_time(pace: Pace, clock: Clock) -> None:
    pace.charge("p", 1_000_000)
    clock.now += 8.0 + 5 / 10
    assert [pace.charge("p") for _ in range(5)] == [0.0] * 5


def test_projects_do_not_share_a_bucket(pace: Pace) -> None:
    pace.charge("greedy", 1_000)
    assert pace.charge("honest") == 0.0
    assert pace.charge(STRANGERS) == 0.0


def test_a_clock_that_stands_still_or_goes_back_harms_nothing(pace: Pace, clock: Clock) -> None:
    pace.charge("p", 6)
    clock.now -= 100
    assert 0.0 <= pace.charge("p") <= 2.0


async def _asked_by(
    pace: Pace, project: str, wait: Coroutine[Any, Any, None]
) -> asyncio.Task[None]:
    """WAIT, begun in a request of PROJECT."""
    context = contextvars.copy_context()
    context.run(pace.answer, project)
    task = context.run(asyncio.create_task, wait)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return task


async def _held(pace: Pace, project: str) -> asyncio.Task[None]:
    task = asyncio.create_task(pace.hold(project))
    await asyncio.sleep(0)
    return task


async def test_only_so_many_are_held_and_the_next_is_told_at_once(pace: Pace) -> None:
    pace.charge("p", 1_000)
    held = [await _held(pace, "p") for _ in range(3)]
    assert not any(task.done() for task in held)
    await pace.hold("p")
    for task in held:
        task.cancel()
    assert not (await _held(pace, "p")).done(), "whoever hung up has left its place"
    pace.end()


async def test_a_service_that_stops_tells_everything(pace: Pace) -> None:
    pace.charge("p", 1_000)
    held = await _held(pace, "p")
    pace.end()
    await held
    await pace.hold("p")


@pytest.mark.parametrize(
    ("refusal", "slow"),
    [
        (Refusal.INVALID, True),
        (Refusal.UNAUTHENTICATED, True),
        (Refusal.NOT_FOUND, False),
        (Refusal.OVERLOADED, True),
        (Refusal.STOPPING, False),
    ],
)
async def test_only_what_asking_again_does_not_help_is_slowed(
    pace: Pace, refusal: Refusal, slow: bool
) -> None:
    pace.charge("p", 1_000)
    task = await _asked_by(pace, "p", hold_back(refusal))
    assert task.done() is not slow
    pace.end()
    await task


async def test_what_a_refused_project_begins_waits_too_and_counts_for_nothing(pace: Pace) -> None:
    pace.charge("greedy", 5)
    for _ in range(10):
        assert (await _asked_by(pace, "greedy", catch_up())).done()
    assert pace.charge("greedy") == pytest.approx(0.1)
    waiting = await _asked_by(pace, "greedy", catch_up())
    assert not waiting.done()
    assert (await _asked_by(pace, "honest", catch_up())).done()
    pace.end()
    await waiting


async def test_what_costs_less_together_goes_on_together(clock: Clock) -> None:
    pace = Pace(replace(LIMITS, max_delayed_refusals=100), clock=clock)
    pace.charge("p", 1_000)
    loop = asyncio.get_running_loop()
    due: list[float] = []
    original = loop.call_later
    loop.call_later = lambda pause, *then: due.append(pause) or original(pause, *then)  # type: ignore
    try:
        waiting = [await _asked_by(pace, "p", catch_up(together=True)) for _ in range(50)]
    finally:
        del loop.call_later
    assert {round(clock.now + pause, 6) for pause in due} <= {clock.now + 1.0, clock.now + 2.0}
    pace.end()
    await asyncio.gather(*waiting)


async def test_where_no_key_was_asked_for_nothing_is_slowed(pace: Pace) -> None:
    pace.answer(None)
    for _ in range(100):
        await hold_back(Refusal.INVALID)
        await catch_up()
