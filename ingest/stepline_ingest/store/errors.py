"""What can go wrong at a store, and what a caller may conclude from it."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import NamedTuple

log = logging.getLogger(__name__)

_ENGINE_MESSAGE = re.compile(r"Code: (\d{1,9})\.\s*(?:DB::Exception:\s*)?(.*)", re.DOTALL)
# A message may hold a megabyte of blanks, which are of the query: no pattern here begins with any
# number of them, so that each looks at a place once.
_TRAILER = re.compile(r"\((?:version|for url) [^()]*(?:\([^()]*\))?\)")
_MOST_TRAILERS = 8
_TRACE = "Stack trace (when copying"
_GUESSES = re.compile(
    r"\s?This is most likely due to hardware failure.*?(?=: While|\(CHECK|\Z)", re.DOTALL
)

_NAME_OF_CODE = re.compile(r"\(([A-Z][A-Z0-9_]*)\)\s*\Z")
_QUOTE = re.compile(
    r"\b(?:in scope|while|in query|in statement|query:|default expression)(?!\w).*",
    re.DOTALL | re.IGNORECASE,
)
"""Where the engine begins to say in which part of a query something happened, and writes it out."""
_AT_LIMIT = frozenset({159, 241, 396})
"""Time, memory, size of an answer. These are raised wherever a query stands, and quote it in many
ways."""


class _Kind(NamedTuple):
    """What an error code of ClickHouse means for an INSERT and for its repetition."""

    stored_nothing: bool = False
    blames_data: bool = False
    may_pass: bool = False


_BAD_DATA = _Kind(stored_nothing=True, blames_data=True)
_REFUSED = _Kind(stored_nothing=True)
_BUSY = _Kind(stored_nothing=True, may_pass=True)
_BROKEN = _Kind(may_pass=True)

# Only codes that are raised before a part can be committed say that nothing is stored. All others
# leave it open: the caller repeats the same bytes with the same token until it knows.
_KINDS = {
    6: _BAD_DATA,  # CANNOT_PARSE_TEXT
    27: _BAD_DATA,  # CANNOT_PARSE_INPUT_ASSERTION_FAILED
    32: _BAD_DATA,  # ATTEMPT_TO_READ_AFTER_EOF
    33: _BAD_DATA,  # CANNOT_READ_ALL_DATA
    53: _BAD_DATA,  # TYPE_MISMATCH
    70: _BAD_DATA,  # CANNOT_CONVERT_TYPE
    117: _BAD_DATA,  # INCORRECT_DATA
    128: _BAD_DATA,  # TOO_LARGE_ARRAY_SIZE
    60: _REFUSED,  # UNKNOWN_TABLE
    62: _REFUSED,  # SYNTAX_ERROR
    81: _REFUSED,  # UNKNOWN_DATABASE
    115: _REFUSED,  # UNKNOWN_SETTING
    164: _REFUSED,  # READONLY
    497: _REFUSED,  # ACCESS_DENIED
    516: _REFUSED,  # AUTHENTICATION_FAILED
    202: _BUSY,  # TOO_MANY_SIMULTANEOUS_QUERIES
    242: _BUSY,  # TABLE_IS_READ_ONLY
    243: _BUSY,  # NOT_ENOUGH_SPACE
    252: _BUSY,  # TOO_MANY_PARTS
    159: _BROKEN,  # TIMEOUT_EXCEEDED
    209: _BROKEN,  # SOCKET_TIMEOUT
    210: _BROKEN,  # NETWORK_ERROR
    241: _BROKEN,  # MEMORY_LIMIT_EXCEEDED
    319: _BROKEN,  # UNKNOWN_STATUS_OF_INSERT
    394: _BROKEN,  # QUERY_WAS_CANCELLED
    999: _BROKEN,  # KEEPER_EXCEPTION
}


class StoreError(Exception):
    """A call at the store failed. The text is for people."""

    def __init__(
        self,
        message: str,
        *,
        code: int | None = None,
        outcome_unknown: bool = False,
        blames_data: bool = False,
        blames_query: bool = False,
        is_retryable: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        """ClickHouse's number of the error, where there is one."""
        self.outcome_unknown = outcome_unknown
        """It was an INSERT, and it may have taken effect."""
        self.blames_data = blames_data
        """The rows are malformed: sending them again would change nothing, and nothing of them is
        stored."""
        self.blames_query = blames_query
        """The text of a query is wrong or asks for what it may not have."""
        self.is_retryable = is_retryable
        """The same call may succeed later."""


def unusable(path: Path, error: OSError) -> StoreError:
    """This process may not do at PATH what it must."""
    return StoreError(
        f"cannot use {path} ({error.strerror or error}): run this as the user of the service, or "
        "name a directory where this user may read and write"
    )


def insert_error(text: str) -> StoreError:
    """The engine raised TEXT during an INSERT."""
    code, message = split(text)
    kind = _KINDS.get(code, _Kind()) if code is not None else _BROKEN
    return StoreError(
        message,
        code=code,
        outcome_unknown=not kind.stored_nothing,
        blames_data=kind.blames_data,
        is_retryable=kind.may_pass,
    )


def query_error(text: str) -> StoreError:
    """The engine raised TEXT during a query or a command."""
    code, message = split(text)
    may_pass = code is None or _KINDS.get(code, _Kind()).may_pass
    return StoreError(message, code=code, blames_query=not may_pass, is_retryable=may_pass)


def kind_of(error: StoreError) -> str:
    """ERROR for the log, without a word that could be of the query or of its values: the engine's
    number of it, and its name for the number."""
    if error.code is None:
        return "an error without a number"
    name = _NAME_OF_CODE.search(str(error))
    return f"code {error.code}" + (f" ({name[1]})" if name else "")


def without_query(error: StoreError) -> str:
    """ERROR for the log, without the query, which the engine quotes behind what it has to say. For
    errors that are not the fault of a query: others may begin with its words."""
    if error.code in _AT_LIMIT:
        return kind_of(error)
    told = _QUOTE.sub("", str(error)).rstrip(" :.,(")
    return told if error.code is None else f"{kind_of(error)}: {told}"


def split(text: str) -> tuple[int | None, str]:
    """Number and message of an engine's error text, without wrapping, version and address."""
    text = _without_trace(text)
    found = _ENGINE_MESSAGE.search(text)
    if found is None:
        return None, text.strip()
    code, message = int(found[1]), _without_trailers(found[2])
    # Nested: "Code: 33. DB::Exception: Code: 33. DB::Exception: ..."
    # Another number is not the engine's: throwIf() says whatever it is told to.
    inner = _ENGINE_MESSAGE.match(message)
    if inner is not None and int(inner[1]) == code:
        message = inner[2]
    return code, _without_trailers(message).strip()


def _without_trailers(message: str) -> str:
    """Without version and address, which the engine and drivers add at the end."""
    message = message.rstrip()
    for _ in range(_MOST_TRAILERS):
        at = max(message.rfind("(version "), message.rfind("(for url "))
        if at < 0 or not message.endswith(")") or not _TRAILER.fullmatch(message, at):
            break
        message = message[:at].rstrip()
    return message


def _without_trace(text: str) -> str:
    """Without the engine's stacks and its guesses about hardware; the log has them at debug."""
    before, trace, _ = text.partition(_TRACE)
    brief = _GUESSES.sub("", before.rstrip(", \t\n") if trace else text).strip()
    if brief != text.strip():
        log.debug("the engine says: %s", _QUOTE.sub("", text))
    return brief
