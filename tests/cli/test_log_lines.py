import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.cli.log_lines import RESET, Printer

TIME = "2026-11-21T12:00:00.000000Z"


def line(message: object, **data: object) -> dict[str, object]:
    return {"timestamp": TIME, "data": {"level": "info", "message": message, **data}}


def piped(message: object, **data: object) -> str:
    return Printer(colours=False, named=True).text(line(message, **data))


def shown(message: str) -> str:
    """The message as a terminal gets it."""
    return Printer(colours=True, named=False).text(line(message)).partition(RESET + " ")[2]


def test_a_line_tells_when_how_bad_who_and_what() -> None:
    assert piped("hello", node_id="build", level="error") == f"{TIME} error   build: hello"
    assert piped("hello") == f"{TIME} info    hello"
    assert Printer(colours=False, named=False).text(line("hello", node_id="build")) == f"{TIME} info    hello"


def test_what_goes_on_is_indented() -> None:
    assert piped("one\r\ntwo\nthree\n") == f"{TIME} info    one\n    two\n    three"


@pytest.mark.parametrize(
    ("message", "terminal", "pipe"),
    [
        ("\x1b[31mred\x1b[0m", f"\x1b[31mred{RESET}", "red"),
        ("\x1b[1;38;5;200mx", f"\x1b[1;38;5;200mx{RESET}", "x"),
        ("\x1b[32m10%\r\x1b[31m20%\r\n", f"\x1b[31m20%{RESET}", "20%"),
        ("\x1b[31ma\r\nb", f"\x1b[31ma{RESET}\n    \x1b[31mb{RESET}", "a\n    b"),
        ("a\x1b[2Jb\x1b[10;10Hc\x1b[?25ld", "ab\n    cd", "ab\n    cd"),
        ("a\x1b]0;title\x07b\x1b]8;;http://x\x1b\\c", "abc", "abc"),
        ("a\x1bPq\x1b\\b\x1bcc\x1b(0d", "abcd", "abcd"),
        ("a\x9b2Jb", "ab", "ab"),
        ("bell\x07 back\x08", "bell back", "bell back"),
        ("tab\there", "tab\there", "tab\there"),
        ("cut \x1b[3", "cut [3", "cut [3"),
        ("10%\r20%\x1b[K\r30%", "30%", "30%"),
    ],
)
def test_colours_stay_on_a_terminal_and_nothing_else_does(message: str, terminal: str, pipe: str) -> None:
    assert shown(message) == terminal
    assert piped(message) == f"{TIME} info    {pipe}"


@given(st.text(st.sampled_from("\x1b[]PX^_0;1m?\x07\\ aHJ\x9b\n\x00\ud800")))
def test_no_line_can_do_more_than_colour(message: str) -> None:
    assert "\x1b" not in piped(message)
    rest = shown(message)
    while "\x1b" in rest:
        before, _, after = rest.partition("\x1b[")
        assert before.replace("\n", "").isprintable()
        code, end, rest = after.partition("m")
        assert end
        assert set(code) <= set("0123456789;:")
    assert rest.replace("\n", "").isprintable()


@pytest.mark.parametrize("data", [{}, {"message": 5}, {"message": None, "level": [], "node_id": {}}])
def test_a_line_of_any_shape_is_shown(data: dict[str, object]) -> None:
    Printer(colours=True, named=True).text({"timestamp": TIME, "data": data})
