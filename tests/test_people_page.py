"""docs/people.md: what it shows is there and does what the page says."""

from __future__ import annotations

import ast
import json
import re
import shlex
from pathlib import Path

import click
import trio

from tasktree_rt.cli.main import tasktree_rt
from tasktree_rt.core.events import Json
from tests.browser import program
from tests.cli.processes import PATIENCE
from tests.test_examples import blocks
from tests.web.realhub import real_hub

ROOT = Path(__file__).parents[1]
PAGE = "people.md"


def test_the_shell_excerpt_is_the_example() -> None:
    example = (ROOT / "examples" / "gate.sh").read_text(encoding="utf-8")
    excerpts = [one for one in blocks(PAGE, "sh") if one.startswith("if version=")]
    assert len(excerpts) == 1
    assert excerpts[0] in example


def test_every_command_line_of_the_page_is_one_that_there_is() -> None:
    lines = re.findall(
        r"(?:^|\()tasktree-rt [^\n]*", "\n".join(blocks(PAGE, "sh")).replace("\\\n", ""), re.MULTILINE
    )
    assert len(lines) >= 7
    context = click.Context(tasktree_rt)
    for line in lines:
        words = shlex.split(line.strip("(").partition("&&")[0].replace(");", ""), comments=True)
        command = tasktree_rt.get_command(context, words[1])
        assert command is not None, line
        known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
        assert {word for word in words if word.startswith("-")} <= known, line


def test_every_program_of_the_page_is_python() -> None:
    programs = blocks(PAGE, "python")
    assert len(programs) >= 4
    for one in programs:
        compile(one, "people.md", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


async def test_the_gate_over_curl_asks_answers_and_shows_the_outcome() -> None:
    ask, answer = [one for one in blocks(PAGE, "sh") if "$HUB/api/v1/prompts" in one]
    ask_line, look_line = ask.split("curl")[1:]
    give_line = answer.split("curl")[-1]
    script = f"curl{ask_line} && curl{give_line} && curl{look_line}".replace("\n &&", " &&")
    async with real_hub() as running:
        with trio.fail_after(PATIENCE):
            done = await trio.run_process(
                [program("sh"), "-c", script],
                capture_stdout=True,
                env={"HUB": running.url, "PATH": "/usr/bin:/bin"},
            )
    asked, outcome, shown = said(done.stdout.decode())
    assert asked["status"] == "open"
    assert (outcome["proceed"], outcome["value"], outcome["how"]) == (True, "all", "answered")
    assert (shown["prompt_id"], shown["outcome"]) == ("deploy-42", outcome)


def said(text: str) -> list[Json]:
    """JSON objects that follow each other."""
    decoder, found = json.JSONDecoder(), []
    while text:
        one, end = decoder.raw_decode(text)
        found.append(one)
        text = text[end:]
    return found
