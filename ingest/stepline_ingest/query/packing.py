"""Lines that travel in one message.

A message costs either side as much as some ten thousand bytes in it, and most lines are smaller. So
a request may say that its lines come together: the first one as always, the rest in its `others`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from stepline_ingest.gen.stepline.v1 import query_pb2

from .request import ChartQuery

_MOST_BYTES = 1 << 20
"""Of a message with several lines. Some of them make a message, so that a reader begins with the
first one while the next one is on its way."""
_HEAD = 300
"""About what a line takes beside its columns."""
_OTHER_COLUMNS = 2
"""x, and one of those that only some requests have."""


def bytes_of(line: query_pb2.ChartLine, query: ChartQuery) -> int:
    """About what LINE takes, of an answer to QUERY; rather more. ByteSize() writes the whole
    message to know it."""
    columns = _OTHER_COLUMNS + len(query.columns) + len(query.quantiles)
    return _HEAD + 8 * line.rows * columns + sum(map(len, line.group_run_ids))


def packed(
    lines: Iterable[query_pb2.ChartLine], query: ChartQuery
) -> Iterator[query_pb2.ChartLine]:
    """LINES of QUERY in their order, in as few messages as may be. They are changed."""
    first, size = None, 0
    for line in lines:
        own = bytes_of(line, query)
        if first is not None and size + own <= _MOST_BYTES:
            first.others.add().CopyFrom(line)
            size += own
            continue
        if first is not None:
            yield first
        first, size = line, own
    if first is not None:
        yield first


def drawn_over(line: query_pb2.ChartLine, axis: str) -> query_pb2.ChartLine:
    """LINE, which others may hold too, with the AXIS that nobody had to say."""
    if line.defined_x == axis:
        return line
    named = query_pb2.ChartLine()
    named.CopyFrom(line)
    for one in (named, *named.others):
        one.defined_x = axis
    return named
