"""The calls of proto/ over HTTP, in the Connect protocol (https://connectrpc.com/docs/protocol).

- `methods`: what can be called, from the descriptors.
- `wire`: errors, envelopes and header names of the protocol.
- `request`: from an HTTP request to the bytes of a message, or to a refusal.
- `codec`: JSON to bytes and back.
- `gateway`: makes the call on the service's own gRPC server, and answers.

The gateway decides nothing: keys, limits and errors are those of the gRPC server, which it reaches
over a socket in the data directory with the Authorization of its caller. It asks the same guard
before it reads a body, so that strangers cost nothing.
"""

from .gateway import Gateway

__all__ = ["Gateway"]
