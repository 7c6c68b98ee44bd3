"""From the text of a filter to its tree.

expression  either ("or" either)*                  also "||"
either      part ("and" part)*                     also "&&"
part        "not" part | "(" expression ")" | comparison
comparison  FIELD ("=" | "!=" | "<" | "<=" | ">" | ">=") VALUE
          | FIELD ["not"] "in" "(" VALUE ("," VALUE)* ")"
          | FIELD ["not"] "contains" VALUE
          | FIELD ["not"] "matches" TEXT            also =~ and !~; RE2, found anywhere
          | VALUE ["not"] "in" FIELD                an element of tags or of a list
VALUE       a number | a text in quotes | true | false | null
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

from .filter_text import Source, Word, unquoted, words
from .filter_tree import (
    STATES,
    Both,
    Comparison,
    Either,
    Field,
    FieldKind,
    Literal,
    Not,
    SortKey,
    Tree,
    field_of,
)

MAX_DEPTH = 50
"""Of parentheses and `not`."""
MAX_COMPARISONS = 100
MAX_VALUES = 1_000
"""In one list of values."""
MAX_KEYS = 8
"""Sort keys, and keys to group by."""

_WORDS = frozenset({"and", "or", "not", "in", "contains", "matches", "true", "false", "null"})
_SIGNS = {"==": "=", "<>": "!=", "=~": "matches", "!~": "not matches", "&&": "and", "||": "or"}
_CONSTANTS: dict[str, Literal] = {"true": True, "false": False, "null": None}
_OPERATORS = "=, !=, <, <=, >, >=, in, contains or matches"
_OF_STATES = ((FieldKind.TEXT, "state", "="), (FieldKind.TEXT, "state", "in"))
_COUNT = re.compile(r"[0-9]+")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_filter(text: str, *, now: datetime | None = None) -> Tree | None:
    """None for an empty text. NOW is what times such as "7d" are counted from. Raises ServiceError
    with the place of the first mistake."""
    if not text.strip():
        return None
    parser = _Parser(Source("filter", text), now or datetime.now(timezone.utc))
    return parser.parse()


def parse_sort(texts: Sequence[str]) -> list[SortKey]:
    """Raises ServiceError."""
    return [
        SortKey(_single(source, cut), cut == 1, source)
        for source in _sources("sort key", texts, MAX_KEYS)
        for cut in (1 if source.text.startswith("-") else 0,)
    ]


def parse_fields(what: str, texts: Sequence[str], *, most: int = MAX_KEYS) -> list[Field]:
    """Raises ServiceError."""
    return [_single(source, 0) for source in _sources(what, texts, most)]


def _sources(what: str, texts: Sequence[str], most: int) -> list[Source]:
    sources = [Source(what, text) for text in texts[: most + 1]]
    if len(sources) > most:
        raise sources[most].error(0, f"this is one {what} too many: {most} are allowed, use fewer")
    return sources


def _single(source: Source, begin: int) -> Field:
    word, *rest = words(Source(source.what, " " * begin + source.text[begin:]))
    if word.kind != "name" or (rest and rest[0].kind != "end"):
        place = rest[0].place if word.kind == "name" else word.place
        raise source.error(
            place, f"a {source.what} is one field, such as created or config.lr: write only that"
        )
    return field_of(source, word.text, word.place)


class _Parser:
    def __init__(self, source: Source, now: datetime) -> None:
        self._source = source
        self._now = now
        self._words = words(source)
        self._next = 0
        self._depth = 0
        self._comparisons = 0

    def parse(self) -> Tree:
        tree = self._either()
        word = self._peek()
        if word.kind != "end":
            raise self._error(word, self._surplus(word))
        return tree

    # --- words ---

    def _peek(self) -> Word:
        return self._words[self._next]

    def _take(self) -> Word:
        word = self._words[self._next]
        self._next = min(self._next + 1, len(self._words) - 1)
        return word

    def _is(self, *meant: str) -> bool:
        return _meaning(self._peek()) in meant

    def _error(self, word: Word, message: str) -> Exception:
        return self._source.error(word.place, message)

    # --- the grammar ---

    def _either(self) -> Tree:
        parts = [self._both()]
        while self._is("or"):
            self._take()
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _both(self) -> Tree:
        parts = [self._part()]
        while self._is("and"):
            self._take()
            parts.append(self._part())
        return parts[0] if len(parts) == 1 else Both(tuple(parts))

    def _part(self) -> Tree:
        word = self._peek()
        if not self._is("not", "(", "!"):
            return self._comparison()
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._error(
                word, f"more than {MAX_DEPTH} parentheses and nots within each other: use fewer"
            )
        self._take()
        tree: Tree
        if _meaning(word) == "(":
            tree = self._either()
            if not self._is(")"):
                raise self._error(
                    self._peek(), f"the ( of character {word.place + 1} is not closed: add a )"
                )
            self._take()
        else:
            tree = Not(self._part())
        self._depth -= 1
        return tree

    def _comparison(self) -> Tree:
        self._comparisons += 1
        first = self._peek()
        if self._comparisons > MAX_COMPARISONS:
            raise self._error(
                first, f"more than {MAX_COMPARISONS} comparisons: use `in (..)`, or a tag"
            )
        if first.kind in ("number", "text") or _meaning(first) in _CONSTANTS:
            return self._element()
        if first.kind != "name" or _meaning(first) in _WORDS:
            raise self._error(
                first, "a comparison is missing here: write one, like config.lr > 0.1"
            )
        self._take()
        field = field_of(self._source, first.text, first.place)
        return self._compared(field)

    def _compared(self, field: Field) -> Tree:
        operator = self._take()
        meant = _meaning(operator)
        inverse = meant in ("!=", "not matches")
        meant = {"!=": "=", "not matches": "matches"}.get(meant, meant)
        if meant == "not" and self._is("in", "contains", "matches"):
            inverse, meant = True, _meaning(self._take())
        if meant == "in":
            values = self._list(field)
        elif meant in ("=", "<", "<=", ">", ">=", "contains", "matches"):
            values = [self._value(field, meant)]
        else:
            raise self._error(operator, f"an operator is missing here: use {_OPERATORS}")
        tree = self._checked(Comparison(field, meant, tuple(values), operator.place))
        return Not(tree) if inverse else tree

    def _element(self) -> Tree:
        """VALUE in FIELD."""
        word = self._take()
        value = self._literal(word)
        inverse = self._is("not")
        if inverse:
            self._take()
        operator = self._take()
        name = self._peek()
        if _meaning(operator) != "in" or name.kind != "name" or _meaning(name) in _WORDS:
            raise self._error(
                word, 'a comparison begins with a field: write it like state = "running", '
                'or "big" in tags',
            )  # fmt: skip
        self._take()
        field = field_of(self._source, name.text, name.place)
        if not (field.is_key or field.kind is FieldKind.TAGS):
            raise self._error(name, f"{field.name} is no list: use =, or tags, or a key")
        if value is None or (field.kind is FieldKind.TAGS and not isinstance(value, str)):
            raise self._error(word, "this can be no element: write a text in quotes")
        tree = Comparison(field, "has", (value,), operator.place)
        return Not(tree) if inverse else tree

    def _list(self, field: Field) -> list[Literal]:
        opened = self._take()
        closing = {"(": ")", "[": "]"}.get(opened.text)
        if closing is None:
            raise self._error(opened, 'a list is missing here: write one, like ("a", "b")')
        values = [self._value(field, "in")]
        while self._is(","):
            self._take()
            values.append(self._value(field, "in"))
            if len(values) > MAX_VALUES:
                raise self._error(
                    self._peek(), f"more than {MAX_VALUES:,} values: use `matches`, or a tag"
                )
        if self._peek().text != closing or self._peek().kind != "sign":
            raise self._error(
                self._peek(), f"the {opened.text} of character {opened.place + 1} is not closed: "
                f"add a {closing}, and commas between values",
            )  # fmt: skip
        self._take()
        return values

    # --- values ---

    def _literal(self, word: Word) -> Literal:
        if word.kind == "text":
            return unquoted(word.text)
        if word.kind == "number":
            try:
                number = float(word.text)
            except ValueError:
                raise self._error(
                    word, f"{word.text[:40]} is no number: write it like 1000 or 1_000"
                ) from None
            if math.isinf(number):
                raise self._error(word, "this number is too large: use one below 1.8e308")
            return number
        if _meaning(word) in _CONSTANTS:
            return _CONSTANTS[_meaning(word)]
        if word.kind == "name" and _meaning(word) not in _WORDS:
            raise self._error(
                word, f'{word.text} is no value: put texts in quotes, like "{word.text}"; '
                "two fields cannot be compared",
            )  # fmt: skip
        raise self._error(word, "a value is missing here: write a number or a text in quotes")

    def _value(self, field: Field, operator: str) -> Literal:
        """What a field of this kind can be compared with."""
        word = self._take()
        value = self._literal(word)
        if value is None:
            if operator != "=":
                raise self._error(word, "null goes with = and != only: use one of them")
            return None
        if operator == "matches" and not isinstance(value, str):
            raise self._error(word, "a regular expression is missing here: put it in quotes")
        if field.kind is FieldKind.TIME and operator not in ("contains", "matches"):
            return self._moment(word, value)
        if field.kind is FieldKind.NUMBER and (isinstance(value, (str, bool))):
            raise self._error(word, f"{field.name} is a number: compare it with one")
        if field.kind is FieldKind.TEXT and not isinstance(value, str):
            raise self._error(word, f"{field.name} is text: put the value in quotes")
        asked = (field.kind, field.name, operator)
        if asked in _OF_STATES and value not in STATES:
            raise self._error(word, f"this is no state: use {', '.join(STATES)}")
        if field.kind is FieldKind.TAGS and not isinstance(value, str):
            raise self._error(word, "tags are text: put the value in quotes")
        if isinstance(value, bool) and operator not in ("=", "in", "contains"):
            raise self._error(word, "true and false go with = and != only: use one of them")
        return value

    def _moment(self, word: Word, value: Literal) -> Literal:
        """Milliseconds since the epoch."""
        if isinstance(value, str):
            text = value.strip()
            if _COUNT.fullmatch(text[:-1]) and len(text) < 8 and text[-1:] in _UNITS:
                ago = timedelta(**{_UNITS[text[-1]]: int(text[:-1])})
                return max(0.0, self._now.timestamp() - ago.total_seconds()) * 1000
            try:
                moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
            except ValueError:
                pass
            else:
                if moment.tzinfo is None:
                    moment = moment.replace(tzinfo=timezone.utc)
                return moment.timestamp() * 1000
        raise self._error(
            word, 'this is no time: write it like "2026-05-31", "2026-05-31T14:00" (UTC), or "7d" '
            "for seven days ago (m, h, d, w)",
        )  # fmt: skip

    def _checked(self, tree: Comparison) -> Comparison:
        """Refuses operators that the field does not know."""
        kind, operator = tree.field.kind, tree.operator
        allowed = "= != < <= > >= in contains matches"
        if kind is FieldKind.TAGS:
            allowed = "contains matches"
            if operator == "=" and tree.value is None:
                return tree
        elif kind in (FieldKind.TIME, FieldKind.NUMBER):
            allowed = "= != < <= > >= in"
        if operator in allowed.split():
            return tree
        remedy = ', or "big" in tags' if kind is FieldKind.TAGS else ""
        raise self._source.error(
            tree.place, f"{tree.field.name} cannot be compared so: use {allowed}{remedy}"
        )

    def _surplus(self, word: Word) -> str:
        if word.text == ")":
            return "this ) closes nothing: leave it out"
        return "`and` or `or` is missing before this"


def _meaning(word: Word) -> str:
    """The operator or word of the grammar that WORD is, whatever its case."""
    if word.kind == "sign":
        return _SIGNS.get(word.text, word.text)
    if word.kind == "name" and word.text.lower() in _WORDS:
        return word.text.lower()
    return ""
