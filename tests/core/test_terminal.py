import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.core import terminal_row
from tasktree_rt.core.terminal import shown_lines, shown_text
from tasktree_rt.core.text_style import changed

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "cases" / "log_text.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_message_is_shown_as_the_shared_cases_say(case: dict[str, Any]) -> None:
    lines = shown_lines(case["message"])
    texts = ["".join(run.text for run in line) for line in lines]
    seen = [text.rstrip() for text in texts] if case.get("trailing_blanks") else texts
    assert seen == case["lines"]
    assert shown_text(case["message"]) == "\n".join(texts)
    if "runs" in case:
        assert [[list(run) for run in line] for line in lines] == case["runs"]


letters = st.text(st.sampled_from("abc é✓\u0301語"), min_size=1, max_size=6)
# What takes nothing away and moves nowhere else.
harmless = st.sampled_from(
    [
        "\x1b[31m",
        "\x1b[0m",
        "\x1b[1;38;5;9m",
        "\x1b]0;title\x07",
        "\x1b]8;;http://x\x1b\\",
        "\x1b[?25l",
        "\x1b(B",
        "\x00",
        "\x07",
        "\x0e",
        "\x7f",
        "\x85",
        "\r\n",
        "\n",
        "\x1b[2J",
        "\x1b[6n",
        "\x1bPq1\x1b\\",
        "\x1b7",
        "\x1b=",
    ]
)
moves = st.sampled_from(
    [
        "\r",
        "\x08",
        "\t",
        "\n",
        "\r\n",
        "\x1b[K",
        "\x1b[1K",
        "\x1b[2K",
        "\x1b[J",
        "\x1b[A",
        "\x1b[2A",
        "\x1b[B",
        "\x1b[3C",
        "\x1b[2D",
        "\x1b[5G",
        "\x1b[E",
        "\x1b[F",
        "\x1b[999C",
        "\x1b[3;3H",
        "\x1b[2J",
        "\x1b[31m",
    ]
)


@given(st.lists(letters | harmless))
def test_no_text_is_lost_where_nothing_goes_back(parts: list[str]) -> None:
    said = "".join(part for part in parts if part[0].isprintable() or part[0] == "\u0301")
    assert shown_text("".join(parts)).replace("\n", "") == said


