"""Connections that break.

Scenario: a spool is sent through a proxy that cuts the connection after every frame of a recorded
conversation, in either direction, and at random bytes; that loses acknowledgements, closes one
half, goes silent, crawls, or refuses for a while.
Guarantees: the spool drains once a connection lives, and everything is stored exactly once.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from tests.fault.stage import Stage, rounds
from tests.support.offline import fill, fill_and_send
from tests.support.processes import wait_drained, wait_until
from tests.support.proxy import CLEAR, Direction, Frames, Weather

STEPS = 40
SIZES = (1, STEPS, 400, 45_000)
"""From one record to several batches."""
BATCH = 50
"""Runs judged together."""


def send_through(stage: Stage, steps: int, weather: Callable[[int], Weather]) -> None:
    stage.proxy.restart_count()
    stage.proxy.forecast = weather
    run = stage.new_run("cut")
    fill_and_send(stage.oracle, stage.spools, stage.address, run, steps)


def recorded(stage: Stage, steps: int) -> dict[Direction, Frames]:
    """The frames of a conversation in good weather."""
    send_through(stage, steps, lambda number: CLEAR)
    return stage.proxy.connections[0]


def test_a_cut_after_every_frame(stage: Stage, chance: random.Random) -> None:
    places: list[tuple[int, Direction, int]] = []
    for number in rounds(short=20):
        if not places:
            steps = STEPS if number < 100 else chance.choice(SIZES)
            frames = recorded(stage, steps)
            places = [
                (steps, way, place) for way in frames for place in range(len(frames[way].kinds))
            ]
            chance.shuffle(places)
        steps, way, place = places.pop()
        send_through(
            stage,
            steps,
            lambda number, way=way, place=place: (
                Weather(cut_after_frames=(way, place)) if number == 0 else CLEAR
            ),
        )
        if number % BATCH == 0:
            stage.judge()
    stage.judge()


def test_cuts_at_random_bytes(stage: Stage, chance: random.Random) -> None:
    for number in rounds(short=6, share=0.5):
        steps = chance.choice(SIZES)
        frames = recorded(stage, steps)
        ways: list[Direction] = chance.choices(("up", "down"), k=chance.randint(1, 3))
        cuts = [(way, chance.randrange(frames[way].bytes)) for way in ways]
        send_through(
            stage,
            steps,
            lambda number, cuts=cuts: (
                Weather(cut_after_bytes=cuts[number]) if number < len(cuts) else CLEAR
            ),
        )
        if number % BATCH == 0:
            stage.judge()
    stage.judge()


def test_lost_acknowledgements(stage: Stage, chance: random.Random) -> None:
    for number in rounds(short=4, share=0.25):
        steps = chance.choice(SIZES)
        passed, lost = chance.randint(0, 3), chance.randint(1, 2)
        # When fewer come than are to be lost the client waits in vain: the cut comes from outside.
        stage.proxy.restart_count()
        stage.proxy.forecast = lambda number, passed=passed, lost=lost: (
            Weather(lose_acks_after=passed, cut_after_lost=lost) if number < 2 else CLEAR
        )
        run = stage.new_run("lost-acks")
        spool = fill(stage.spools, run, steps)
        with stage.sending(spool, stage.address):
            until = time.monotonic() + 1.5
            wait_until(
                lambda spool=spool, until=until: not spool.exists() or time.monotonic() > until,
                what="the spool is sent or waits in vain",
            )
            stage.proxy.forecast = lambda number: CLEAR
            stage.proxy.cut_all()
        stage.oracle.logged(run, 0, returned=steps)
        if number % BATCH == 0:
            stage.judge()
    stage.judge()


@pytest.mark.parametrize(
    "weather",
    [
        Weather(half_close_after_frames=4),
        Weather(half_close_after_frames=8),
        Weather(delay=0.02),
        Weather(bytes_per_second=200_000),
        Weather(refuse=True),
    ],
    ids=["half closed early", "half closed late", "slow", "narrow", "refused"],
)
def test_bad_lines(stage: Stage, weather: Weather) -> None:
    send_through(stage, 400, lambda number: weather if number < 2 else CLEAR)
    stage.judge()


@pytest.mark.parametrize("way", ["up", "down"])
def test_a_line_that_goes_silent_and_breaks(stage: Stage, way: Direction) -> None:
    frames = recorded(stage, STEPS)
    for place in rounds(short=2, share=0.02):
        stalled = (way, 3 + place % max(1, len(frames[way].kinds) - 3))
        stage.proxy.restart_count()
        stage.proxy.forecast = lambda number, stalled=stalled: (
            Weather(stall_after_frames=stalled) if number == 0 else CLEAR
        )
        run = stage.new_run("silent")
        with stage.sending(fill(stage.spools, run, STEPS), stage.address):
            time.sleep(0.3)
            stage.proxy.cut_all()
        stage.oracle.logged(run, 0, returned=STEPS)
    stage.judge()


def test_cuts_while_a_trainer_logs(stage: Stage, chance: random.Random) -> None:
    for _ in rounds(short=1, share=0.02):
        stage.proxy.restart_count()
        # What a trainer sends in a second, and what it is told in one.
        stage.proxy.forecast = lambda number: Weather(
            cut_after_bytes=chance.choice(
                [("up", chance.randrange(100, 4_000)), ("down", chance.randrange(100, 500))]
            )
        )
        # The uploader of the round before is still there, and so is its connection in good weather.
        stage.proxy.cut_all()
        run = stage.new_run("live-cuts")
        trainer = stage.trainer(run, 0, 10_000_000, "--pause", "0.001", server=stage.address)
        before = stage.proxy.cuts
        wait_until(
            lambda before=before: stage.proxy.cuts > before + 5, what="a few connections were cut"
        )
        stage.proxy.forecast = lambda number: CLEAR
        returned = trainer.kill()
        wait_drained(stage.spools)
        stage.oracle.logged(run, 0, returned=returned, begun=returned + 1)
        stage.judge()
