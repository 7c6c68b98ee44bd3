"""Finding secrets in what is about to be stored, and putting "***" in their place.

Two signs, each enough: a key that names a secret (`api_key`, `db.password`, `HF_TOKEN`), and a text
in the format of a known kind of key (`ghp_..`, `AKIA..`, a JSON web token, a URL with a password).
The vocabulary of language models (`pad_token`, `max_tokens`, `tokenizer`) is no secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

REDACTED = "***"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PIECES = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_ALWAYS = _words(
    "password passwd passwords passphrase pwd secret secrets apikey apikeys apitoken authtoken "
    "accesskey secretkey privatekey accesstoken bearer credential credentials cookie dsn "
    "authorization"
)
"""A key with one of these words names a secret, whatever its value is."""
_KEY_OF = _words(
    "api access secret private account encryption signing ssh deploy auth storage master hmac "
    "service shared subscription"
)
"""Words before `key` or `keys` that make it one: `access_key`, not `sort_key`."""
_VOCABULARY = _words(
    "pad bos eos unk sep cls mask image video audio special start end stop begin decoder forced "
    "num max min per n total first last prev next think tool prefix suffix middle"
)
"""Words before `token` that make it one of a tokenizer."""
_SECRET_TEXT = re.compile(r"[A-Za-z0-9_\-./+=~:%!@#$^&*]{8,}")
_FORMATS = re.compile(
    r"""
    \b(?:AKIA|ASIA|AROA)[0-9A-Z]{16}\b
    | \bgh[oprsu]_[A-Za-z0-9]{30,255} | \bgithub_pat_[A-Za-z0-9_]{22,255}
    | \bglpat-[A-Za-z0-9_-]{20,} | \bnpm_[A-Za-z0-9]{36} | \bpypi-AgE[A-Za-z0-9_-]{50,}
    | \bhf_[A-Za-z0-9]{30,} | \bapi_org_[A-Za-z0-9]{30,}
    | \bsk-[A-Za-z0-9_-]{20,} | \bsk_(?:live|test)_[A-Za-z0-9]{16,}
    | \bxox[abeoprs]-[A-Za-z0-9-]{10,} | \bAIza[0-9A-Za-z_-]{35} | \bya29\.[0-9A-Za-z_-]{20,}
    | \bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,} | \bdop_v1_[a-f0-9]{64}
    | \bstepline_[0-9a-f]{64} | \bwandb_v1_[A-Za-z0-9_-]{40,}
    | \beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}
    | -----BEGIN\ [A-Z ]{0,30}PRIVATE\ KEY-----(?:.*?-----END\ [A-Z ]{0,30}PRIVATE\ KEY-----|.*)
    """,
    re.VERBOSE | re.DOTALL,
)
_SIGNS = (
    *("AKIA", "ASIA", "AROA", "ghp_", "gho_", "ghr_", "ghs_", "ghu_", "github_pat_", "glpat-"),
    *("npm_", "pypi-AgE", "hf_", "api_org_", "sk-", "sk_live_", "sk_test_", "xox", "AIza", "ya29."),
    *("SG.", "dop_v1_", "stepline_", "wandb_v1_", "eyJ", "-----BEGIN"),
)
"""One of these is in each text of _FORMATS: looking for them costs a hundredth of matching."""
_URL_PASSWORD = re.compile(
    r"(\b[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s/:@'\"]{0,200}:)[^\s/@'\"]{1,400}@"
)
_BEARER = re.compile(r"(?i)(\bbearer\s+)[A-Za-z0-9._~+/=-]{8,}")
_ASSIGNED = re.compile(
    r"""(?P<name>(?:^|(?<=[\s'"{,(]))-{0,2}[A-Za-z][A-Za-z0-9_.-]{0,80})(?P<sign>\s*[=:]\s*|\s+)"""
    r"""(?P<value>"[^"\n]*"|'[^'\n]*'|[^\s'",;})]+)"""
)


def is_secret(key: str, value: object) -> bool:
    """Whether the KEY names a secret, and VALUE can be one: text, bytes or a number."""
    if isinstance(value, bool) or not isinstance(value, (str, bytes, int, float)) or not value:
        return False
    words = [word.lower() for word in _PIECES.findall(key)]
    if not words:
        return False
    if not _ALWAYS.isdisjoint(words):
        return True
    text = value if isinstance(value, str) else ""
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if last in ("key", "keys"):
        return before in _KEY_OF and _SECRET_TEXT.fullmatch(text) is not None
    if last in ("token", "auth", "pat") or (last == "tokens" and before in _KEY_OF):
        return before not in _VOCABULARY and _SECRET_TEXT.fullmatch(text) is not None
    return False


def redacted_text(text: str) -> str:
    """TEXT with "***" for each part that looks like a key of a known format, for the password of a
    URL, and for what follows a bearer."""
    if len(text) < 8:
        return text
    if any(sign in text for sign in _SIGNS):
        text = _FORMATS.sub(REDACTED, text)
    if "://" in text:
        text = _URL_PASSWORD.sub(rf"\g<1>{REDACTED}@", text)
    if "bearer" in text.lower():
        text = _BEARER.sub(rf"\g<1>{REDACTED}", text)
    return text


def redacted_command(text: str) -> str:
    """The same for a command line or a file with settings, where a name stands before its value:
    `--api-key KEY`, `TOKEN=KEY`, `password: KEY`."""

    def mended(found: re.Match[str]) -> str:
        name, value = found["name"], found["value"].strip("'\"")
        # Words that only follow each other are no name and value, unless the first is an option.
        blank = not found["sign"].strip()
        if (blank and not name.startswith("--")) or not is_secret(name, value):
            return found[0]
        return f"{name}{found['sign']}{REDACTED}"

    return redacted_text(_ASSIGNED.sub(mended, text))


def redacted(values: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A copy of VALUES, which are JSON, with "***" for every secret; and where those were, as
    paths with dots."""
    found: list[str] = []
    copy = {key: _redacted(key, value, key, found) for key, value in values.items()}
    return copy, found


def _redacted(key: str, value: Any, path: str, found: list[str]) -> Any:
    if isinstance(value, Mapping):
        return {
            inner: _redacted(inner, item, f"{path}.{inner}", found) for inner, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_redacted(key, item, f"{path}[{n}]", found) for n, item in enumerate(value)]
    mended = REDACTED if is_secret(key, value) else value
    if isinstance(mended, str):
        mended = redacted_text(mended)
    if mended != value:
        found.append(path)
    return mended
