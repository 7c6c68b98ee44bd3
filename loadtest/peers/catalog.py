"""Who is measured: name, environment, adapter, and what keeps it from phoning home."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One row of the table."""

    name: str
    title: str
    adapter: str
    """Module of `adapters/`."""
    environment: str | None = None
    """Name of the file in `requirements/`; None: the interpreter that runs this, with Stepline."""
    variables: dict[str, str] = field(default_factory=dict)
    needs_service: bool = False
    """PEER_SERVER is set to a Stepline service of our own."""
    floor: bool = False
    """Not a tracker: a lower bound to compare with."""
    stores: bool = True
    """Something can be read back."""
    share_of_calls: float = 1.0
    """Below 1 for one whose end takes many times as long as its calls."""


CONTENDERS = (
    Contender(
        name="items",
        title="list(d.items())",
        adapter="with_floors",
        variables={"PEER_FLOOR": "items"},
        floor=True,
        stores=False,
    ),
    Contender(
        name="c_walk",
        title='array("d", d.values())',
        adapter="with_floors",
        variables={"PEER_FLOOR": "c_walk"},
        floor=True,
        stores=False,
    ),
    Contender(
        name="json",
        title="json.dumps + write",
        adapter="with_floors",
        variables={"PEER_FLOOR": "json"},
        floor=True,
    ),
    Contender(
        name="stepline",
        title="Stepline",
        adapter="with_stepline",
        needs_service=True,
    ),
    Contender(name="stepline_offline", title="Stepline, offline", adapter="with_stepline"),
    Contender(
        name="tensorboard",
        title="TensorBoard's writer",
        adapter="with_tensorboard",
        environment="tensorboard",
    ),
    Contender(
        name="trackio",
        title="trackio",
        adapter="with_trackio",
        environment="trackio",
        variables={"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"},
    ),
    Contender(
        name="wandb",
        title="wandb, offline",
        adapter="with_wandb",
        environment="wandb",
        variables={
            "WANDB_MODE": "offline",
            "WANDB_ERROR_REPORTING": "false",
            "WANDB_SILENT": "true",
        },
    ),
    Contender(
        name="neptune",
        title="neptune-scale, offline",
        adapter="with_neptune",
        environment="neptune",
        variables={"NEPTUNE_MODE": "offline"},
    ),
    Contender(
        name="aim",
        title="Aim",
        adapter="with_aim",
        environment="aim",
        variables={"__AIM_ANALYTICS__": "0", "AIM_ACCESS_LOG": "0"},
    ),
    Contender(
        name="mlflow",
        title="MLflow",
        adapter="with_mlflow",
        environment="mlflow",
        variables={"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"},
    ),
    Contender(
        name="mlflow_async",
        title="MLflow, asynchronous",
        adapter="with_mlflow",
        environment="mlflow",
        variables={
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "true",
            "PEER_ASYNC": "1",
        },
        share_of_calls=1 / 40,
    ),
)
"""In the order of the table."""


def choose(names: list[str]) -> tuple[Contender, ...]:
    """Those of NAMES, or all. Raises SystemExit for a name that is none."""
    known = {contender.name: contender for contender in CONTENDERS}
    for name in names:
        if name not in known:
            raise SystemExit(f"{name!r} is none of: {', '.join(known)}")
    return tuple(known[name] for name in names) if names else CONTENDERS
