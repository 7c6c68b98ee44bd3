"""Configs as people have them: with the real libraries, and by what of them is a secret."""

from __future__ import annotations

import argparse
import dataclasses
import enum
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import attrs
import omegaconf
import pydantic
import pytest

import stepline
from stepline import secrecy
from stepline.errors import InvalidRequest, InvalidValue
from stepline.jsonable import MAX_DEPTH, jsonable
from tests.support.spool_file import read_spool


class Optimizer(enum.Enum):
    ADAM = "adam"
    ODD = object()


@dataclasses.dataclass
class Model:
    depth: int = 2
    path: Path = Path("/data")
    optimizer: Optimizer = Optimizer.ADAM
    late: int = dataclasses.field(init=False)


@attrs.define
class Attrs:
    lr: float = 0.1
    model: Model = attrs.field(factory=Model)


class Pydantic(pydantic.BaseModel):
    lr: float = 0.1
    key: pydantic.SecretStr = pydantic.SecretStr("hush")
    day: date = date(2026, 5, 31)


class Transformers:
    def to_dict(self) -> dict[str, object]:
        return {"hidden_size": 768, "dtype": Tensorish()}


class Tensorish:
    def __str__(self) -> str:
        return "torch.bfloat16"


Tensorish.__name__ = "dtype"
OMEGA = omegaconf.OmegaConf.create({"a": 1, "b": {"c": "${a}"}, "list": [1, "${a}"]})
PLAIN_MODEL = {"depth": 2, "path": "/data", "optimizer": "adam"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (argparse.Namespace(lr=0.1, model=Model()), {"lr": 0.1, "model": PLAIN_MODEL}),
        (Model(), PLAIN_MODEL),
        (OMEGA, {"a": 1, "b": {"c": 1}, "list": [1, 1]}),
        (Attrs(), {"lr": 0.1, "model": PLAIN_MODEL}),
        (Pydantic(), {"lr": 0.1, "key": "**********", "day": "2026-05-31"}),
        (Transformers(), {"hidden_size": 768, "dtype": "torch.bfloat16"}),
        ({"cfg": OMEGA.b, "models": [Model()]}, {"cfg": {"c": 1}, "models": [PLAIN_MODEL]}),
    ],
)
def test_objects_with_settings_become_dicts(value: object, expected: object) -> None:
    assert jsonable(value, "config") == expected
    with stepline.init(mode="disabled", config=value) as run:
        assert dict(run.config) == expected


def test_single_values_with_a_plain_form() -> None:
    value = [Optimizer.ODD, date(2026, 1, 2), {3, 1}, Path, dict.fromkeys, Optimizer, jsonable]
    assert jsonable(value[:4], "x") == ["ODD", "2026-01-02", [1, 3], f"{Path.__module__}.Path"]
    assert jsonable(value[5], "x").endswith("Optimizer")
    assert jsonable(value[6], "x") == "stepline.jsonable.jsonable"


def test_an_object_that_fails_says_how() -> None:
    missing = omegaconf.OmegaConf.create({"a": "${nowhere}"})
    with pytest.raises(InvalidValue, match=r"DictConfig.*does not give its values.*nowhere"):
        stepline.init(mode="disabled", config=missing)
    ring: dict[str, Any] = {}
    ring["self"] = ring
    with pytest.raises(InvalidValue, match="contains itself"):
        stepline.init(mode="disabled", config=ring)
    deep: dict[str, Any] = {"x": []}
    for _ in range(MAX_DEPTH - 2):
        deep = {"x": [deep["x"]]}
    assert jsonable(deep, "config") == deep
    with pytest.raises(InvalidValue, match="nested deeper than 200: pass less of it"):
        jsonable({"x": deep}, "config")
    for wrong in (3, "text", [1], Model):
        with pytest.raises(InvalidRequest, match="pass a dict, or an object with settings"):
            stepline.init(mode="disabled", config=wrong)


def spooled_config(root: Path) -> tuple[Any, list[Any]]:
    """What the only spool below ROOT says of the config, first and later."""
    (description,) = root.rglob("spool.json")
    first = json.loads(json.loads(description.read_text())["config_json"])
    told = [control.get("update", {}) for control in read_spool(description.parent).controls]
    return first, [json.loads(each["config_json"]) for each in told if "config_json" in each]


SECRET: dict[str, object] = {"db": {"password": "hush-hush"}, "lr": 1, "tokenizer": "gpt2"}


@pytest.mark.parametrize(
    ("options", "environ", "stored"),
    [({}, None, "***"), ({"redact": False}, None, "hush-hush"), ({}, "0", "hush-hush"),
     ({"redact": True}, "0", "***")],
)  # fmt: skip
def test_secrets_stay_in_the_process(
    options: dict[str, bool],
    environ: str | None,
    stored: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(secrecy, "_told", set())
    if environ is not None:
        monkeypatch.setenv("STEPLINE_REDACT", environ)
    run = stepline.init(mode="offline", config=SECRET, dir=tmp_path, **options)
    run.config.update(api_key="hush-hush")
    run.config["api_key"] = "hush-hush"
    run.summary["note"] = "see https://ada:hush-hush@example.com/x"
    run.define_metric("token", unit="hush-hush")
    assert run.config["db"] == {"password": "hush-hush"}
    run.finish()
    said = capsys.readouterr().err
    assert ('stored as "***": db.password' in said) == (stored == "***")
    assert said.count("api_key") == (1 if stored == "***" else 0)
    config, updates = spooled_config(tmp_path)
    assert config == {**SECRET, "db": {"password": stored}}
    assert updates[:2] == [{"api_key": stored}] * 2
    assert updates[-1] == {"_stepline": {"metrics": {"token": {"unit": "hush-hush"}}}}
    everything = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert (b"ada:hush-hush" in everything) == (stored != "***")


def test_what_define_metric_refuses() -> None:
    refused: list[tuple[Callable[[stepline.Run], None], str]] = [
        (lambda run: run.define_metric("a", goal="up"), "'minimize', 'maximize'"),  # type: ignore[arg-type]
        (lambda run: run.define_metric("a", summary="sum"), "'last', 'min'"),  # type: ignore[arg-type]
        (lambda run: run.define_metric("a", hidden=1), "True or False"),  # type: ignore[arg-type]
        (lambda run: run.define_metric("a", x=3), "pass a str"),  # type: ignore[arg-type]
    ]
    with stepline.init(mode="disabled") as run:
        for call, said in refused:
            with pytest.raises(InvalidRequest, match=said):
                call(run)


def test_calls_of_define_metric_add_up(tmp_path: Path) -> None:
    run = stepline.init(mode="offline", dir=tmp_path)
    run.define_metric("val/*", goal="minimize", summary="best")
    run.define_metric("val/*", x="epoch", hidden=True)
    run.finish()
    _, updates = spooled_config(tmp_path)
    said = {"goal": "minimize", "summary": "best", "x": "epoch", "hidden": True}
    assert updates[-1] == {"_stepline": {"metrics": {"val/*": said}}}
    assert json.dumps(said)


def test_a_config_beyond_the_limit_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    large = {"x": "a" * (16 << 20)}
    with pytest.raises(InvalidRequest, match=r"config has 16,777,224 bytes.*files"):
        stepline.init(mode="offline", config=large, dir=tmp_path)
    run = stepline.init(mode="offline", dir=tmp_path, config={"x": "a" * (15 << 20)})
    for record, name in ((run.config, "config"), (run.summary, "summary")):
        with pytest.raises(InvalidRequest, match=f"{name} has"):
            record.update(large)
        assert len(record.get("x", "")) < 16 << 20
    run.finish()
