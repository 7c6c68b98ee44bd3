"""What surrounds a run is recorded with it, without secrets and without ever being in the way."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import stepline
from stepline.context import chosen_parts, gathering, git_report
from stepline.context.environment import environment
from stepline.context.gathering import Gathering
from stepline.context.git import GitLook, find_repository
from stepline.context.machine import machine
from stepline.context.packages import packages
from stepline.errors import InvalidRequest
from stepline.launch import Launch
from tests.support.spool_file import read_spool

ALL = frozenset(("git", "diff", "program", "packages", "environment", "machine"))
SECRET = "hf_" + "a1B2" * 10


def git(folder: Path, *words: str) -> str:
    quiet = ["-c", "user.name=n", "-c", "user.email=e@x", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *quiet, *words], cwd=folder, capture_output=True, check=True)
    return done.stdout.decode().strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """One commit, one changed file, one that git does not know."""
    folder = tmp_path / "code"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "train.py").write_text("lr = 0.1\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "one")
    git(folder, "remote", "add", "origin", "https://me:ghp_secret@example.com/team/code.git")
    (folder / "train.py").write_text(f'lr = 0.2\nTOKEN = "{SECRET}"\n')
    (folder / "größe notes.txt").write_text("x")
    return folder


def report(root: Path, *options: str) -> dict[str, Any]:
    script = Path(git_report.__file__)
    command = [sys.executable, "-I", "-S", str(script), str(root), *options]
    found: dict[str, Any] = json.loads(subprocess.check_output(command))
    return found


# --- which parts ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "parts"),
    [
        ("all", ALL),
        ("none", frozenset()),
        (True, ALL),
        (False, frozenset()),
        ("git,machine", {"git", "machine"}),
        (["git"], {"git"}),
        ("-diff", ALL - {"diff"}),
        ("all, -diff, -environment", ALL - {"diff", "environment"}),
    ],
)
def test_parts_are_chosen_by_name(asked: Any, parts: set[str]) -> None:
    assert chosen_parts(asked) == parts


@pytest.mark.parametrize("asked", ["everything", "git,nothing", ["-"], [3]])
def test_a_part_that_is_none_is_refused(asked: Any) -> None:
    with pytest.raises(InvalidRequest, match="capture="):
        chosen_parts(asked)


# --- git -----------------------------------------------------------------------------------------


def test_the_commit_and_what_was_changed_since(repository: Path) -> None:
    found = report(repository, "diff")
    assert found["git"] == {
        "root": str(repository),
        "commit": git(repository, "rev-parse", "HEAD"),
        "branch": "main",
        "dirty": True,
        "changed": ["train.py"],
        "untracked": ["größe notes.txt"],
        "remote": "https://example.com/team/code.git",
    }
    assert "-lr = 0.1\n+lr = 0.2" in found["diff"]["diff"]
    assert SECRET not in found["diff"]["diff"]
    assert "diff" not in report(repository)


def test_a_long_diff_is_cut_and_says_so(repository: Path) -> None:
    (repository / "train.py").write_text("a line of text\n" * 60_000)
    found = report(repository, "diff")["diff"]
    assert (len(found["diff"]), found["cut"]) == (git_report.DIFF_BYTES, True)


def test_a_clean_tree_and_one_without_commits(repository: Path, tmp_path: Path) -> None:
    git(repository, "stash", "-q")
    found = report(repository, "diff")
    assert (found["git"]["dirty"], "diff" in found) == (False, False)
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "-q")
    assert report(empty, "diff") == {"git": {"root": str(empty), "branch": "main", "dirty": False}}


def test_what_is_no_repository_says_nothing(tmp_path: Path) -> None:
    assert report(tmp_path, "diff") == {}
    (tmp_path / ".git").write_text("garbage")
    assert report(tmp_path, "diff") == {}


def test_renames_and_conflicts_are_changes_of_one_path() -> None:
    found = git_report.read_status(
        "# branch.oid (initial)\n# branch.head (detached)\n"
        f"2 R. N... 100644 100644 100644 {'a' * 40} {'b' * 40} R100 new name.py\told.py\n"
        f"u UU N... 100644 100644 100644 100644 {'a' * 40} {'b' * 40} {'c' * 40} both ways.py\n"
    )
    assert found == {"dirty": True, "changed": ["new name.py", "both ways.py"]}


def test_the_repository_of_the_script_comes_before_that_of_the_directory(
    repository: Path, tmp_path: Path
) -> None:
    inner = repository / "a" / "b"
    inner.mkdir(parents=True)
    assert find_repository(str(inner), str(tmp_path)) == repository
    assert find_repository(None, str(repository)) == repository
    assert find_repository("/", None) is None


def test_git_that_hangs_is_not_waited_for(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "bin"
    slow.mkdir()
    (slow / "git").write_text("#!/bin/sh\nexec sleep 600\n")
    (slow / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow}{os.pathsep}{os.environ['PATH']}")
    look = GitLook(repository, diff=True)
    assert not look.look()
    look.close()
    assert (look.look(), look.parts()) == (True, {})


# --- the other parts -----------------------------------------------------------------------------


def test_packages_are_those_that_the_metadata_names() -> None:
    found = packages(time.monotonic() + 60)["packages"]
    wanted = {}
    for one in importlib.metadata.distributions():
        wanted.setdefault(re.sub(r"[-_.]+", "-", one.metadata["Name"]).lower(), one.version)
    assert found == wanted


def test_a_slow_file_system_gives_a_part_of_the_packages() -> None:
    assert packages(time.monotonic() - 1).get("incomplete") is True


def test_variables_are_those_that_matter_and_without_secrets() -> None:
    given = {
        "NCCL_DEBUG": "INFO",
        "CUDA_VISIBLE_DEVICES": "0,1",
        "HF_TOKEN": SECRET,
        "STEPLINE_API_KEY": "stepline_" + "a" * 64,
        "MASTER_ADDR": f"see https://me:{SECRET}@host",
        "HOME": "/root",
        "LANG": "\udcff",
    }
    found = environment(given)["variables"]
    assert (found["NCCL_DEBUG"], found["CUDA_VISIBLE_DEVICES"]) == ("INFO", "0,1")
    assert (found["HF_TOKEN"], found["STEPLINE_API_KEY"]) == ("***", "***")
    assert "HOME" not in found
    assert SECRET not in json.dumps(found)
    assert found["LANG"] == "?"


def test_gpus_are_read_from_their_drivers(tmp_path: Path) -> None:
    nvidia = tmp_path / "proc/driver/nvidia/gpus/0000:0f:00.0"
    nvidia.mkdir(parents=True)
    (nvidia / "information").write_text("Model: \t\t NVIDIA H100\nGPU UUID:  \t GPU-1-2\n")
    amd = tmp_path / "sys/class/drm/card1/device"
    amd.mkdir(parents=True)
    (amd / "vendor").write_text("0x1002\n")
    (amd / "product_name").write_text("Instinct MI300X\n")
    (amd / "mem_info_vram_total").write_text("206141652992\n")
    version = tmp_path / "sys/module/nvidia/version"
    version.parent.mkdir(parents=True)
    version.write_text("575.57\n")
    found = machine(tmp_path)
    assert found["gpus"] == [
        {"name": "NVIDIA H100", "bus": "0000:0f:00.0", "uuid": "GPU-1-2"},
        {"name": "Instinct MI300X", "bus": "device", "memory": 206141652992},
    ]
    assert found["nvidia_driver"] == "575.57"
    assert "gpus" not in machine(tmp_path / "none")


# --- a run ---------------------------------------------------------------------------------------


def recorded(run: stepline.Run) -> dict[str, Any]:
    assert run.spool is not None
    controls = read_spool(run.spool).controls
    parts = [control["context"] for control in controls if "context" in control]
    return {part["part"]: part["content"] for part in parts}


def start(folder: Path, **options: Any) -> stepline.Run:
    return stepline.init(mode="offline", dir=folder / "spools", **options)


def test_a_run_records_what_surrounds_it(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository)
    monkeypatch.setattr(gathering, "script", lambda: None)
    monkeypatch.setattr(gathering, "_PATIENCE", 60.0)
    monkeypatch.setattr(
        sys, "orig_argv", ["python", "train.py", "--api-key", SECRET, "--lr", "0.1"]
    )
    run = start(tmp_path, capture="all")
    run.log({"a": 1})
    spool = run.spool
    run.finish()
    assert spool is not None
    found = recorded(run)
    assert set(found) == ALL
    assert found["program"]["command"] == "python train.py --api-key *** --lr 0.1"
    assert found["program"]["directory"] == str(repository)
    assert found["git"]["branch"] == "main"
    assert SECRET not in json.dumps(found)
    assert [list(control) for control in read_spool(spool).controls][-1] == ["finish"]


def test_nothing_is_recorded_when_it_is_switched_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert recorded(start(tmp_path, capture="none")) == {}
    monkeypatch.setenv("STEPLINE_CAPTURE", "program")
    assert set(recorded(start(tmp_path))) == {"program"}


def test_other_ranks_tell_of_their_machine_only_and_once_a_host(tmp_path: Path) -> None:
    def parts(rank: int, local_rank: int | None) -> set[str]:
        environ = {"RANK": str(rank), "WORLD_SIZE": "16"}
        if local_rank is not None:
            environ["LOCAL_RANK"] = str(local_rank)
        found: list[str] = []
        gathered = Gathering(ALL - {"git", "diff"}, Launch.detect(environ=environ))
        gathered.record(found.append)
        return {json.loads(record)["context"]["part"] for record in found}

    assert parts(0, None) == parts(0, 0) == ALL - {"git", "diff"}
    assert parts(8, 0) == {"machine"}
    assert parts(9, 1) == parts(9, None) == set()


def test_what_fails_is_left_out_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fails(*args: object, **options: object) -> Any:
        raise RuntimeError("no")

    for name in ("program", "environment", "machine", "packages", "find_repository"):
        monkeypatch.setattr(gathering, name, fails)
    run = start(tmp_path, capture="all")
    run.log({"a": 1})
    assert recorded(run) == {}
    assert "RuntimeError" not in capfd.readouterr().err


def test_a_forked_child_leaves_git_to_its_parent(repository: Path) -> None:
    look = GitLook(repository, diff=True)
    pid = os.fork()
    if pid == 0:
        look.close()
        os._exit(look.look())
    assert os.waitpid(pid, 0)[1] == 0
    look.wait(60)
    assert set(look.parts()) == {"git", "diff"}
    look.close()
