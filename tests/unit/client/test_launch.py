"""`Launch.detect`: which rank of which start of which job a process is, by its environment."""

from __future__ import annotations

import socket
from typing import Any

import numpy as np
import pytest

from stepline import identity
from stepline.errors import InvalidRequest
from stepline.launch import Launch
from stepline.plan import count_start, make_plan
from stepline.settings import Settings
from stepline.torchrun import Meeting


def torchrun(rank: int, *, restart: int = 0, **more: str) -> dict[str, str]:
    return {
        "RANK": str(rank),
        "WORLD_SIZE": "8",
        "LOCAL_RANK": str(rank % 4),
        "LOCAL_WORLD_SIZE": "4",
        "GROUP_WORLD_SIZE": "2",
        "MASTER_ADDR": "node0",
        "MASTER_PORT": "29500",
        "TORCHELASTIC_RUN_ID": "job7",
        "TORCHELASTIC_RESTART_COUNT": str(restart),
        **more,
    }


def standalone(rank: int, *, restart: int = 0, launch: str = "abcd") -> dict[str, str]:
    """torchrun on one host, without --rdzv-id."""
    error_file = f"/tmp/torchelastic_x/none_{launch}/attempt_{restart}/{rank}/error.json"
    return torchrun(
        rank,
        restart=restart,
        TORCHELASTIC_RUN_ID="none",
        GROUP_WORLD_SIZE="1",
        TORCHELASTIC_ERROR_FILE=error_file,
    )


def slurm(rank: int, *, restart: int = 0, step: str = "0", job: str = "4242") -> dict[str, str]:
    return {
        "SLURM_JOB_ID": job,
        "SLURM_STEP_ID": step,
        "SLURM_PROCID": str(rank),
        "SLURM_LOCALID": str(rank % 4),
        "SLURM_NTASKS": "16",
        "SLURM_STEP_NUM_TASKS": "8",
        **({"SLURM_RESTART_COUNT": str(restart)} if restart else {}),
    }


def open_mpi_4(rank: int, job: str = "1234567") -> dict[str, str]:
    return {
        "OMPI_COMM_WORLD_RANK": str(rank),
        "OMPI_COMM_WORLD_SIZE": "8",
        "OMPI_COMM_WORLD_LOCAL_RANK": str(rank % 4),
        "OMPI_COMM_WORLD_LOCAL_SIZE": "4",
        "OMPI_MCA_ess_base_jobid": job,
    }


def open_mpi_5(rank: int, job: str = "prterun-node0-991@1") -> dict[str, str]:
    return {
        "OMPI_COMM_WORLD_RANK": str(rank),
        "OMPI_COMM_WORLD_SIZE": "8",
        "OMPI_COMM_WORLD_LOCAL_RANK": str(rank % 4),
        "OMPI_COMM_WORLD_LOCAL_SIZE": "4",
        "PMIX_RANK": str(rank),
        "PMIX_NAMESPACE": job,
    }


def stepline(rank: int, launch: str = "mine") -> dict[str, str]:
    return {
        "STEPLINE_RANK": str(rank),
        "STEPLINE_WORLD_SIZE": "8",
        "STEPLINE_LAUNCH_ID": launch,
        "STEPLINE_LOCAL_RANK": str(rank % 4),
    }


def kubernetes(index: int, job: str = "train", uid: str = "u1") -> dict[str, str]:
    """A pod of an indexed job, with its uid and completions through the downward API."""
    return {
        "JOB_COMPLETION_INDEX": str(index),
        "JOB_COMPLETIONS": "8",
        "HOSTNAME": f"{job}-{index}",
        "POD_NAMESPACE": "ml",
        "JOB_UID": uid,
    }


LAUNCHERS = {
    "torchrun": torchrun,
    "torchrun standalone": standalone,
    "slurm": slurm,
    "open mpi 4": open_mpi_4,
    "open mpi 5": open_mpi_5,
    "stepline": stepline,
    "kubernetes": kubernetes,
}
launchers = pytest.mark.parametrize("launcher", LAUNCHERS.values(), ids=LAUNCHERS)


