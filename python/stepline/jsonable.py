"""Turning what people put into a config or a summary into JSON."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import Any

from .config_source import plain_mapping, plain_value
from .errors import InvalidValue

MAX_DEPTH = 200
"""Lists and dicts in each other: what the service takes, and any reader of JSON."""


def jsonable(value: object, where: str) -> Any:
    """A copy of VALUE made of dict, list, str, int, float, bool and None.

    Zero-dimensional NumPy arrays, NumPy scalars and anything else with `ndim == 0` and `.item()`
    become Python numbers, tuples and sets become lists, paths, dates, types and functions become
    text, members of enums their value. Objects with settings (argparse, dataclasses, OmegaConf,
    pydantic, attrs, whatever has `to_dict()`) become dicts. JSON has no NaN and no infinities: they
    become "nan", "inf" and "-inf". Raises InvalidValue, which names WHERE, for everything else.
    """
    try:
        return _jsonable(value, where, 1)
    except RecursionError:
        raise InvalidValue(
            f"{where} contains itself, or is nested deeper than {MAX_DEPTH}: pass less of it."
        ) from None


def _jsonable(value: object, where: str, depth: int) -> Any:
    """DEPTH is that of VALUE, where it is a list or a dict."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, where)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, (list, tuple)):
        _check(depth)
        return [_jsonable(item, f"{where}[{index}]", depth + 1) for index, item in enumerate(value)]
    mapping = value if type(value) is dict else plain_mapping(value, where)
    if mapping is not None:
        _check(depth)
        return _object(mapping, where, depth)
    if isinstance(value, os.PathLike):
        return _text(os.fsdecode(value), where)
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        return _jsonable(value.item(), where, depth)
    plain = plain_value(value)
    if plain is not value:
        return _jsonable(plain, where, depth)
    remedy = (
        "pass .tolist() of it" if hasattr(value, "tolist") else "pass numbers, text, lists or dicts"
    )
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    raise InvalidValue(f"{where} is a {kind}, which JSON cannot hold: {remedy}.")


def dumps(value: object) -> str:
    """Compact JSON of what `jsonable` returned."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _check(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise RecursionError


def _text(value: str, where: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidValue(
            f"{where} has the text {value!r}, which UTF-8 cannot hold: replace its surrogates."
        ) from None
    return value


def _object(value: Mapping[Any, object], where: str, depth: int) -> dict[str, Any]:
    result = {}
    for key, item in value.items():
        if not isinstance(key, str):
            raise InvalidValue(
                f"{where} has the key {key!r}, but the keys of JSON are text: use {str(key)!r}."
            )
        result[_text(key, where)] = _jsonable(item, f"{where}[{key!r}]", depth + 1)
    return result
