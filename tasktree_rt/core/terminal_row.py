"""One line of the screen that `core.terminal` writes on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from attrs import define, field

from tasktree_rt.core.text_style import PLAIN

TAB: Final = 8
WIDEST: Final = 160
"""A move to the right of all text of its line ends here."""
MOST_MARKS: Final = 16
"""Marks that one character carries; further ones have columns of their own."""
ABSORBED: Final = ""
"""What fills the columns of a tab after its first."""


class Run(NamedTuple):
    """Text written with one pen.

    Attributes:
        pen: the parameters of an SGR sequence, as in `core.pen`.
    """

    text: str
    pen: str


@define
class Row:
    """One line of the screen.

    Attributes:
        cells: a character for each column, with the marks that it carries.
        times: when each was written.
        erased: columns up to which all older text was erased, and when; each nearer and later than the last.
        touched: when the cursor last came to this line or wrote in it.
    """

    cells: list[str] = field(factory=list)
    pens: list[str] = field(factory=list)
    times: list[int] = field(factory=list)
    erased: list[tuple[int, int]] = field(factory=list)
    touched: int = 0

    def put(self, column: int, cells: list[str], pen: str, now: int) -> None:
        """Write cells from a column on, over what is there."""
        end = column + len(cells)
        self.cells[column:end] = cells
        self.pens[column:end] = [pen] * len(cells)
        self.times[column:end] = [now] * len(cells)

    def pad(self, column: int, now: int) -> int:
        """Blanks up to a column, as far as a line is wide; returns the column that is reached."""
        column = min(column, max(len(self.cells), WIDEST))
        if column > len(self.cells):
            self.put(len(self.cells), [" "] * (column - len(self.cells)), PLAIN, now)
        return column

    def cut(self, column: int) -> None:
        """Erase from a column to the end."""
        del self.cells[column:], self.pens[column:], self.times[column:]

    def erase_to(self, column: int, now: int) -> None:
        """Erase from the beginning to a column, that column included."""
        while self.erased and self.erased[-1][0] <= column:
            self.erased.pop()
        self.erased.append((column, now))

    def mark(self, column: int, char: str) -> bool:
        """Give the character before a column a mark; returns whether it takes it."""
        if not 0 < column <= len(self.cells) or not 0 < len(self.cells[column - 1]) <= MOST_MARKS:
            return False
        self.cells[column - 1] += char
        return True

    def runs(self, since: int) -> list[Run]:
        """What is to be seen of it: text written at `since` or later, and not erased."""
        cells = list(self.cells)
        seen = self._erase(cells, since)
        _spread_tabs(cells)
        return _joined(zip(cells[:seen], self.pens, strict=False))

    def _erase(self, cells: list[str], since: int) -> int:
        """Blank what was erased; returns up to which column there is text."""
        erased = iter([*self.erased, (-1, 0)])
        column, when = next(erased)
        cutoff, seen = since, 0
        for at in range(len(cells) - 1, -1, -1):
            while column >= at:
                cutoff = max(cutoff, when)
                column, when = next(erased)
            if self.times[at] < cutoff:
                cells[at] = " "
            elif seen == 0:
                seen = at + 1
        return seen


def _spread_tabs(cells: list[str]) -> None:
    """Make blanks of each tab of which a part was overwritten."""
    at = 0
    while at < len(cells):
        span = TAB - at % TAB
        if cells[at] == "\t" and cells[at + 1 : at + span] == [ABSORBED] * (span - 1):
            at += span
            continue
        if cells[at] in {"\t", ABSORBED}:
            cells[at] = " "
        at += 1


def _joined(cells: Iterable[tuple[str, str]]) -> list[Run]:
    """Neighbours of one pen as one run."""
    found: list[Run] = []
    pen, text = PLAIN, [""]
    for cell, own in cells:
        if own != pen:
            found.append(Run("".join(text), pen))
            pen, text = own, []
        text.append(cell)
    found.append(Run("".join(text), pen))
    return [run for run in found if run.text]