# --- rank and world size -------------------------------------------------------------------------


@launchers
def test_a_launcher_says_the_rank_and_the_size_of_the_job(launcher: Any) -> None:
    for rank in range(8):
        found = Launch.detect(environ=launcher(rank))
        assert (found.rank, found.world_size, found.found) == (rank, 8, True)
        assert found.host == socket.gethostname()


@pytest.mark.parametrize(
    "launcher", [torchrun, standalone, slurm, open_mpi_4, open_mpi_5, stepline]
)
def test_a_launcher_says_the_place_of_a_rank_on_its_host(launcher: Any) -> None:
    assert [Launch.detect(environ=launcher(rank)).local_rank for rank in range(8)] == [
        *range(4),
        *range(4),
    ]


def test_a_pod_is_a_host_of_its_own() -> None:
    found = Launch.detect(environ=kubernetes(5))
    assert (found.local_rank, found.local_world_size) == (0, 1)


def test_where_nobody_says_it_the_local_rank_is_not_known() -> None:
    assert Launch.detect(rank=3, world_size=8, environ={}).local_rank is None
    assert Launch.detect(environ={}).local_rank == 0


def test_a_process_that_nobody_launched_is_a_job_of_its_own() -> None:
    one, other = Launch.detect(environ={}), Launch.detect(environ={})
    assert (one.rank, one.world_size, one.found) == (0, 1, False)
    assert one.launch_id == one.job_id != other.launch_id


def test_the_batch_script_of_slurm_is_one_process() -> None:
    batch = {"SLURM_JOB_ID": "4242", "SLURM_PROCID": "0", "SLURM_NTASKS": "16"}
    found = Launch.detect(environ=batch)
    assert (found.rank, found.world_size, found.found) == (0, 1, False)
    assert found.launch_id != Launch.detect(environ=batch).launch_id


def test_the_step_of_slurm_counts_and_not_its_allocation() -> None:
    environ = slurm(3)
    assert Launch.detect(environ=environ).world_size == 8
    del environ["SLURM_STEP_NUM_TASKS"]
    assert Launch.detect(environ=environ).world_size == 16


def test_pmix_alone_says_the_rank_but_not_the_size() -> None:
    found = Launch.detect(environ={"PMIX_RANK": "3", "PMIX_NAMESPACE": "ns"})
    assert (found.rank, found.world_size, found.launch_id) == (3, 4, "mpi:ns")


@pytest.mark.parametrize(
    ("outer", "inner"),
    [(slurm, torchrun), (slurm, open_mpi_4), (slurm, open_mpi_5), (torchrun, stepline)],
)
def test_the_launcher_nearest_to_the_process_is_believed(outer: Any, inner: Any) -> None:
    both = Launch.detect(environ={**outer(1), **inner(5)})
    alone = Launch.detect(environ=inner(5))
    assert (both.rank, both.world_size, both.job_id) == (5, 8, alone.job_id)


def test_arguments_come_before_the_environment() -> None:
    found = Launch.detect(rank=2, world_size=3, environ=torchrun(7))
    assert (found.rank, found.world_size) == (2, 3)
    assert found.launch_id == Launch.detect(environ=torchrun(0)).launch_id


def test_a_rank_alone_makes_the_job_large_enough() -> None:
    assert Launch.detect(rank=5, environ={}).world_size == 6
    assert Launch.detect(rank=5, environ=torchrun(0)).world_size == 8


