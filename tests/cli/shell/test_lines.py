from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.cli.shell.lines import MAX_LINE, LineSplitter

PIECES = st.lists(st.sampled_from(["a", "é", "\r", "\n", "\r\n", "50%", "\x1b[31m"]), max_size=20)


def lines_of(*pieces: bytes) -> list[str]:
    found: list[str] = []
    splitter = LineSplitter(found.append)
    for piece in pieces:
        splitter.feed(piece)
    splitter.end()
    return found


@pytest.mark.parametrize(
    ("output", "lines"),
    [
        (b"one\ntwo\n", ["one", "two"]),
        (b"one\r\ntwo", ["one", "two"]),
        (b"10%\r50%\r100%\ndone\n", ["100%", "done"]),
        (b"a\n\nb", ["a", "", "b"]),
        (b"\xff\xc3", ["��"]),
        (b"", []),
    ],
)
def test_lines_are_what_a_terminal_shows_at_the_end(output: bytes, lines: list[str]) -> None:
    assert lines_of(output) == lines


@given(PIECES, st.data())
def test_how_the_output_is_cut_into_pieces_changes_nothing(pieces: list[str], data: st.DataObject) -> None:
    output = "".join(pieces).encode()
    cut = data.draw(st.integers(0, len(output)))
    assert lines_of(output[:cut], output[cut:]) == lines_of(output)
    assert lines_of(*(bytes([one]) for one in output)) == lines_of(output)


@pytest.mark.parametrize("fed", [lambda data: [data], lambda data: [bytes([one]) for one in data]])
def test_a_long_line_becomes_several(fed: Callable[[bytes], list[bytes]]) -> None:
    lines = lines_of(*fed(b"x" * (2 * MAX_LINE + 5)))
    assert [len(line) for line in lines] == [MAX_LINE, MAX_LINE, 5]
