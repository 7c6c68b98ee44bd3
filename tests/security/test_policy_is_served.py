"""Promise: each call that the policy names is answered, and nothing else is."""

from __future__ import annotations

import grpc
import pytest

from stepline_ingest.access.policy import METHODS, PUBLIC
from tests.security.conftest import Guarded

NOBODY = {grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}


def code_of(service: Guarded, method: str, key: str | None) -> grpc.StatusCode:
    """What METHOD says to an empty message first."""
    metadata = [("authorization", f"Bearer {key}")] if key else []
    with grpc.insecure_channel(service.grpc) as channel:
        call = channel.stream_stream(method)(iter([b""]), metadata=metadata, timeout=60)
        try:
            next(call, None)
        except grpc.RpcError as error:
            return error.code()
        finally:
            call.cancel()
        return grpc.StatusCode.OK


@pytest.mark.parametrize("method", sorted(METHODS))
def test_what_the_policy_names_is_served(guarded: Guarded, method: str) -> None:
    key = None if METHODS[method] is PUBLIC else guarded.admin
    assert code_of(guarded, method, key) not in NOBODY


def test_what_it_does_not_name_is_refused(guarded: Guarded) -> None:
    found = code_of(guarded, "/grpc.health.v1.Health/List", None)
    assert found is grpc.StatusCode.PERMISSION_DENIED
