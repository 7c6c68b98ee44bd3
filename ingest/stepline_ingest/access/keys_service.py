"""stepline.v1.Keys: keys are made, listed and revoked."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar

import grpc

from stepline_ingest.access.key import Key, Scope, digest, new_secret
from stepline_ingest.access.key_tables import KeyTables
from stepline_ingest.access.keyring import KeyRing
from stepline_ingest.errors import ServiceError, abort, invalid, later
from stepline_ingest.gen.stepline.v1 import keys_pb2, keys_pb2_grpc
from stepline_ingest.limits import Limits
from stepline_ingest.run_request import check_text, now_ms
from stepline_ingest.store.errors import StoreError

log = logging.getLogger(__name__)

Result = TypeVar("Result")

_SCOPES = {
    keys_pb2.KEY_SCOPE_INGEST: Scope.INGEST,
    keys_pb2.KEY_SCOPE_READ: Scope.READ,
    keys_pb2.KEY_SCOPE_ADMIN: Scope.ADMIN,
}
_NUMBERS = {scope: number for number, scope in _SCOPES.items()}
_ID = re.compile(r"[0-9a-f]{12}", re.ASCII)


class KeyMaker:
    """Makes and revokes keys in a store. Every method blocks; used by the service and, while it
    does not run, by `stepline key --data`."""

    def __init__(self, tables: KeyTables, limits: Limits) -> None:
        self._tables = tables
        self._limits = limits

    def create(
        self, scope: Scope, project: str, name: str, expires_ms: int | None
    ) -> tuple[Key, str]:
        """A new key and its text. Raises ServiceError, StoreError."""
        check_text("project", project, self._limits)
        check_text("name", name, self._limits)
        if scope is Scope.ADMIN and project:
            raise invalid(
                "an admin key is for all projects: leave the project out, or make an ingest or a "
                "read key"
            )
        if scope is not Scope.ADMIN and not project:
            raise invalid(f"a key with the scope {scope.value} is for one project: name it")
        if expires_ms is not None and expires_ms <= now_ms():
            raise invalid("the key would be expired already: give a time that lies ahead")
        if len(self._tables.load()) >= self._limits.max_keys:
            raise ServiceError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"there are {self._limits.max_keys} keys already: share one key a team and project",
            )
        secret = new_secret()
        key = Key(
            digest=digest(secret),
            scope=scope,
            project=project,
            name=name,
            created_ms=now_ms(),
            expires_ms=expires_ms,
        )
        self._tables.put(key)
        log.info(
            "key %s made: scope %s, project %r",
            key.id,
            scope.value,
            project,
            extra={"event": "key_made", "key": key.id},
        )
        return key, secret

    def list(self) -> list[Key]:
        return self._tables.load()

    def revoke(self, key_id: str) -> Key:
        """Raises ServiceError: NOT_FOUND."""
        found = next((key for key in self._tables.load() if key.id == key_id), None)
        if found is None:
            shown = f" {key_id}" if _ID.fullmatch(key_id) else ""
            raise ServiceError(
                grpc.StatusCode.NOT_FOUND,
                f"there is no key{shown}: `stepline key list` shows the ids, which have 12 "
                "hexadecimal digits",
            )
        if found.revoked_ms is not None:
            return found
        revoked = Key(
            digest=found.digest,
            scope=found.scope,
            project=found.project,
            name=found.name,
            created_ms=found.created_ms,
            expires_ms=found.expires_ms,
            revoked_ms=now_ms(),
        )
        self._tables.put(revoked)
        log.info("key %s revoked", revoked.id, extra={"event": "key_revoked", "key": revoked.id})
        return revoked


class KeysService(keys_pb2_grpc.KeysServicer):
    """The calls. Whoever gets here was let in by the guard."""

    def __init__(self, keys: KeyMaker, ring: KeyRing, executor: Executor) -> None:
        self._keys = keys
        self._ring = ring
        self._executor = executor

    async def CreateKey(
        self, request: keys_pb2.CreateKeyRequest, context: Any
    ) -> keys_pb2.CreateKeyReply:
        def create() -> tuple[Key, str]:
            scope = _SCOPES.get(request.scope)
            if scope is None:
                raise invalid("a key needs a scope: ingest, read or admin")
            expires = request.expires_ms if request.HasField("expires_ms") else None
            return self._keys.create(scope, request.project, request.name, expires)

        key, secret = await self._answered(create, context)
        return keys_pb2.CreateKeyReply(key=to_message(key), secret=secret)

    async def ListKeys(
        self, request: keys_pb2.ListKeysRequest, context: Any
    ) -> keys_pb2.ListKeysReply:
        keys = await self._answered(self._keys.list, context)
        return keys_pb2.ListKeysReply(keys=[to_message(key) for key in keys])

    async def RevokeKey(
        self, request: keys_pb2.RevokeKeyRequest, context: Any
    ) -> keys_pb2.RevokeKeyReply:
        key = await self._answered(lambda: self._keys.revoke(request.id), context)
        return keys_pb2.RevokeKeyReply(key=to_message(key))

    async def _answered(self, call: Callable[[], Result], context: Any) -> Result:
        """What CALL returns, with what it raises turned into a status."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, call)
        except ServiceError as error:
            await abort(context, error)
        except StoreError as error:
            log.warning("keys: the store fails: %s", error)
            await abort(context, later(f"the store fails: {error}; try again later"))
        finally:
            self._ring.forget()


def to_message(key: Key) -> keys_pb2.Key:
    return keys_pb2.Key(
        id=key.id,
        scope=_NUMBERS[key.scope],
        project=key.project,
        name=key.name,
        created_ms=key.created_ms,
        expires_ms=key.expires_ms,
        revoked_ms=key.revoked_ms,
    )
