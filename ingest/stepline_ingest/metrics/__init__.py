"""What the service counts and measures, in Prometheus terms.

names      every metric: its name, kind, labels, help
reasons    the values of the labels that say why
registry   `Metrics`: the instruments behind typed methods
calls      counts every gRPC call by method and code
sampler    asks the engine and the disk now and then

`metrics` is the one instance of this process, as a process is one service. All methods may be
called from any thread and cost 1 to 2 us: once a batch or a call is fine, once a point is not.
"""

from .names import Kind, Name, Spec
from .reasons import AuthFailure, QueryKind, Refusal, RejectReason
from .registry import Metrics

__all__ = [
    "AuthFailure",
    "Kind",
    "Metrics",
    "Name",
    "QueryKind",
    "Refusal",
    "RejectReason",
    "Spec",
    "metrics",
]

metrics = Metrics()
