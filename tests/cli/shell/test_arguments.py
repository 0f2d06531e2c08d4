import re

import pytest

from tasktree_rt.cli.shell.arguments import Usage, parsed
from tasktree_rt.cli.shell.sh import line_of

NESTED = {"TASKTREE_RT_PROJECT": "outer", "TASKTREE_RT_PARENT": "above"}


@pytest.mark.parametrize(
    ("words", "environment", "project", "node", "parent", "own"),
    [
        (["p"], {}, "p", None, None, True),
        (["p", "n"], {}, "p", "n", None, True),
        (["n"], NESTED, "outer", "n", "above", False),
        (["p", "n"], NESTED, "p", "n", "above", False),
        ([], NESTED, "outer", None, "above", False),
        ([], {"TASKTREE_RT_PROJECT": "shared"}, "shared", None, None, False),
        (["p", "--no-state"], {}, "p", None, None, False),
        (["--state"], NESTED, "outer", None, "above", True),
        (["p", "--parent", "x"], {}, "p", None, "x", False),
    ],
)
def test_words_and_variables_name_project_node_and_parent(
    words: list[str],
    environment: dict[str, str],
    project: str,
    node: str | None,
    parent: str | None,
    own: bool,
) -> None:
    asked = parsed([*words, "--", "make", "--", "all"], environment)
    assert asked.command == ["make", "--", "all"]
    assert (asked.project.id, asked.node, asked.parent, asked.own_state) == (project, node, parent, own)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["p"], "expected -- and a command"),
        (["p", "--"], "expected -- and a command"),
        (["a", "b", "c", "--", "x"], "at most PROJECT and NODE"),
        (["not ok", "--", "x"], "PROJECT: expected 1-128 characters"),
        (["p", "--hub", "nowhere?token=x", "--", "x"], "--hub nowhere: expected an address"),
    ],
)
def test_wrong_arguments_say_what_was_expected(words: list[str], said: str) -> None:
    with pytest.raises(Usage, match=re.escape(said)):
        parsed(words, {})


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["-c", "echo x"], "echo x"),
        (["-ec", "echo x", "name"], "echo x"),
        (["-e", "-c", "x"], "x"),
        (["-o", "pipefail", "-c", "x"], "x"),
        (["-eo", "pipefail", "-c", "x"], "x"),
        (["-c", "--", "x"], "x"),
        (["script.sh", "-c"], None),
        ([], None),
        (["-c"], None),
        (["-s"], None),
    ],
)
def test_a_shells_line_is_found_among_its_arguments(arguments: list[str], line: str | None) -> None:
    assert line_of(arguments) == line
