"""A question in SQL from anyone, asked in a thread, and ended when nobody waits for the answer."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import aclosing

from stepline_ingest.store.cancel import MARK
from stepline_ingest.store.contract import Param, Setting, Store, StoreError

from .pump import pumped

log = logging.getLogger(__name__)

Transform = Callable[[Iterator[bytes]], Iterator[bytes]]


async def asked(
    store: Store,
    executor: Executor,
    sql: str,
    fmt: str,
    params: Mapping[str, Param] | None = None,
    settings: Mapping[str, Setting] | None = None,
    *,
    project: str | None,
    transform: Transform | None = None,
    counted: Callable[[int], None] | None = None,
    named: Callable[[str], None] | None = None,
    revision: int = 0,
) -> AsyncGenerator[bytes, None]:
    """The answer piece after piece, each through TRANSFORM in the thread. COUNTED, NAMED and
    REVISION as in `Store.stream_raw`. Raises StoreError.

    Whoever stops reading ends the query in the engine, also while it has given nothing yet.
    """
    mark = secrets.token_hex(8)
    marked: dict[str, Setting] = {**(settings or {}), MARK: mark}

    def read() -> Iterator[bytes]:
        pieces = store.stream_raw(
            sql,
            fmt,
            params,
            marked,
            project=project,
            counted=counted,
            named=named,
            revision=revision,
        )
        return pieces if transform is None else transform(pieces)

    over = False
    try:
        async with aclosing(pumped(executor, read)) as pieces:
            async for piece in pieces:
                yield piece
        over = True
    except StoreError:
        over = True
        raise
    finally:
        if not over:
            # In a thread of the loop's own: those of EXECUTOR may all stand in such queries.
            asyncio.get_running_loop().run_in_executor(None, _end, store, mark)


def _end(store: Store, mark: str) -> None:
    try:
        store.cancel(mark)
    except StoreError as error:
        log.warning("a query that nobody waits for goes on: %s", error)
