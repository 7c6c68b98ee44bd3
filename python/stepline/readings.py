"""How often a host is measured for a run: `init(system_metrics=..)`, STEPLINE_SYSTEM_METRICS."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .errors import InvalidRequest

DEFAULT = "15"
_SHORTEST = 0.1
_LONGEST = 86_400.0


@dataclass(frozen=True, kw_only=True)
class Readings:
    """What the uploader is told."""

    interval_ms: int
    """0: no readings."""
    cores: bool
    """Each processor as well."""

    @classmethod
    def parse(cls, asked: float | str | bool) -> Readings:
        """ASKED is a number of seconds, "off", or a text such as "15" or "15,cores". Raises
        InvalidRequest for anything else."""
        if asked is False or asked == "off" or asked == 0:
            return cls(interval_ms=0, cores=False)
        number, _, more = (DEFAULT if asked is True else str(asked)).partition(",")
        try:
            seconds = float(number.strip().removesuffix("s"))
        except ValueError:
            seconds = math.nan
        if not _SHORTEST <= seconds <= _LONGEST or more.strip() not in ("", "cores"):
            raise InvalidRequest(
                f"system_metrics={asked!r} is no interval: pass seconds from {_SHORTEST} to "
                f'{_LONGEST:.0f}, "15,cores" for each processor as well, or "off".'
            )
        return cls(interval_ms=round(seconds * 1000), cores=bool(more.strip()))
