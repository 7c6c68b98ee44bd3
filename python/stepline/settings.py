"""What `init()` was asked for: arguments come first, then the environment, then the defaults."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar, get_args

from .config import RESERVED, settings_of
from .console.setting import Console
from .console.setting import chosen as chosen_console
from .context.choice import chosen_parts
from .errors import InvalidRequest
from .readings import DEFAULT as DEFAULT_READINGS
from .readings import Readings
from .tls import TlsFiles, find_tls

Mode = Literal["online", "offline", "disabled"]
Resume = Literal["never", "allow", "must", "auto"]
OnLive = Literal["refuse", "take_over", "new_run"]
OnError = Literal["offline", "raise", "disabled"]
UploaderKind = Literal["process", "thread"]
SpoolPolicy = Literal["refuse", "block", "drop_oldest"]
SpoolWrite = Literal["auto", "mapped", "buffered"]

DEFAULT_SERVER = "127.0.0.1:7424"
DEFAULT_PROJECT = "default"
DEFAULT_SPOOL_LIMIT = 8 << 30
"""Bytes that one process may have waiting; 0 is no limit."""
LEAST_SPOOL_LIMIT = 1 << 20

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FORK = re.compile(rf"{_RUN_ID.pattern}@-?\d{{1,19}}")
_BYTES = re.compile(r"(\d{1,15})\s*(?:([KMGT])(?:iB)?)?")
_Choice = TypeVar("_Choice", bound=str)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One field for each argument of `init()`, but for ranks: see `launch`."""

    server: str
    api_key: str | None = field(repr=False)
    tls: TlsFiles
    project: str
    run_id: str | None
    name: str | None
    config: Mapping[str, object]
    tags: tuple[str, ...]
    group: str | None
    job_type: str | None
    resume: Resume
    fork_from: str | None
    on_live: OnLive | None
    mode: Mode
    dir: Path
    on_error: OnError
    uploader: UploaderKind
    spool_limit: int
    spool_policy: SpoolPolicy
    spool_write: SpoolWrite
    capture: frozenset[str]
    redact: bool
    """Whether secrets in the config are left out of what is stored."""
    readings: Readings
    console: Console

    @classmethod
    def resolve(
        cls,
        *,
        server: str | None = None,
        api_key: str | None = None,
        project: str | None = None,
        run_id: str | None = None,
        name: str | None = None,
        config: object = None,
        tags: Iterable[str] | None = None,
        group: str | None = None,
        job_type: str | None = None,
        resume: str = "never",
        fork_from: str | None = None,
        on_live: str | None = None,
        mode: str | None = None,
        dir: str | os.PathLike[str] | None = None,
        on_error: str = "offline",
        uploader: str = "process",
        spool_limit: int | str | None = None,
        spool_policy: str | None = None,
        capture: str | bool | Iterable[str] | None = None,
        redact: bool | None = None,
        system_metrics: float | str | bool | None = None,
        console: bool | str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Settings:
        """Fills what is None from ENVIRON (the process environment), and checks everything.

        Raises InvalidRequest with the argument's name and what it may be.
        """
        env = os.environ if environ is None else environ
        _check_texts(
            server=server,
            api_key=api_key,
            project=project,
            run_id=run_id,
            name=name,
            group=group,
            job_type=job_type,
            fork_from=fork_from,
        )
        found_run_id = run_id or env.get("STEPLINE_RUN_ID") or None
        if found_run_id is not None:
            check_run_id(found_run_id)
        if fork_from is not None and _FORK.fullmatch(fork_from) is None:
            raise InvalidRequest(
                f'fork_from={fork_from!r} is not "RUN_ID@STEP": write it like "a1b2c3@5000".'
            )
        if isinstance(tags, str):
            raise InvalidRequest(f"tags={tags!r} is one text: pass a list, such as [{tags!r}].")
        given = settings_of(config, "config")
        if RESERVED in given:
            raise InvalidRequest(f"The config key {RESERVED!r} is reserved: choose another.")
        words = tuple(tags or ())
        if not all(isinstance(tag, str) for tag in words):
            raise InvalidRequest(f"tags={list(words)!r} are not all text: pass a list of str.")
        found_project = project or env.get("STEPLINE_PROJECT") or DEFAULT_PROJECT
        found_server, found_key = find_server(server, env), find_api_key(api_key, env)
        _check_unicode(
            *(("server", found_server), ("api_key", found_key), ("project", found_project)),
            *(("name", name), ("group", group), ("job_type", job_type)),
            *(("tags", tag) for tag in words),
        )
        return cls(
            server=found_server,
            api_key=found_key,
            tls=find_tls(env),
            project=found_project,
            run_id=found_run_id,
            name=name,
            config=given,
            tags=words,
            group=group,
            job_type=job_type,
            resume=_choice("resume", resume, get_args(Resume)),
            fork_from=fork_from,
            on_live=None if on_live is None else _choice("on_live", on_live, get_args(OnLive)),
            mode=_choice("mode", mode or env.get("STEPLINE_MODE") or "online", get_args(Mode)),
            dir=find_dir(dir, env),
            on_error=_choice("on_error", on_error, get_args(OnError)),
            uploader=_choice("uploader", uploader, get_args(UploaderKind)),
            spool_limit=_spool_limit(spool_limit, env),
            spool_policy=_choice(
                "spool_policy",
                spool_policy or env.get("STEPLINE_SPOOL_POLICY") or "refuse",
                get_args(SpoolPolicy),
            ),
            spool_write=_choice(
                "STEPLINE_SPOOL_WRITE",
                env.get("STEPLINE_SPOOL_WRITE") or "auto",
                get_args(SpoolWrite),
            ),
            redact=env.get("STEPLINE_REDACT") != "0" if redact is None else bool(redact),
            capture=chosen_parts(
                env.get("STEPLINE_CAPTURE") or "all" if capture is None else capture
            ),
            console=chosen_console(
                env.get("STEPLINE_CONSOLE") or "off" if console is None else console
            ),
            readings=Readings.parse(
                env.get("STEPLINE_SYSTEM_METRICS") or DEFAULT_READINGS
                if system_metrics is None
                else system_metrics
            ),
        )


def find_server(server: str | None = None, environ: Mapping[str, str] | None = None) -> str:
    """The argument, or STEPLINE_SERVER, or 127.0.0.1:7424. With STEPLINE_INSECURE=1 an address that
    says nothing about encryption becomes one that says http://."""
    env = os.environ if environ is None else environ
    found = server or env.get("STEPLINE_SERVER") or DEFAULT_SERVER
    plaintext = env.get("STEPLINE_INSECURE") == "1" and "://" not in found
    return f"http://{found}" if plaintext else found


def find_api_key(
    api_key: str | None = None, environ: Mapping[str, str] | None = None
) -> str | None:
    """The argument, or STEPLINE_API_KEY, or None."""
    env = os.environ if environ is None else environ
    return api_key or env.get("STEPLINE_API_KEY") or None


def find_dir(
    dir: str | os.PathLike[str] | None = None, environ: Mapping[str, str] | None = None
) -> Path:
    """Where spools lie: the argument, or STEPLINE_DIR, or
    ${XDG_STATE_HOME:-~/.local/state}/stepline.
    """
    env = os.environ if environ is None else environ
    chosen = dir or env.get("STEPLINE_DIR")
    if chosen:
        return Path(chosen).expanduser().absolute()
    state = env.get("XDG_STATE_HOME")
    base = Path(state) if state else Path("~/.local/state").expanduser()
    return (base / "stepline").absolute()


def check_run_id(run_id: str) -> None:
    """Raises InvalidRequest unless RUN_ID is 1 to 64 of [A-Za-z0-9._-], the first a letter or
    digit.
    """
    if _RUN_ID.fullmatch(run_id) is None:
        raise InvalidRequest(
            f"run_id={run_id!r} cannot be used: take 1 to 64 letters, digits, dots, dashes or "
            "underscores, the first a letter or a digit."
        )


def _spool_limit(given: int | str | None, env: Mapping[str, str]) -> int:
    """Bytes: a number, or a text such as "500M" or "2GiB" (powers of 1024); 0 is no limit."""
    found = given if given is not None else env.get("STEPLINE_SPOOL_LIMIT") or DEFAULT_SPOOL_LIMIT
    match = _BYTES.fullmatch(str(found).strip()) if not isinstance(found, bool) else None
    limit = -1
    if match is not None:
        limit = int(match[1]) << (10 * " KMGT".index(match[2] or " "))
    if limit != 0 and not LEAST_SPOOL_LIMIT <= limit < 2**63:
        raise InvalidRequest(
            f"spool_limit={found!r} is no size: pass bytes, such as 2 << 30, or a text such as "
            '"2GiB"; at least 1 MiB, or 0 for no limit.'
        )
    return limit


def _check_texts(**arguments: object) -> None:
    for name, value in arguments.items():
        if value is not None and not isinstance(value, str):
            raise InvalidRequest(f"{name} is not text but {type(value).__name__}: pass a str.")


def _check_unicode(*texts: tuple[str, str | None]) -> None:
    """A lone surrogate, such as os.environ makes of a byte that is no UTF-8, cannot be sent."""
    for name, text in texts:
        if any("\ud800" <= character <= "\udfff" for character in text or ""):
            shown = "" if name == "api_key" else f"={text!r}"
            raise InvalidRequest(f"{name}{shown} is not valid Unicode: replace its surrogates.")


def _choice(name: str, value: str, allowed: tuple[_Choice, ...]) -> _Choice:
    for choice in allowed:
        if value == choice:
            return choice
    words = ", ".join(repr(choice) for choice in allowed)
    raise InvalidRequest(f"{name}={value!r} is unknown: use one of {words}.")
