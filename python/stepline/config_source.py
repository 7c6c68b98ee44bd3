"""What people keep their settings in, as plain dicts: argparse, dataclasses, OmegaConf, pydantic,
attrs, and whatever has `to_dict()`. By their shape, so that none of these libraries is needed here.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable, Mapping
from datetime import date, time
from enum import Enum
from types import BuiltinFunctionType, FunctionType
from typing import Any

from .errors import InvalidValue

_NAMED_TYPES = frozenset({"dtype", "device", "DType"})
"""Types whose text says all, such as torch.bfloat16; by their name, in whatever library."""


def plain_mapping(value: object, where: str) -> Mapping[Any, object] | None:
    """VALUE as a mapping whose values may need the same again; None when it is no kind of one.

    Raises InvalidValue when the object does not give its values, with what it says.
    """
    read = _reader(value)
    if read is None:
        return value if isinstance(value, Mapping) else None
    try:
        found = read()
    except Exception as error:
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        raise InvalidValue(
            f"{where} is a {kind} that does not give its values ({type(error).__name__}: {error}): "
            "pass a dict of it."
        ) from error
    return found if isinstance(found, Mapping) else None


def plain_value(value: object) -> object:
    """A value that stands in configs and has a plain form: members of enums, dates, sets, types,
    functions; VALUE itself for everything else."""
    if isinstance(value, Enum):
        return value.value if isinstance(value.value, (str, int, float, bool)) else value.name
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=lambda item: (type(item).__name__, str(item)))
    if isinstance(value, (type, FunctionType, BuiltinFunctionType)):
        return f"{value.__module__}.{value.__qualname__}"
    if type(value).__name__ in _NAMED_TYPES:
        return str(value)
    if _is_omega(value):
        return _omega(value)
    return value


def _reader(value: object) -> Callable[[], object] | None:
    """How VALUE gives its values."""
    kind = type(value)
    if isinstance(value, type):
        return None
    if isinstance(value, argparse.Namespace):
        return lambda: dict(vars(value))
    if _is_omega(value):
        return lambda: _omega(value)
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
        return lambda: {name: getattr(value, name) for name in names if hasattr(value, name)}
    if hasattr(kind, "model_fields") and callable(getattr(value, "model_dump", None)):
        return lambda: value.model_dump(mode="json")  # type: ignore[attr-defined]
    if hasattr(kind, "__fields__") and hasattr(kind, "__validators__"):  # pydantic 1
        return lambda: value.dict()  # type: ignore[attr-defined]
    fields = getattr(kind, "__attrs_attrs__", None)
    if fields is not None:
        names = [field.name for field in fields]
        return lambda: {name: getattr(value, name) for name in names}
    if not isinstance(value, Mapping) and callable(getattr(value, "to_dict", None)):
        return lambda: value.to_dict()  # type: ignore[attr-defined]
    return None


def _is_omega(value: object) -> bool:
    kind = type(value)
    return kind.__module__.startswith("omegaconf.") and kind.__name__ in (
        "DictConfig",
        "ListConfig",
    )


def _omega(value: object) -> object:
    """With its interpolations resolved; "???" where a mandatory value is missing."""
    return sys.modules["omegaconf"].OmegaConf.to_container(value, resolve=True)
