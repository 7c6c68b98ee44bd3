"""INSERTs at a server that nobody waits for any more.

A connection that breaks does not end the INSERT behind it: the server goes on and commits, now or
in a minute. Until it has ended, the marks that are read from the stored rows are not the last word,
and a service that was started anew would take the points a second time. So such INSERTs are waited
for, then killed, before marks are read and before an INSERT is repeated.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from string import Template

from .errors import StoreError
from .params import Param

log = logging.getLogger(__name__)

GRACE = 3.0
"""Seconds that they get to end by themselves."""
PATIENCE = 30.0
"""Seconds after which one that does not die is an error."""
_PAUSE = 0.1

_WHERE = (
    "WHERE query_kind = 'Insert' AND current_database = {database:String} "
    "AND if({token:String} = '', Settings['insert_deduplication_token'] != '', "
    "Settings['insert_deduplication_token'] = {token:String})"
)
_COUNT = Template("SELECT count() FROM $processes $where")
_KILL = Template("KILL QUERY $on_cluster $where ASYNC")


class Orphans:
    """Looks for INSERTs of points into one database, whoever sent them."""

    def __init__(
        self,
        query: Callable[[str, dict[str, Param]], list[tuple[object, ...]]],
        database: str,
        *,
        cluster: str | None = None,
        grace: float = GRACE,
        patience: float = PATIENCE,
    ) -> None:
        """QUERY runs a statement with parameters. With a CLUSTER they are looked for on all of its
        replicas."""
        self._query = query
        self._database = database
        self._grace = grace
        self._patience = patience
        self._count = _COUNT.substitute(
            where=_WHERE,
            processes=f"clusterAllReplicas('{cluster}', system.processes)"
            if cluster
            else "system.processes",
        )
        self._kill = _KILL.substitute(
            where=_WHERE, on_cluster=f"ON CLUSTER '{cluster}'" if cluster else ""
        )

    def end(self, token: str = "") -> None:
        """Returns when no INSERT with TOKEN runs, or without one none at all. Raises StoreError
        when one does not end."""
        asked: dict[str, Param] = {"database": self._database, "token": token}
        begun = time.monotonic()
        killed = False
        while (running := self._query(self._count, asked)) != [(0,)]:
            waited = time.monotonic() - begun
            if waited > self._patience:
                raise StoreError(
                    "INSERTs of an earlier service or connection still run at the server: wait "
                    "until they have ended, or end them with KILL QUERY",
                    outcome_unknown=True,
                    is_retryable=True,
                )
            if waited > self._grace and not killed:
                log.warning("%s INSERTs that nobody waits for are killed", running[0][0])
                self._query(self._kill, asked)
                killed = True
            time.sleep(_PAUSE)