def test_a_numpy_rank_becomes_a_plain_one() -> None:
    found = Launch.detect(rank=np.int64(1), world_size=np.int32(2), environ={})  # type: ignore[arg-type]
    assert (found.rank, found.world_size) == (1, 2)
    assert (type(found.rank), type(found.world_size)) == (int, int)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rank": -1}, "rank=-1 is out of range: pass 0 or more"),
        ({"rank": 2**32}, f"rank={2**32} is out of range"),
        ({"rank": 4, "world_size": 4}, "rank=4 does not fit world_size=4: ranks count from 0"),
        ({"rank": 0, "world_size": 0}, "rank=0 does not fit world_size=0"),
        ({"rank": "3"}, "rank='3' is not a whole number: pass an int"),
        ({"world_size": 1.5}, "world_size=1.5 is not a whole number: pass an int"),
    ],
)
def test_a_rank_that_cannot_be_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        Launch.detect(**arguments, environ={})


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"RANK": "x"}, "RANK='x' is not a whole number: correct it, or pass rank="),
        ({"RANK": "0", "WORLD_SIZE": "many"}, "WORLD_SIZE='many' is not a whole number"),
        ({"STEPLINE_RANK": "1.0"}, "STEPLINE_RANK='1.0' is not a whole number"),
        ({"RANK": "-1", "WORLD_SIZE": "4"}, "rank=-1 is out of range"),
    ],
)
def test_a_variable_that_cannot_be_is_refused(environ: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        Launch.detect(environ=environ)


# --- the launch id -------------------------------------------------------------------------------


@launchers
def test_all_ranks_of_a_start_share_its_launch_id(launcher: Any) -> None:
    found = [Launch.detect(environ=launcher(rank)) for rank in range(8)]
    assert len({launch.launch_id for launch in found}) == 1
    assert len({launch.job_id for launch in found}) == 1


@pytest.mark.parametrize("launcher", [torchrun, standalone, slurm])
def test_a_restart_is_another_launch_of_the_same_job(launcher: Any) -> None:
    first = Launch.detect(environ=launcher(0))
    again = Launch.detect(environ=launcher(0, restart=1))
    assert first.launch_id != again.launch_id
    assert first.job_id == again.job_id


def test_two_jobs_are_two_launches() -> None:
    pairs = [
        (standalone(0), standalone(0, launch="efgh")),
        (torchrun(0), torchrun(0, TORCHELASTIC_RUN_ID="job8")),
        (slurm(0), slurm(0, step="1")),
        (slurm(0), slurm(0, job="4243")),
        (open_mpi_4(0), open_mpi_4(0, "7654321")),
        (open_mpi_5(0), open_mpi_5(0, "prterun-node0-992@1")),
        (stepline(0), stepline(0, "other")),
        (kubernetes(0), kubernetes(0, "other")),
        (
            open_mpi_4(0) | {"OMPI_MCA_orte_precondition_transports": "a-b"},
            open_mpi_4(0) | {"OMPI_MCA_orte_precondition_transports": "c-d"},
        ),
    ]
    for one, other in pairs:
        first, second = Launch.detect(environ=one), Launch.detect(environ=other)
        assert first.launch_id != second.launch_id
        assert first.job_id != second.job_id


def test_torchrun_without_an_id_is_known_by_its_slurm_job() -> None:
    def inside(rank: int, job: str) -> Launch:
        environ = {**slurm(0, job=job), **torchrun(rank, TORCHELASTIC_RUN_ID="none")}
        return Launch.detect(environ=environ)

    assert inside(0, "1").launch_id == inside(7, "1").launch_id != inside(0, "2").launch_id


def test_ranks_that_meet_at_another_port_are_of_the_same_job() -> None:
    first = Launch.detect(environ=torchrun(0))
    again = Launch.detect(environ=torchrun(0, MASTER_PORT="29501"))
    assert (first.job_id, first.launch_id != again.launch_id) == (again.job_id, True)


def test_a_job_of_kubernetes_that_is_made_anew_is_told_by_its_uid() -> None:
    first, again = (Launch.detect(environ=kubernetes(0, uid=uid)) for uid in ("u1", "u2"))
    assert (first.job_id, first.launch_id != again.launch_id) == (again.job_id, True)


def test_where_nothing_tells_two_launches_apart_the_id_is_random() -> None:
    environ = torchrun(0, TORCHELASTIC_RUN_ID="none")
    one, other = Launch.detect(environ=environ), Launch.detect(environ=environ)
    assert (one.rank, one.world_size, one.found) == (0, 8, False)
    assert one.launch_id != other.launch_id


# --- the run id that comes of it -----------------------------------------------------------------


def plan_of(launch: Launch, **settings: Any) -> Any:
    return make_plan(Settings.resolve(environ={}, **settings), launch)


def test_ranks_that_do_not_know_of_each_other_agree_on_a_run() -> None:
    plans = [plan_of(Launch.detect(environ=torchrun(rank)), project="p") for rank in range(8)]
    assert len({plan.run_id for plan in plans}) == 1
    assert len({plan.writer for plan in plans}) == 8
    assert plan_of(Launch.detect(environ=torchrun(0)), project="q").run_id != plans[0].run_id


def test_with_auto_a_restart_goes_on_with_the_same_run() -> None:
    first, again = (Launch.detect(environ=torchrun(0, restart=n)) for n in (0, 1))
    assert plan_of(first, resume="auto").run_id == plan_of(again, resume="auto").run_id
    assert plan_of(first).run_id != plan_of(again).run_id


def test_the_second_run_of_a_script_is_another_run() -> None:
    launch = Launch.detect(environ=stepline(0, "second-run-of-a-script"))
    settings = Settings.resolve(environ={})
    first = make_plan(settings, launch)
    count_start(first, settings, launch)
    assert make_plan(settings, launch).run_id != first.run_id


def test_ranks_without_a_launch_id_are_told_how_to_get_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan_of(Launch.detect(rank=1, world_size=2, environ={}))
    assert "rank 1 of 2 found no launch id" in (said := capsys.readouterr().err)
    assert "STEPLINE_LAUNCH_ID" in said


def test_run_ids_are_eight_characters_without_look_alikes() -> None:
    ids = {identity.random_run_id() for _ in range(200)}
    assert len(ids) == 200
    assert all(len(one) == 8 and not set(one) & set("ilou") for one in ids)
    assert identity.derived_run_id("p", "l") == identity.derived_run_id("p", "l")


# --- several agents of torchrun meet at the store of their rendezvous -----------------------------


class MemoryStore:
    """A torch.distributed.Store in memory."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    def add(self, key: str, amount: int, /) -> int:
        total = int(self.values.get(key, b"0")) + amount
        self.values[key] = str(total).encode()
        return total

    def compare_set(self, key: str, expected: str, desired: str, /) -> bytes:
        if self.values.get(key, b"") == expected.encode():
            self.values[key] = desired.encode()
        return self.values.get(key, expected.encode())


def attend(store: MemoryStore, rank: int, *, restarts: str = "0", world: str = "4") -> Any:
    return Meeting(store).attend(rank=rank, group=f"{rank // 2} {restarts}", world=world)


def test_ranks_that_meet_agree_on_a_name_and_a_round() -> None:
    store = MemoryStore()
    assert len({attend(store, rank) for rank in (2, 0, 3, 1)}) == 1
    assert attend(store, 0)[0] != attend(MemoryStore(), 0)[0]


@pytest.mark.parametrize("restarts", [("1", "0"), ("1", "1")], ids=["one counts", "both count"])
def test_a_restart_is_the_next_round_whichever_agent_counts_it(restarts: tuple[str, str]) -> None:
    store = MemoryStore()
    first = {attend(store, rank) for rank in range(4)}
    again = {attend(store, rank, restarts=restarts[rank // 2]) for rank in (3, 1, 0, 2)}
    assert ({number for _, number in first}, {number for _, number in again}) == ({0}, {1})
    assert {name for name, _ in first} == {name for name, _ in again}


def test_a_rank_that_died_before_it_came_is_in_the_round_of_its_restart() -> None:
    store = MemoryStore()
    for rank in (0, 2, 3):
        attend(store, rank)
    assert attend(store, 1, restarts="1") == attend(store, 0, restarts="1")
    assert attend(store, 2)[1] == 1


def test_another_size_of_the_world_is_another_round() -> None:
    store = MemoryStore()
    assert [attend(store, rank)[1] for rank in range(4)] == [0] * 4
    assert [attend(store, rank, world="2")[1] for rank in range(2)] == [1] * 2


def test_an_environment_that_contradicts_itself_is_refused():
    with pytest.raises(InvalidRequest, match="world_size=4"):
        Launch.detect(environ={"RANK": "8", "WORLD_SIZE": "4"})