class Simple:
    """The rule in its simplest form, however slow: a table of characters."""

    def __init__(self) -> None:
        self.table: dict[tuple[int, int], str] = {}
        self.rows = {0}
        self.row = self.column = self.bottom = 0

    def width(self, row: int) -> int:
        return 1 + max((column for at, column in self.table if at == row), default=-1)

    def here(self) -> None:
        self.rows.add(self.row)
        self.bottom = max(self.bottom, self.row)
        self.column = min(self.column, max(self.width(self.row), terminal_row.WIDEST))

    def drop(self, gone: Callable[[int, int], bool]) -> None:
        self.table = {at: char for at, char in self.table.items() if not gone(*at)}

    def write(self, char: str) -> None:
        self.here()
        for column in range(self.width(self.row), self.column):
            self.table[self.row, column] = " "
        self.table[self.row, self.column] = char
        self.column += 1

    def tab(self) -> None:
        self.here()
        for column in range(self.width(self.row), self.column):
            self.table[self.row, column] = " "
        stop = (self.column // 8 + 1) * 8
        for column in range(self.width(self.row), stop):
            self.table[self.row, column] = " "
        self.column = stop

    def erase(self, what: str) -> None:
        row, column = self.row, self.column
        if what in {"\x1b[K", "\x1b[J"}:
            self.drop(lambda at, col: at == row and col >= column)
        if what == "\x1b[2K":
            self.drop(lambda at, _: at == row)
        if what == "\x1b[1K":
            for col in range(min(column + 1, self.width(row))):
                self.table[row, col] = "\x00"  # erased: a blank that is no text
        if what == "\x1b[J":
            self.drop(lambda at, _: at > row)
            self.rows = {at for at in self.rows if at <= row}
            self.bottom = row

    def move(self, what: str) -> None:
        if what in {"\n", "\r\n", "\x1b[E"}:
            self.row, self.column = self.row + 1, 0
            if what != "\x1b[E":
                self.here()
        elif what == "\x1b[F":
            self.row, self.column = self.row - 1, 0
        elif what == "\x1b[3;3H":
            self.row, self.column = self.bottom + (1 if self.width(self.bottom) else 0), 0
        else:
            self.row += {"\x1b[A": -1, "\x1b[2A": -2, "\x1b[B": 1}.get(what, 0)
            self.column += {"\x1b[3C": 3, "\x1b[999C": 999}.get(what, 0)
            self.column -= {"\b": 1, "\x1b[2D": 2}.get(what, 0)
            self.column = {"\r": 0, "\x1b[5G": 4}.get(what, max(0, self.column))

    def lines(self) -> list[str]:
        found = []
        for row in sorted(self.rows):
            text = "".join(self.table[row, column] for column in range(self.width(row)))
            found.append(text.rstrip("\x00").replace("\x00", " "))
        while len(found) > 1 and not found[-1]:
            found.pop()
        return found or [""]


@given(st.lists(st.text(st.sampled_from("abc é✓語"), min_size=1, max_size=6) | moves, max_size=40))
def test_what_is_shown_is_what_a_table_of_characters_would_hold(parts: list[str]) -> None:
    simple = Simple()
    for part in parts:
        if part in {"\x1b[2J", "\x1b[31m"}:
            continue
        if part == "\t":
            simple.tab()
        elif part in {"\x1b[K", "\x1b[1K", "\x1b[2K", "\x1b[J"}:
            simple.erase(part)
        elif part[0] < " ":
            simple.move(part)
        else:
            for char in part:
                simple.write(char)
    shown = [line.expandtabs(8) for line in shown_text("".join(parts)).split("\n")]
    assert shown == simple.lines()


@given(st.text(st.sampled_from("\x1b[]PX^_0;1m?\x07\\ aHJK\r\t\b\x9b\x9d\x9c\n\x00\ud800é")))
def test_nothing_but_text_line_ends_and_tabs_is_shown(message: str) -> None:
    for char in shown_text(message):
        assert char in "\n\t" or char.isprintable()
    for line in shown_lines(message):
        assert all(changed("", run.pen) == run.pen for run in line)


def work(message: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Lines of code that run, and cells that are written, for this message."""
    done = 0
    put = terminal_row.Row.put

    def counting(self: Any, column: int, cells: list[str], pen: str, now: int) -> None:
        nonlocal done
        done += len(cells)
        put(self, column, cells, pen, now)

    def trace(frame: FrameType, event: str, arg: object) -> Any:
        nonlocal done
        done += 1
        return trace

    monkeypatch.setattr(terminal_row.Row, "put", counting)
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        shown_lines(message)
    finally:
        sys.settrace(before)
    return done


@pytest.mark.parametrize(
    "one",
    [
        "x",
        "\r",
        "ab\r",
        "x\r\x1b[1K",
        "x\x1b[2K",
        "\x1b[1K",
        "x\x1b[J",
        "\x1b[9999Cx\n",
        "\x1b[2Kx",
        "\x1b]",
        "\x9d",
        "\x1b[",
        "\x1b[1A\x1b[J",
        "\x1b[9999Bx\x1b[9999A\x1b[J",
        "\t\r",
        "\x1b[5A\n",
        "\x08",
        "é́",
        "́",
        "\x1b[38;m",
        "38;",
        "\x1b[38;5;1m\x1b[4m",
        "x\x1b[H",
        "\ta\x08\x08",
    ],
)
@pytest.mark.parametrize("before", ["", "\x1b[", "y" * 3000, "y" * 3000 + "\x1b[A"])
def test_the_cost_grows_with_the_length_alone(one: str, before: str, monkeypatch: pytest.MonkeyPatch) -> None:
    few, many = (work(before + one * count, monkeypatch) for count in (400, 3_200))
    assert many <= 8.5 * few + 100_000
