"""`Settings.resolve`: arguments, then the environment, then defaults; and what is no setting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import stepline
from stepline.errors import InvalidRequest
from stepline.settings import Settings, find_api_key, find_dir, find_server

ENVIRONMENT = {
    "STEPLINE_SERVER": "env:1",
    "STEPLINE_API_KEY": "env-key",
    "STEPLINE_PROJECT": "env-project",
    "STEPLINE_RUN_ID": "env-run",
    "STEPLINE_MODE": "offline",
    "STEPLINE_DIR": "/env/dir",
}
ARGUMENTS = {
    "server": "arg:1",
    "api_key": "arg-key",
    "project": "arg-project",
    "run_id": "arg-run",
    "mode": "disabled",
    "dir": "/arg/dir",
}


def chosen(settings: Settings) -> tuple[object, ...]:
    return (
        settings.server,
        settings.api_key,
        settings.project,
        settings.run_id,
        settings.mode,
        settings.dir,
    )


# --- where a value comes from --------------------------------------------------------------------


def test_arguments_come_before_the_environment() -> None:
    settings = Settings.resolve(**ARGUMENTS, environ=ENVIRONMENT)
    assert chosen(settings) == (
        "arg:1",
        "arg-key",
        "arg-project",
        "arg-run",
        "disabled",
        Path("/arg/dir"),
    )


def test_the_environment_comes_before_the_defaults() -> None:
    assert chosen(Settings.resolve(environ=ENVIRONMENT)) == (
        "env:1",
        "env-key",
        "env-project",
        "env-run",
        "offline",
        Path("/env/dir"),
    )


def test_the_defaults_are_a_service_on_this_host_and_a_folder_of_the_user() -> None:
    settings = Settings.resolve(environ={})
    assert chosen(settings) == (
        "127.0.0.1:7424",
        None,
        "default",
        None,
        "online",
        Path("~/.local/state/stepline").expanduser(),
    )
    assert (settings.resume, settings.on_error, settings.uploader) == (
        "never",
        "offline",
        "process",
    )
    assert (settings.config, settings.tags) == ({}, ())
    assert (settings.name, settings.group, settings.job_type, settings.fork_from) == (None,) * 4


@pytest.mark.parametrize("argument", sorted(ARGUMENTS))
def test_each_argument_is_found_by_itself(argument: str) -> None:
    settings = Settings.resolve(environ=ENVIRONMENT, **{argument: ARGUMENTS[argument]})
    from_environment = Settings.resolve(environ=ENVIRONMENT)
    changed = {
        name for name in ARGUMENTS if getattr(settings, name) != getattr(from_environment, name)
    }
    assert changed == {argument}


def test_an_empty_variable_is_as_good_as_none() -> None:
    assert chosen(Settings.resolve(environ=dict.fromkeys(ENVIRONMENT, ""))) == chosen(
        Settings.resolve(environ={})
    )


def test_without_a_mapping_the_process_environment_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    assert chosen(Settings.resolve()) == chosen(Settings.resolve(environ=ENVIRONMENT))
    assert (find_server(), find_api_key(), find_dir()) == ("env:1", "env-key", Path("/env/dir"))


def test_spools_lie_where_xdg_says() -> None:
    assert find_dir(environ={"XDG_STATE_HOME": "/state"}) == Path("/state/stepline")
    assert find_dir(environ={"XDG_STATE_HOME": "/state", "STEPLINE_DIR": "/own"}) == Path("/own")


def test_a_directory_is_absolute_and_knows_the_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/someone")
    assert find_dir("spools") == tmp_path / "spools"
    assert find_dir(Path("~/spools")) == Path("/home/someone/spools")


def test_the_api_key_is_not_shown() -> None:
    assert "secret" not in repr(Settings.resolve(api_key="secret", environ={}))


# --- what can never work -------------------------------------------------------------------------

BAD: list[tuple[str, Any, str, str]] = [
    ("run_id", "-a", "'-a'", "the first a letter or a digit"),
    ("run_id", "a b", "'a b'", "letters, digits, dots, dashes or underscores"),
    ("run_id", "a/b", "'a/b'", "letters, digits, dots, dashes or underscores"),
    ("run_id", "é", "'é'", "letters, digits, dots, dashes or underscores"),
    ("run_id", "a\n", r"'a\n'", "letters, digits, dots, dashes or underscores"),
    ("run_id", "a" * 65, "aaa", "1 to 64"),
    ("run_id", 7, "int", "pass a str"),
    ("fork_from", "abc", "'abc'", 'write it like "a1b2c3@5000"'),
    ("fork_from", "abc@", "'abc@'", 'write it like "a1b2c3@5000"'),
    ("fork_from", "@5", "'@5'", 'write it like "a1b2c3@5000"'),
    ("fork_from", "abc@1.5", "'abc@1.5'", 'write it like "a1b2c3@5000"'),
    ("mode", "dry", "'dry'", "use one of 'online', 'offline', 'disabled'"),
    ("resume", "yes", "'yes'", "use one of 'never', 'allow', 'must', 'auto'"),
    ("on_error", "ignore", "'ignore'", "use one of 'offline', 'raise', 'disabled'"),
    ("uploader", "fork", "'fork'", "use one of 'process', 'thread'"),
    ("tags", "baseline", "'baseline'", "pass a list, such as ['baseline']"),
    ("tags", ["a", 1], "1", "pass a list of str"),
    ("config", [("lr", 1)], "list", "pass a dict"),
    ("config", {"_stepline": {}}, "'_stepline'", "choose another"),
    ("name", 5, "int", "pass a str"),
    ("project", Path("gpt"), "Path", "pass a str"),
    ("group", b"g", "bytes", "pass a str"),
    ("job_type", 1.5, "float", "pass a str"),
    ("server", 7424, "int", "pass a str"),
]


@pytest.mark.parametrize(("argument", "value", "shown", "remedy"), BAD)
def test_a_bad_value_is_named_with_its_remedy(
    argument: str, value: Any, shown: str, remedy: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Settings.resolve(environ={}, **{argument: value})
    message = str(caught.value)
    assert argument in message
    assert shown in message
    assert remedy in message
    assert message.endswith(".")


def test_a_bad_api_key_is_not_repeated() -> None:
    wrong: Any = b"secret"
    with pytest.raises(InvalidRequest, match="api_key is not text but bytes") as caught:
        Settings.resolve(api_key=wrong, environ={})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value", "argument"),
    [("STEPLINE_RUN_ID", "a b", "run_id"), ("STEPLINE_MODE", "dry", "mode")],
)
def test_a_bad_variable_is_refused_like_the_argument(
    variable: str, value: str, argument: str
) -> None:
    with pytest.raises(InvalidRequest, match=f"{argument}='{value}'"):
        Settings.resolve(environ={variable: value})


@pytest.mark.parametrize("run_id", ["a", "7", "A.b_c-d", "a" * 64])
def test_a_run_id_that_people_can_type_is_taken(run_id: str) -> None:
    assert Settings.resolve(run_id=run_id, environ={}).run_id == run_id


@pytest.mark.parametrize("fork_from", ["a1b2c3@5000", "a@-3", "a.b@0"])
def test_a_fork_names_a_run_and_a_step(fork_from: str) -> None:
    assert Settings.resolve(fork_from=fork_from, environ={}).fork_from == fork_from


def test_later_changes_of_the_arguments_do_not_reach_the_settings() -> None:
    config: dict[str, object] = {"lr": 1}
    tags = ["a"]
    settings = Settings.resolve(config=config, tags=tags, environ={})
    config["lr"] = 2
    tags.append("b")
    assert (settings.config, settings.tags) == ({"lr": 1}, ("a",))


@pytest.mark.parametrize("argument", ["name", "project", "group", "job_type", "server", "api_key"])
def test_text_that_cannot_be_sent_is_refused(argument: str) -> None:
    with pytest.raises(stepline.InvalidRequest, match=f"{argument}.* is not valid Unicode") as said:
        stepline.init(mode="disabled", **{argument: "a\ud800"})  # type: ignore[arg-type]
    assert ("ud800" in str(said.value)) == (argument != "api_key")


def test_tags_and_the_environment_are_checked_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(stepline.InvalidRequest, match="tags"):
        stepline.init(mode="disabled", tags=["a", "b\udc80"])
    monkeypatch.setenv("STEPLINE_PROJECT", "p\udc80")
    with pytest.raises(stepline.InvalidRequest, match="project"):
        stepline.init(mode="disabled")
