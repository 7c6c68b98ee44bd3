"""Commands that need the service's own code."""

from __future__ import annotations

import importlib
from typing import Any


def imported(module: str) -> Any:
    """A module of stepline-ingest. Raises ImportError, with the remedy, when that is not
    installed."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("stepline_ingest"):
            raise
        raise ImportError(
            'the service is not installed here: pip install "stepline[server]"'
        ) from None
