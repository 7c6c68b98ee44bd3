"""Real torchrun on the processor: all ranks of a job are one run, whoever restarts what."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Launched, free_port, other_python

pytestmark = pytest.mark.torch


def torchrun(*options: str, nodes: int = 1, port: str = "", each: int = 2) -> list[list[str]]:
    """The command of each agent; PORT makes it a rendezvous without --rdzv-id."""
    python = other_python("STEPLINE_TORCH_PYTHON")
    command = [python, "-m", "torch.distributed.run", f"--nproc-per-node={each}", *options]
    if not port:
        return [command] * nodes
    master = [f"--nnodes={nodes}", "--master-addr=127.0.0.1", f"--master-port={port}"]
    return [[*command, *master, f"--node-rank={node}"] for node in range(nodes)]


def met(port: str, run_id: str, *options: str) -> list[list[str]]:
    """Two agents that find each other by a rendezvous with an id."""
    place = [f"--rdzv-endpoint=127.0.0.1:{port}", "--rdzv-backend=c10d", f"--rdzv-id={run_id}"]
    return torchrun("--nnodes=2", *place, *options, nodes=2)


def starts(found: list[dict[str, Any]]) -> list[tuple[int, int]]:
    return [(one["attempt"], one["rank"]) for one in found]


def runs(found: list[dict[str, Any]]) -> set[str]:
    return {one["run"] for one in found}


def test_the_ranks_of_one_host_are_one_run_with_one_attempt(launched: Launched) -> None:
    found = launched.job(*torchrun("--standalone"))
    assert (len(runs(found)), starts(found)) == (1, [(1, 0), (1, 1)])
    assert [(one["local_rank"], one["local_world_size"]) for one in found] == [(0, 2), (1, 2)]
    assert launched.stored(found[0]["run"]) == {(1, 0), (1, 1)}
    assert runs(launched.job(*torchrun())).isdisjoint(runs(found))


def test_a_restart_on_one_host_is_the_next_attempt(launched: Launched) -> None:
    found = launched.job(*torchrun("--max-restarts=1"), resume="auto", crash="1")
    assert (len(runs(found)), {(2, 0), (2, 1)} <= set(starts(found))) == (1, True)
    assert max(one["attempt"] for one in found) == 2


def test_two_hosts_without_an_id_are_one_run_and_the_next_launch_another(
    launched: Launched,
) -> None:
    port = free_port()
    first, second = (launched.job(*torchrun(nodes=2, port=port)) for _ in range(2))
    assert starts(first) == starts(second) == [(1, rank) for rank in range(4)]
    assert (len(runs(first)), len(runs(second)), len(runs(first) | runs(second))) == (1, 1, 2)
    assert [one["local_rank"] for one in first] == [0, 1, 0, 1]


@pytest.mark.parametrize("early", [False, True], ids=["after init", "before init"])
def test_two_hosts_agree_on_the_attempt_after_a_restart(launched: Launched, early: bool) -> None:
    options = {"early": ""} if early else {}
    agents = met(free_port(), "job7", "--max-restarts=2")
    found = launched.job(*agents, resume="auto", crash="3", **options)
    newest = max(one["attempt"] for one in found)
    assert (len(runs(found)), newest) == (1, 2)
    assert {rank for attempt, rank in starts(found) if attempt == newest} == {0, 1, 2, 3}


def test_an_id_is_kept_over_launches_at_other_ports(launched: Launched) -> None:
    found = [launched.job(*met(free_port(), "job8"), resume="auto") for _ in range(2)]
    assert len(runs([*found[0], *found[1]])) == 1
    assert (starts(found[0]), starts(found[1])) == (
        [(1, rank) for rank in range(4)],
        [(2, rank) for rank in range(4)],
    )
