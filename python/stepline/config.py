"""The config of a run: what it was started with."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .config_source import plain_mapping
from .errors import InvalidRequest
from .jsonable import jsonable

RESERVED = "_stepline"
"""The key under which Stepline keeps its own settings of a run, such as metric definitions. Hidden
from the mapping.
"""


class JsonRecord(Mapping[str, Any]):
    """A mapping of text to JSON values that tells a listener what was set.

    Reading a list or dict gives a copy: to change it, assign it again. Keys cannot be removed,
    because the service merges what it is sent.
    """

    _what = "record"

    def __init__(
        self, values: Mapping[str, object], changed: Callable[[dict[str, Any]], None]
    ) -> None:
        self._values: dict[str, Any] = jsonable(values, self._what)
        self._changed = changed

    def __getitem__(self, key: str) -> Any:
        return copy.deepcopy(self._values[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __setitem__(self, key: str, value: object) -> None:
        self.update({key: value})

    def setdefault(self, key: str, default: object) -> Any:
        """The value of KEY, after setting it to DEFAULT where it is absent."""
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, values: object = None, /, **more: object) -> None:
        """Sets many keys as one change; VALUES are a mapping, or an object with settings, such as
        what argparse gives. Raises InvalidValue for what JSON cannot hold, and then sets nothing.
        """
        changes = jsonable({**settings_of(values, self._what), **more}, self._what)
        if changes:
            self._changed(changes)
            self._values.update(changes)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({dict(self)!r})"


class Config(JsonRecord):
    """`run.config`. Set keys like those of a dict; each change travels with the run's points, in
    order.
    """

    _what = "config"

    def update(self, values: object = None, /, **more: object) -> None:
        """Sets many keys as one change; VALUES are a mapping, or an object with settings, such as
        what argparse gives. Raises InvalidValue for what JSON cannot hold, and then sets nothing.
        """
        given = {**settings_of(values, self._what), **more}
        if RESERVED in given:
            raise InvalidRequest(f"The config key {RESERVED!r} is reserved: choose another.")
        super().update(given)


def settings_of(values: object, what: str) -> dict[Any, object]:
    """VALUES as a dict; an empty one of None. Raises InvalidRequest for what has no keys."""
    if values is None:
        return {}
    mapping = plain_mapping(values, what)
    if mapping is None:
        raise InvalidRequest(
            f"{what} is a {type(values).__name__}: pass a dict, or an object with settings such as "
            "what argparse gives."
        )
    return dict(mapping)
