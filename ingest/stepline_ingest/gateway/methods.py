"""What can be called, from the descriptors of proto/."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message import Message

import stepline_ingest.gen.stepline.v1 as generated


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One call of the protocol."""

    path: str
    """/package.Service/Method, in gRPC as in Connect."""
    request: type[Message]
    reply: type[Message]
    takes_stream: bool
    gives_stream: bool
    only_reads: bool
    """Declared free of side effects, so that it may be made with GET."""


def all_methods() -> Iterator[Method]:
    """Every method of every service of proto/."""
    for module in pkgutil.iter_modules(generated.__path__):
        if not module.name.endswith("_pb2"):
            continue
        file = importlib.import_module(f"{generated.__name__}.{module.name}").DESCRIPTOR
        for service in file.services_by_name.values():
            yield from map(_method, service.methods)


def _method(method: Any) -> Method:
    return Method(
        path=f"/{method.containing_service.full_name}/{method.name}",
        request=message_factory.GetMessageClass(method.input_type),
        reply=message_factory.GetMessageClass(method.output_type),
        takes_stream=method.client_streaming,
        gives_stream=method.server_streaming,
        only_reads=method.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS,
    )
