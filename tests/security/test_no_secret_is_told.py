"""Promise: a key is in the spool's own file, which only its user can read, and nowhere else: in no
log, no error, no command line."""

from __future__ import annotations

import os
import stat
import traceback
import uuid
from pathlib import Path

import psutil
import pytest

import stepline
from stepline_ingest.access.key import PREFIX
from tests.security.conftest import Guarded, Refused, command


def uploaders(spools: Path) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if str(spools) in (process.info["cmdline"] or [])
    ]


def test_no_log_error_or_command_line_has_a_key(
    tmp_path: Path, spools: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """
    Scenario: everything runs at the log level debug, with good keys and with wrong ones.
    Guarantees: no output has a key; files that hold one can be read by their user only.
    """
    told: list[str] = []
    project = f"canary-{uuid.uuid4().hex[:8]}"
    wrong = PREFIX + "c0ffee" * 10 + "beef"
    with Guarded(tmp_path / "data", "--log-level", "debug") as service:
        good = service.key("ingest", project)
        secrets = (good, wrong, service.admin)
        run = stepline.init(project=project, server=service.grpc, api_key=good, dir=spools)
        run.log({"loss": 1.0}, step=0)
        told.append(repr(run) + repr(vars(run)))
        told += [" ".join(process.cmdline()) for process in uploaders(spools)]
        assert len(told) > 1, "the uploader process was seen"
        holders = _files_with(spools, good)
        assert holders, "the uploader finds the key in the spool"
        for path in holders:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(spools.stat().st_mode) & 0o077 == 0
        assert run.finish(timeout=120).complete
        with pytest.raises(stepline.errors.AccessDenied) as denied:
            stepline.init(project=project, server=service.grpc, api_key=wrong, dir=spools)
        told += traceback.format_exception(denied.value)
        with stepline.connect(service.grpc, api_key=wrong) as client:
            told.append(repr(client) + repr(vars(client)))
            with pytest.raises(stepline.errors.AccessDenied) as denied:
                client.sql("SELECT 1")
            told += traceback.format_exception(denied.value)
        for arguments in (("key", "list"), ("runs",), ("sql", "SELECT 1")):
            with pytest.raises(Refused) as refused:
                command(*arguments, server=service.grpc, api_key=wrong)
            told.append(str(refused.value))
        told.append(service.ask("key", "list", api_key=service.admin))
        told.append(" ".join(psutil.Process(service.pid).cmdline()))
        with stepline.connect(service.grpc, api_key=service.admin) as admin:
            told.append(str(list(admin.sql("SELECT query FROM system.processes"))))
    told.append(service.log.read_text())
    captured = capfd.readouterr()
    told += [captured.out, captured.err]
    for log in spools.rglob("*.log"):
        told.append(log.read_text(errors="replace"))
    for secret in secrets:
        assert not any(secret in text or secret.removeprefix(PREFIX) in text for text in told)
        assert not _files_with(tmp_path / "data", secret), "the store holds digests only"
    assert not _files_with(spools, wrong)


def _files_with(directory: Path, secret: str) -> list[Path]:
    return [
        path
        for path in directory.rglob("*")
        if path.is_file() and not path.is_symlink() and os.access(path, os.R_OK)
        and secret.encode() in path.read_bytes()
    ]  # fmt: skip
