"""What is taken for a secret, what is not, and that nothing of a secret is left."""

from __future__ import annotations

import json

import pytest

from stepline.redaction import REDACTED, is_secret, redacted, redacted_command, redacted_text

KEYS = {
    "aws": "AKIAIOSFODNN7EXAMPLE",
    "github": "ghp_" + "a1B2" * 9,
    "hugging face": "hf_" + "abCD" * 9,
    "openai": "sk-proj-" + "x9_Y" * 10,
    "slack": "xoxb-123456789012-abcdefghij",
    "google": "AIza" + "b" * 35,
    "stepline": "stepline_" + "0f" * 32,
    "json web token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N",
    "private key": "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----",
}


@pytest.mark.parametrize(
    "key",
    [
        "api_key", "apiKey", "API-KEY", "wandb_api_key", "OPENAI_API_KEY", "password",
        "db.password",
        "DB_PASSWD", "client_secret", "AWS_SECRET_ACCESS_KEY", "aws_access_key_id_secret",
        "HF_TOKEN", "auth_token", "token", "accessToken", "bearer", "credentials", "ssh_key",
    ],
)  # fmt: skip
def test_a_key_that_names_a_secret(key: str) -> None:
    assert is_secret(key, "hunter2hunter2")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("tokenizer", "gpt2-large"), ("max_tokens", 4096), ("pad_token", "<pad>"),
        ("eos_token", "<|endoftext|>"), ("pad_token_id", 50256), ("mask_token", "maskmask"),
        ("tokens_per_batch", 1_000_000), ("token_dim", 512), ("sort_key", "created_at"),
        ("key", "train/loss"), ("keys", "a"), ("monkey", "george-the-monkey"), ("lr", 0.1),
        ("use_auth_token", True), ("password", None), ("secret", ""), ("author", "Ada Lovelace"),
        ("num_tokens", "1000000000"), ("compass", "north-north-west"), ("", "value-value"),
    ],
)  # fmt: skip
def test_a_key_that_names_none(key: str, value: object) -> None:
    assert not is_secret(key, value)


@pytest.mark.parametrize("secret", KEYS.values(), ids=KEYS)
def test_a_text_in_the_format_of_a_key_is_found_anywhere(secret: str) -> None:
    assert redacted_text(f"use {secret} there") == f"use {REDACTED} there"
    found, paths = redacted({"model": {"args": ["a", secret]}})
    assert found == {"model": {"args": ["a", REDACTED]}}
    assert paths == ["model.args[1]"]


def test_a_url_keeps_everything_but_its_password() -> None:
    url = "postgres://user:p4ss%2F@db.example:5432/x?y=z"
    assert redacted_text(url) == "postgres://user:***@db.example:5432/x?y=z"
    plain = "https://example.com:8080/a:b@c and s3://bucket/key"
    assert redacted_text(plain) == plain


def test_ordinary_text_stays_as_it_is() -> None:
    for text in (
        "0123456789abcdef0123456789abcdef01234567",  # a commit
        "sha256:" + "ab" * 32,
        "gpt2", "skip-connections-are-good-for-you", "a bearer of news", "/data/eyJ/file",
    ):  # fmt: skip
        assert redacted_text(text) == text


def test_a_command_line() -> None:
    command = (
        "train.py --lr 0.1 --api-key abcdefgh1 --hf_token=hfhfhfhf --password 'a b' "
        "DB_PASSWORD=x --tokenizer gpt2-big run"
    )
    shown = redacted_command(command)
    assert shown == (
        "train.py --lr 0.1 --api-key *** --hf_token=*** --password *** DB_PASSWORD=*** "
        "--tokenizer gpt2-big run"
    )
    assert redacted_command("the password is long and the secret keeper") == (
        "the password is long and the secret keeper"
    )


def test_nested_values_and_the_original_is_left_alone() -> None:
    config = {
        "lr": 0.1,
        "db": {"password": 1234, "user": "ada"},
        "secrets": [{"name": "a"}, "text"],
        "use_auth_token": False,
    }
    before = json.dumps(config)
    found, paths = redacted(config)
    assert json.dumps(config) == before
    assert found["db"] == {"password": REDACTED, "user": "ada"}
    assert found["secrets"] == [{"name": "a"}, REDACTED]
    assert paths == ["db.password", "secrets[1]"]
    assert redacted({}) == ({}, [])


def test_long_texts_made_to_be_slow_end_soon() -> None:
    for piece in ("a:", "eyJ", "--a ", "sk-", "://a:", "-----BEGIN ", "bearer ", "x=", "a.b-"):
        redacted_command(piece * 10_000)
