import click
import pytest
from click.testing import CliRunner

from tasktree_rt.cli.ask import ask_command, typed_value
from tasktree_rt.cli.waiting import run_waiting, seconds


def parsed(text: str | None) -> float | None:
    return seconds(click.Context(ask_command), ask_command.params[0], text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90", 90.0),
        ("90s", 90.0),
        ("10m", 600.0),
        ("1h30m", 5_400.0),
        ("1.5d", 129_600.0),
        ("50ms", 0.05),
        (None, None),
    ],
)
def test_times_are_read(text: str | None, expected: float | None) -> None:
    assert parsed(text) == expected


@pytest.mark.parametrize("text", ["", "m", "10x", "1h m", "-5", "10 m", "1e3"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is no time"):
        parsed(text)


@pytest.mark.parametrize(
    ("text", "schema", "expected"),
    [
        ("7", {"type": "integer"}, 7),
        ("7", {"type": "string"}, "7"),
        ("seven", {"type": "integer"}, "seven"),
        ('{"a": [1]}', {}, {"a": [1]}),
        ("", {}, ""),
    ],
)
def test_what_was_typed_is_json_where_it_can_be(
    text: str, schema: dict[str, object], expected: object
) -> None:
    assert typed_value(text, schema) == expected


def test_a_fault_of_the_programs_own_never_looks_like_a_no() -> None:
    async def broken() -> None:
        raise KeyError("ours")

    with pytest.raises(SystemExit) as left:
        run_waiting(broken)
    assert left.value.code == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["x"], "say whom to ask"),
        (["x", "--project", "p", "--option", "a", "--option", "a=A"], "--option: the same id twice"),
        (
            ["x", "--project", "p", "--option", "a", "--default", "b"],
            "--default b: expected one of yes, no, a",
        ),
        (["x", "--project", "p", "--schema", "[1]"], "--schema [1]: No such file"),
        (["x", "--project", "p", "--schema", "{"], "--schema: "),
    ],
)
def test_wrong_questions_are_one_line(arguments: list[str], told: str) -> None:
    result = CliRunner().invoke(ask_command, arguments)
    assert result.exit_code == 2
    assert result.output.startswith(f"tasktree-rt: {told}")
    assert result.output.count("\n") == 1
