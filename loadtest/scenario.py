"""A load scenario: one file of `scenarios/`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LONGEST_TAPE = 1_000_000
"""Points that are encoded before a scenario begins."""

FOLDER = Path(__file__).with_name("scenarios")


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What the users of a scenario do. Times are in seconds."""

    name: str
    about: str
    """One sentence for people."""
    users: int
    """Writers at a time."""
    seconds: float
    metrics: int
    rows: int
    """Steps of a batch."""
    interval: float = 0.0
    """Between the beginnings of two batches of a writer; 0: as fast as the window allows."""
    burst: int = 1
    """Batches sent at a time, at each interval."""
    reconnect_every: float = 0.0
    """All writers drop their streams together this often, with batches under way; 0: never."""
    ack_pause: float = 0.0
    """A writer waits this long before it reads the next acknowledgement."""
    readers: int = 0
    """Users that read a history back, slowly, while others write."""
    read_pause: float = 0.0
    """A reader waits this long after each message."""
    rounds: int = 0
    """A writer ends after so many intervals, and the scenario with the last writer; 0: when the
    time is up."""

    @property
    def points_of_batch(self) -> int:
        return self.rows * self.metrics

    @property
    def offered(self) -> float | None:
        """Points/s that the writers offer; None when they send as fast as they can."""
        if not self.interval:
            return None
        return self.users * self.burst * self.points_of_batch / self.interval

    @property
    def batches_of_writer(self) -> int:
        """After so many batches a user goes on as another writer: a tape stays short."""
        if self.rounds:
            return self.burst * self.rounds
        wanted = int(self.burst * self.seconds / self.interval) + 1 if self.interval else 10**6
        return max(1, min(wanted, LONGEST_TAPE // self.points_of_batch))

    def to_json(self) -> str:
        """For the environment of the locust process."""
        return json.dumps(asdict(self))

    def shortened(self, *, rounds: int, users: int) -> Scenario:
        """A little of the same, however long that takes: for the test suite."""
        return replace(
            self,
            rounds=rounds,
            users=min(self.users, users),
            seconds=300.0,
            interval=min(self.interval, 0.2),
            burst=min(self.burst, 4),
            reconnect_every=min(self.reconnect_every, 0.3),
            ack_pause=min(self.ack_pause, 0.2),
        )


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load(name: str) -> Scenario:
    """Raises SystemExit for a name that is none, and for a file that says what nobody knows."""
    path = FOLDER / f"{name}.toml"
    if not path.exists():
        raise SystemExit(f"no scenario {name!r}: take one of {', '.join(names())}, or all")
    said: dict[str, Any] = tomllib.loads(path.read_text())
    unknown = said.keys() - {field.name for field in fields(Scenario)}
    if unknown:
        raise SystemExit(f"{path.name}: unknown entries {sorted(unknown)}")
    return Scenario(name=name, **said)
