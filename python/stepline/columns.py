"""Columns of equal length, and how they become tables of other libraries."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

Int64 = npt.NDArray[np.int64]
UInt64 = npt.NDArray[np.uint64]
Float64 = npt.NDArray[np.float64]

# Made once: naming a type takes longer than looking at a column through it.
_INT64, _UINT64, _FLOAT64 = np.dtype("<i8"), np.dtype("<u8"), np.dtype("<f8")


class Columns:
    """Something made of named NumPy arrays of equal length."""

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays by their names, in order."""
        raise NotImplementedError

    def to_arrow(self) -> pyarrow.Table:
        """A pyarrow.Table. Raises ImportError when pyarrow is not installed."""
        return need("pyarrow", "to_arrow").table(self.columns())

    def to_pandas(self) -> pandas.DataFrame:
        """A pandas.DataFrame. Raises ImportError when pandas is not installed."""
        return need("pandas", "to_pandas").DataFrame(self.columns())

    def to_polars(self) -> polars.DataFrame:
        """A polars.DataFrame. Raises ImportError when polars is not installed."""
        made = need("polars", "to_polars").DataFrame(self.columns())
        return cast("polars.DataFrame", made)


def need(package: str, method: str) -> Any:
    """The module PACKAGE, or an ImportError that says how to get it."""
    try:
        return import_module(package)
    except ImportError as error:
        raise ImportError(f"{method}() needs {package}: pip install {package}") from error


def int64(data: bytes) -> Int64:
    """Little-endian int64 as they came over the wire."""
    return np.frombuffer(data, _INT64)


def uint64(data: bytes) -> UInt64:
    """Little-endian uint64 as they came over the wire."""
    return np.frombuffer(data, _UINT64)


def float64(data: bytes) -> Float64:
    """Little-endian float64 as they came over the wire, NaN payloads included."""
    return np.frombuffer(data, _FLOAT64)
