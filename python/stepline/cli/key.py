"""`stepline key`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from .. import _core
from ..errors import InvalidRequest, from_core, sentence
from ..jsonable import dumps, jsonable
from ..keys import SCOPES, KeyInfo, expiry_ms
from ..settings import find_api_key, find_server
from ..tls import find_tls
from .options import add_json, add_server
from .output import Column, moment, print_json, print_table
from .service import imported

HELP = "make, list and revoke API keys"

_COLUMNS = (
    Column("id"),
    Column("scope"),
    Column("project"),
    Column("name"),
    Column("state"),
    Column("created"),
    Column("expires"),
)


class Keys(Protocol):
    """Where keys are kept: `_core.Connection` has it, and stepline_ingest's offline access."""

    def create_key(
        self, scope: str, project: str, name: str, expires_ms: int | None
    ) -> tuple[dict[str, Any], str]: ...
    def list_keys(self) -> list[dict[str, Any]]: ...
    def revoke_key(self, id: str) -> dict[str, Any]: ...


def add(parser: argparse.ArgumentParser) -> None:
    """The actions and their options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    create = actions.add_parser("create", help="make a key and print it, this once")
    create.add_argument("--scope", required=True, choices=SCOPES, help="what it is for")
    create.add_argument("--project", default="", help="what it is bound to; not for admin keys")
    create.add_argument("--name", default="", help="for people, such as who has it")
    create.add_argument("--expires", metavar="SPAN", help="such as 90d; without it, never")
    listing = actions.add_parser("list", help="show all keys, but not their text")
    revoke = actions.add_parser("revoke", help="end a key within seconds")
    revoke.add_argument("id", metavar="ID", help="as `stepline key list` shows it")
    for action in (create, listing, revoke):
        add_json(action)
        add_server(action)
        action.add_argument(
            "--data",
            type=Path,
            metavar="DIR",
            help="a data directory whose service does not run, instead of a service",
        )
        action.add_argument(
            "--store",
            metavar="DSN",
            help="with --data: the ClickHouse server of the service (default: "
            "$STEPLINE_SERVE_STORE)",
        )


def run(args: argparse.Namespace) -> int:
    """Prints the key, a table of keys, or what was revoked."""
    with _keys(args) as keys:
        if args.action == "create":
            return _create(keys, args)
        if args.action == "list":
            return _list(keys, args)
        return _revoke(keys, args)


def _create(keys: Keys, args: argparse.Namespace) -> int:
    reply, secret = keys.create_key(args.scope, args.project, args.name, expiry_ms(args.expires))
    key = KeyInfo.from_reply(reply)
    if args.json:
        print(dumps(jsonable({**_fields(key), "key": secret}, "key")))
        return 0
    where = f"project {key.project}" if key.project else "all projects"
    until = f", until {moment(key.expires)}" if key.expires else ""
    # The key alone goes to standard output: KEY=$(stepline key create ...)
    print(secret)
    print(
        f"stepline: key {key.id} for {key.scope} in {where}{until}. It is shown only now: keep it "
        "where secrets are kept, and set STEPLINE_API_KEY to it.",
        file=sys.stderr,
    )
    if key.scope != "admin" and not _has_admin(keys):
        print(
            "stepline: the service asks for keys from now on, and there is no admin key. Make one "
            "with `stepline key create --scope admin --data DIR` while the service is stopped.",
            file=sys.stderr,
        )
    return 0


def _has_admin(keys: Keys) -> bool:
    try:
        known = [KeyInfo.from_reply(reply) for reply in keys.list_keys()]
    except _core.CoreError:
        return False  # the first key was made, and it is not ours to list with
    return any(key.scope == "admin" and key.state == "valid" for key in known)


def _list(keys: Keys, args: argparse.Namespace) -> int:
    known = [KeyInfo.from_reply(reply) for reply in keys.list_keys()]
    if args.json:
        print_json(_fields(key) for key in known)
        return 0
    print_table(_COLUMNS, map(_row, known))
    return 0


def _revoke(keys: Keys, args: argparse.Namespace) -> int:
    key = KeyInfo.from_reply(keys.revoke_key(args.id))
    if args.json:
        print(dumps(jsonable(_fields(key), "key")))
        return 0
    print(f"key {key.id} ({key.scope}, {key.project or 'all projects'}) is revoked")
    return 0


@contextmanager
def _keys(args: argparse.Namespace) -> Iterator[Keys]:
    """The keys of a service, or of a data directory."""
    if args.data is None and args.store is None:
        server = find_server(args.server)
        try:
            connection = _core.Connection(server, api_key=find_api_key(args.api_key), **find_tls())
            try:
                yield connection
            finally:
                connection.close()
        except _core.CoreError as error:
            raise from_core(error, server=server, missing=InvalidRequest) from None
        return
    if args.server is not None:
        raise InvalidRequest("--server and --data name two places: give one of them.")
    if args.data is None:
        raise InvalidRequest("--store needs --data too: the one that the service is started with.")
    offline = imported("stepline_ingest.access.offline")
    try:
        with offline.keys(
            args.data.expanduser(), args.store, make=args.action == "create"
        ) as found:
            yield found
    except offline.OfflineError as error:
        raise InvalidRequest(sentence(str(error))) from None


def _fields(key: KeyInfo) -> dict[str, Any]:
    return {
        "id": key.id,
        "scope": key.scope,
        "project": key.project,
        "name": key.name,
        "state": key.state,
        "created": key.created.isoformat(),
        "expires": key.expires.isoformat() if key.expires else None,
        "revoked": key.revoked.isoformat() if key.revoked else None,
    }


def _row(key: KeyInfo) -> tuple[str, ...]:
    return (
        key.id,
        key.scope,
        key.project or "(all)",
        key.name,
        key.state,
        moment(key.created),
        moment(key.expires) if key.expires else "never",
    )
