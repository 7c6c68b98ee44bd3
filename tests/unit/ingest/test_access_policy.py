"""Promise: every call of the protocol has a policy, and what has none is open to nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from stepline_ingest.access.grpc_guard import GuardInterceptor
from stepline_ingest.access.key import Scope
from stepline_ingest.access.policy import METHODS, PUBLIC
from stepline_ingest.limits import LARGE_REQUESTS, MIB, Limits

PROTO = Path(__file__).parents[3] / "proto"


def methods_of_the_protocol(directory: Path) -> set[str]:
    """All full names, from the .proto files themselves."""
    from grpc_tools import protoc

    out = directory / "all.binpb"
    files = sorted(str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto"))
    command = ["protoc", f"--proto_path={PROTO}", f"--descriptor_set_out={out}", *files]
    assert protoc.main(command) == 0
    found = FileDescriptorSet.FromString(out.read_bytes())
    return {
        f"/{file.package}.{service.name}/{method.name}"
        for file in found.file
        for service in file.service
        for method in service.method
    }


def test_every_call_of_the_protocol_is_listed(tmp_path: Path) -> None:
    ours = {method for method in METHODS if method.startswith("/stepline.")}
    assert ours == methods_of_the_protocol(tmp_path), "add it to access/policy.py"


def test_only_probes_are_public() -> None:
    public = {method for method, scope in METHODS.items() if scope is PUBLIC}
    assert all(method.startswith("/grpc.health.v1.Health/") for method in public)
    assert {m for m, scope in METHODS.items() if scope is Scope.ADMIN} == {
        "/stepline.v1.Admin/Backup",
        "/stepline.v1.Admin/ListMonths",
        "/stepline.v1.Audit/Doctor",
        *(f"/stepline.v1.Keys/{name}" for name in ("CreateKey", "ListKeys", "RevokeKey")),
    }


def test_every_call_has_a_limit_on_its_request(tmp_path: Path) -> None:
    methods = methods_of_the_protocol(tmp_path)
    assert set(LARGE_REQUESTS) <= methods
    limits = Limits()
    for method in methods:
        limit = limits.of_a_request(method)
        if method in LARGE_REQUESTS:
            assert limits.max_request_bytes < limit <= limits.max_message_bytes
        else:
            assert limit == limits.max_request_bytes == MIB


def test_what_may_be_sent_fits_into_its_request() -> None:
    limits = Limits()
    for method, needed in (
        ("Runs/CreateRun", limits.max_config_bytes + limits.max_tags * limits.max_name_bytes),
        ("Capture/PutContext", limits.max_context_bytes),
        ("Query/Export", limits.max_exported_pattern_bytes + 5 * limits.max_exported_ranks),
        ("Query/Sql", limits.max_query_bytes),
        ("Ingest/Push", limits.max_batch_bytes),
        ("Runs/UpdateRun", limits.max_config_bytes + limits.max_notes_bytes),
    ):
        assert needed + 64_000 < limits.of_a_request(f"/stepline.v1.{method}"), method


class Details:
    invocation_metadata = ()

    def __init__(self, method: str) -> None:
        self.method = method


@pytest.mark.parametrize("method", ["/stepline.v1.Runs/Unlisted", "/grpc.reflection.v1.X/Y"])
async def test_what_is_not_listed_is_refused(method: str) -> None:
    async def handler(request: Any, context: Any) -> None:
        raise AssertionError("reached")

    async def continuation(details: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(handler)

    class Open:
        async def admit(self, secret: str | None, scope: Scope | None) -> None: ...

    class Context:
        code = None

        async def abort(self, code: grpc.StatusCode, *rest: Any) -> None:
            self.code = code
            raise ConnectionAbortedError

    found = await GuardInterceptor(Open()).intercept_service(continuation, Details(method))  # type: ignore[arg-type]
    context = Context()
    with pytest.raises(ConnectionAbortedError):
        await found.stream_stream(None, context)
    assert context.code is grpc.StatusCode.PERMISSION_DENIED
