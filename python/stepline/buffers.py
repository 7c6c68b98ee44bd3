"""Columns for `log_array()`: buffers go through untouched, everything else is converted once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import InvalidRequest

if TYPE_CHECKING:
    from typing_extensions import Buffer

_INT64 = frozenset({"q", "=q", "<q", "l", "<l"})
_FLOAT64 = frozenset({"d", "=d", "<d"})


def int64_column(values: Any, what: str) -> Buffer:
    """A one-dimensional contiguous buffer of int64. Raises InvalidRequest, naming WHAT, when there
    are no whole numbers.
    """
    return _ready(values, _INT64) or _convert(values, what, "int64", "biu", "whole numbers")


def float64_column(values: Any, what: str) -> Buffer:
    """A one-dimensional contiguous buffer of float64. Raises InvalidRequest, naming WHAT, when
    there are no numbers.
    """
    return _ready(values, _FLOAT64) or _convert(values, what, "float64", "biuf", "numbers")


def _ready(values: Any, formats: frozenset[str]) -> Buffer | None:
    try:
        view = memoryview(values)
    except TypeError:
        return None
    if view.ndim == 1 and view.itemsize == 8 and view.format in formats and view.c_contiguous:
        return view
    return None


def _convert(values: Any, what: str, dtype: str, kinds: str, wanted: str) -> Buffer:
    import numpy as np

    if hasattr(values, "is_leaf") and hasattr(values, "detach"):  # a tensor of torch
        values = values.detach()
        if dtype == "float64" and "bfloat16" in str(values.dtype):  # which NumPy does not have
            values = values.float()
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidRequest(
            f"{what} cannot be read as an array ({error}): pass {wanted}."
        ) from None
    if array.ndim != 1:
        raise InvalidRequest(
            f"{what} has {array.ndim} dimensions: pass a flat sequence of {wanted}."
        )
    if array.size and array.dtype.kind not in kinds:
        raise InvalidRequest(f"{what} holds {array.dtype}: pass {wanted}.")
    if array.dtype == np.uint64 and dtype == "int64" and array.size and array.max() > 2**63 - 1:
        raise InvalidRequest(f"{what} holds numbers above 2**63 - 1: pass {wanted} that fit int64.")
    return np.ascontiguousarray(array, dtype=dtype).data
