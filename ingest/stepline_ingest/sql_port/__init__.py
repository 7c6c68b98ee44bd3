"""The SQL port: the part of ClickHouse's HTTP interface that reads, for clickhouse-connect,
Grafana, DBeaver and curl.

- `question`: what a request asks, and what of it is refused.
- `packing`: answers packed as a client accepts them.
- `port`: asks the store and answers, in pieces.
"""

from .port import SqlPort

__all__ = ["SqlPort"]
