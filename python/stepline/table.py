"""The answer to a SQL query."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from .columns import need

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

FORMAT = "JSONCompactEachRowWithNamesAndTypes"
"""The ClickHouse format that is asked for. The service quotes NaN and infinities in it, which JSON
has no words for.
"""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of Python values: int, float (NaN and infinities included), str, bool, None, and lists
    of them.

    Dates, times, decimals and UUIDs are text, as ClickHouse writes them.
    """

    columns: tuple[str, ...]
    types: tuple[str, ...]
    """ClickHouse types, one a column."""
    rows: list[tuple[Any, ...]] = field(repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self.rows)

    def to_arrow(self) -> pyarrow.Table:
        """A pyarrow.Table. Raises ImportError when pyarrow is not installed."""
        return need("pyarrow", "to_arrow").table(self._column_lists(), names=list(self.columns))

    def to_pandas(self) -> pandas.DataFrame:
        """A pandas.DataFrame. Raises ImportError when pandas is not installed."""
        return need("pandas", "to_pandas").DataFrame(self.rows, columns=list(self.columns))

    def to_polars(self) -> polars.DataFrame:
        """A polars.DataFrame. Raises ImportError when polars is not installed."""
        made = need("polars", "to_polars").DataFrame(
            self.rows, schema=list(self.columns), orient="row", infer_schema_length=None
        )
        return cast("polars.DataFrame", made)

    def _column_lists(self) -> list[list[Any]]:
        return [[row[index] for row in self.rows] for index in range(len(self.columns))]

    @classmethod
    def parse(cls, data: bytes) -> Table:
        """Of the bytes of FORMAT: a line of names, a line of types, a line for each row."""
        # not splitlines(), which would also cut at U+2028 and the like inside a text
        lines = [json.loads(line) for line in data.split(b"\n") if line.strip()]
        if len(lines) < 2:
            return cls(columns=(), types=(), rows=[])
        names, types, *rows = lines
        repairs = [_repair(_bare(kind)) for kind in types]
        if any(repairs):
            rows = [
                [
                    value if repair is None else _apply(repair, value)
                    for repair, value in zip(repairs, row, strict=True)
                ]
                for row in rows
            ]
        return cls(columns=tuple(names), types=tuple(types), rows=[tuple(row) for row in rows])


def _bare(kind: str) -> str:
    """Float64 of Nullable(LowCardinality(Array(Float64)))."""
    for wrapper in ("Nullable(", "LowCardinality(", "Array("):
        if kind.startswith(wrapper):
            return _bare(kind[len(wrapper) : -1])
    return kind


def _repair(kind: str) -> type | None:
    """What a text in a column of this type has to become: quoted denormals and quoted large
    integers.
    """
    if kind in ("Float32", "Float64", "BFloat16"):
        return float
    if kind.startswith(("Int", "UInt")) and not kind.startswith("Interval"):
        return int
    return None


def _apply(repair: type, value: Any) -> Any:
    if isinstance(value, list):
        return [_apply(repair, item) for item in value]
    if isinstance(value, str) or (repair is float and isinstance(value, int)):
        return repair(value)
    return value
