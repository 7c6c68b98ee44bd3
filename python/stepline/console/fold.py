"""Making lines of what is written to a terminal.

A progress bar writes its line again and again: "\\r" goes back to its beginning, and nested bars go
up with an escape sequence. What a reader wants is the last state of each line, so this keeps the
last few lines as a terminal would, and says when one of them has a state worth keeping:

- a line that is left for a new one below it, at once;
- a line that is written over, at its first state and then once in `REFRESH` seconds.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

REFRESH = 5.0
"""Seconds between two states of a line that is written over."""
LONGEST = 16 << 10
"""Characters of a line; the rest is left out, and said to be."""
_ROWS = 16
"""Lines that can still be written over."""
_TOKENS = re.compile(
    r"\n|\r|\x08|\x1b\[(?P<count>[0-9]*)(?P<move>[ABK])"
    r"|\x1b\[[0-9;:?<=>]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[^\[\]]"
    r"|[\x00-\x08\x0b-\x1f\x7f]"
)


@dataclass(slots=True)
class Line:
    """A line, as far as it is written."""

    number: int = 0
    """From 1; 0 as long as no state of it is kept."""
    text: str = ""
    dirty: bool = False
    """Its state is not kept yet."""
    kept: float = 0.0
    """When a state of it was last kept, by the monotonic clock; 0 for never."""
    open: bool = True
    """Its end is not kept yet."""
    left_out: int = 0
    """Characters beyond the limit."""


class Fold:
    """One stream. NUMBER gives the number of the next line, KEEP takes a line, open or not."""

    def __init__(self, number: Callable[[], int], keep: Callable[[Line, bool], None]) -> None:
        self._number = number
        self._keep = keep
        self._rows: list[Line] = []
        self._row = 0
        self._column = 0

    def feed(self, text: str) -> None:
        """Takes what was written."""
        if text[-1:] == "\n" and len(text) <= LONGEST and text[:-1].isprintable():
            line = self._line()
            if self._is_new(line):
                # What is printed mostly: a line of its own, nothing in it to act on.
                line.text = text[:-1]
                self._down()
                return
        at = 0
        for token in _TOKENS.finditer(text):
            if token.start() > at:
                self._write(text[at : token.start()])
            at = token.end()
            self._act(token)
        if at < len(text):
            self._write(text[at:])

    def flush(self, *, ends: bool = False) -> None:
        """Keeps what is not kept yet; the last lines too, as they are, when the stream ENDS."""
        for row, line in enumerate(self._rows):
            if line.dirty or (ends and line.kept and line.open):
                self._put(line, is_open=not ends and row == len(self._rows) - 1)

    def _act(self, token: re.Match[str]) -> None:
        what = token[0]
        if what == "\n":
            self._down()
        elif what == "\r":
            self._refresh()
            self._column = 0
        elif what == "\x08":
            self._column = max(0, self._column - 1)
        elif token["move"] == "A":
            self._refresh()
            self._row = max(0, self._row - min(int(token["count"] or 1), _ROWS))
        elif token["move"] == "B":
            self._row = min(max(0, len(self._rows) - 1), self._row + int(token["count"] or 1))
        elif token["move"] == "K":
            self._erase(token["count"])

    def _write(self, text: str) -> None:
        line = self._line()
        before = line.text[: self._column].ljust(self._column)
        end = self._column + len(text)
        if end > LONGEST:
            line.left_out += end - max(LONGEST, self._column)
        after = (before + text + line.text[end:])[:LONGEST]
        line.dirty |= after != line.text
        line.text = after
        self._column = min(end, LONGEST)

    def _erase(self, how: str) -> None:
        line = self._line()
        after = "" if how == "2" else line.text[: self._column]
        line.dirty |= after != line.text
        line.text = after

    def _down(self) -> None:
        line = self._line()
        if self._row == len(self._rows) - 1:
            if line.dirty or line.open:  # a blank line is a line once it has an end
                self._put(line, is_open=False)
            self._rows.append(Line())
            while len(self._rows) > _ROWS:
                gone = self._rows.pop(0)
                self._row -= 1
                if gone.dirty:
                    self._put(gone, is_open=False)
        else:
            self._refresh()
        self._row += 1
        self._column = 0

    def _refresh(self) -> None:
        """The line is about to be written over."""
        if self._row < len(self._rows):
            line = self._rows[self._row]
            if line.dirty and (not line.kept or time.monotonic() - line.kept >= REFRESH):
                self._put(line, is_open=True)

    def _is_new(self, line: Line) -> bool:
        """Nothing was ever written to the line, and there is none below it."""
        return not (line.text or line.dirty or line.number or self._column) and (
            self._row == len(self._rows) - 1
        )

    def _line(self) -> Line:
        while self._row >= len(self._rows):
            self._rows.append(Line())
        return self._rows[self._row]

    def _put(self, line: Line, *, is_open: bool) -> None:
        line.dirty, line.open = False, is_open
        line.kept = time.monotonic()
        line.number = line.number or self._number()
        self._keep(line, is_open)
