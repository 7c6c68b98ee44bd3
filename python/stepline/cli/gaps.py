"""Says on standard error what an answer lacks because it has expired."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from ..errors import ExpiredPointsWarning
from ..expired import Expired, text_of


def tell(gaps: Iterable[Expired]) -> None:
    """One line, or nothing."""
    text = text_of(gaps)
    if text:
        print(f"stepline: {text}", file=sys.stderr)


@contextmanager
def told() -> Iterator[None]:
    """Without the warning that says the same to programs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExpiredPointsWarning)
        yield
