"""What a terminal shows of a `log` message: the rule of docs/protocol.md, "Log text".

`frontend/src/core/terminal.ts` is the same rule for the browser; both pass `tests/cases/log_text.json`. The
cost is linear in the message's length, whatever it says.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from tasktree_rt.core.terminal_row import ABSORBED, TAB, Row, Run
from tasktree_rt.core.text_style import PLAIN, changed

_FURTHEST: Final = 9_999
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_SPECIAL: Final = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_TOKEN: Final = re.compile(
    r"(?P<text>[^\x00-\x1f\x7f-\x9f\u2028\u2029]+)"
    r"|(?:\x1b\[|\x9b)(?P<params>[0-?]*)(?P<between>[ -/]*)(?P<final>[@-~])"
    # A title, a link, a picture: to the end that it has; without one it is no sequence.
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x00-\x1f\x80-\x9f]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b(?:[ -/]+[0-~]|[0-OQ-WYZ\\`-~])"
    r"|(?P<control>[\x00-\x1f\x7f-\x9f\u2028\u2029])",
)
_ENDS: Final = frozenset("\n\v\f\x85\u2028\u2029")


def shown_lines(message: str) -> list[list[Run]]:
    """The lines that a terminal shows, without empty ones at the end; at least one."""
    if _SPECIAL.search(message) is None:
        lines = [[Run(line, PLAIN)] if line else [] for line in message.split("\n")]
    else:
        screen = _Screen()
        for token in _TOKEN.finditer(_SURROGATES.sub("\ufffd", message)):
            screen.take(token)
        lines = screen.lines()
    while len(lines) > 1 and not lines[-1]:
        lines.pop()
    return lines


def shown_text(message: str) -> str:
    """The same without colours, as one text."""
    if _SPECIAL.search(message) is None:
        return message.rstrip("\n")
    return "\n".join("".join(run.text for run in line) for line in shown_lines(message))


class _Screen:
    """Lines in both directions from where the message begins, and a cursor."""

    def __init__(self) -> None:
        self._rows: dict[int, Row] = {0: Row()}
        self._row = self._column = self._bottom = self._now = 0
        self._pen = PLAIN
        self._below: list[tuple[int, int]] = []
        """Lines below which everything older was erased, and when; each lower and later than the last."""

    def take(self, token: re.Match[str]) -> None:
        self._now += 1
        text, final, control = token["text"], token["final"], token["control"]
        if text is not None:
            self._write(text)
        elif final is not None:
            if not token["between"] and token["params"][:1] not in {"<", "=", ">", "?"}:
                self._sequence(final, token["params"])
        elif control is not None:
            self._control(control)

    def lines(self) -> list[list[Run]]:
        found = []
        below = iter([*self._below, (max(self._rows) + 1, 0)])
        row, when = next(below)
        cutoff = 0
        for at in sorted(self._rows):
            while row < at:
                cutoff = when
                row, when = next(below)
            if self._rows[at].touched >= cutoff:
                found.append(self._rows[at].runs(cutoff))
        return found or [[]]

    def _here(self) -> Row:
        row = self._rows.get(self._row)
        if row is None:
            row = self._rows[self._row] = Row()
        row.touched = self._now
        self._bottom = max(self._bottom, self._row)
        return row

    def _write(self, text: str) -> None:
        row = self._here()
        self._column = row.pad(self._column, self._now)
        if text.isascii():
            self._put(row, list(text))
            return
        waiting: list[str] = []
        for char in text:
            if not _is_mark(char):
                waiting.append(char)
                continue
            self._put(row, waiting)
            waiting = []
            if not row.mark(self._column, char):
                waiting.append(char)
        self._put(row, waiting)

    def _put(self, row: Row, cells: list[str]) -> None:
        row.put(self._column, cells, self._pen, self._now)
        self._column += len(cells)

    def _control(self, char: str) -> None:
        if char in _ENDS:
            self._row, self._column = self._row + 1, 0
            self._here()
        elif char == "\r":
            self._column = 0
        elif char == "\b":
            self._column = max(0, self._column - 1)
        elif char == "\t":
            self._tab()

    def _tab(self) -> None:
        row = self._here()
        self._column = row.pad(self._column, self._now)
        stop = (self._column // TAB + 1) * TAB
        if self._column == len(row.cells):
            self._put(row, ["\t"] + [ABSORBED] * (stop - self._column - 1))
        elif stop > len(row.cells):
            row.put(len(row.cells), [" "] * (stop - len(row.cells)), PLAIN, self._now)
        self._column = stop

    def _sequence(self, final: str, params: str) -> None:
        if final == "m":
            self._pen = changed(self._pen, params)
        elif final in "KJ":
            self._erase(final, _count(params, 0))
        elif final in "Hf":
            self._elsewhere()
        else:
            self._move(final, max(1, _count(params, 1)))

    def _move(self, final: str, count: int) -> None:
        if final in "EF":
            self._column = 0
        if final in "BE":
            self._row += count
        elif final in "AF":
            self._row -= count
        elif final in "Ca":
            self._column += count
        elif final == "D":
            self._column = max(0, self._column - count)
        elif final in "G`":
            self._column = count - 1

    def _elsewhere(self) -> None:
        """A place on a screen that a log does not have: a line of its own."""
        bottom = self._rows.get(self._bottom)
        self._row = self._bottom + (1 if bottom is not None and bottom.cells else 0)
        self._column = 0

    def _erase(self, final: str, kind: int) -> None:
        row = self._rows.get(self._row)
        if row is not None and kind in {0, 2} and (final == "K" or kind == 0):
            row.cut(0 if kind == 2 else self._column)
        elif row is not None and final == "K" and kind == 1:
            row.erase_to(self._column, self._now)
        if final == "J" and kind == 0:
            while self._below and self._below[-1][0] >= self._row:
                self._below.pop()
            self._below.append((self._row, self._now))
            self._bottom = self._row


def _is_mark(char: str) -> bool:
    return char == "\u200d" or (char > "\x7f" and unicodedata.category(char)[0] == "M")


def _count(params: str, default: int) -> int:
    digits = params.split(";", 1)[0]
    if not digits.isdecimal():
        return default
    return _FURTHEST if len(digits) > 4 else int(digits)
