"""The command ``tasktree-rt answer``: list open prompts and answer them."""

from __future__ import annotations

import os
import sys
from typing import Final

import click
import trio
from attrs import frozen
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tasktree_rt.cli.ask import typed_value
from tasktree_rt.cli.log_lines import plain
from tasktree_rt.cli.remote import checked_hub, desk_at, hub_option, outages_told, patience_option, refusal
from tasktree_rt.cli.running import Failed
from tasktree_rt.cli.safe_text import printable
from tasktree_rt.cli.waiting import NO, YES, run_waiting, say
from tasktree_rt.client.interactions.api_client import ApiClient
from tasktree_rt.client.interactions.prompts import Answer, read_answer
from tasktree_rt.core.events import Json
from tasktree_rt.dialects.base import encode_json
from tasktree_rt.errors import RequestRefused

MENDABLE: Final = "invalid_message"
"""The code of an answer that does not fit the question."""
_LONGEST_LINE: Final = 64 * 1024


@frozen
class Reply:
    """An answer as typed on the command line; `value` is its text, or None."""

    proceed: bool
    value: str | None = None


@click.command("answer")
@click.argument("prompt_id", required=False)
@click.option("--project", metavar="ID", help="Only what is asked in this project; with PROMPT_ID: its.")
@click.option("--user", metavar="ID", help="Only what this person is asked; with PROMPT_ID: theirs.")
@click.option("--yes", "said", flag_value="yes", help="Answer yes.")
@click.option("--no", "said", flag_value="no", help="Answer no.")
@click.option("--value", metavar="VALUE", help="Answer yes, with this option's id or this value.")
@click.option("--feedback", metavar="TEXT", help="A remark for the asker.")
@click.option("--json", "as_json", is_flag=True, help="Only list the open ones, one JSON object a line.")
@hub_option
@patience_option
def answer_command(
    prompt_id: str | None,
    project: str | None,
    user: str | None,
    said: str | None,
    value: str | None,
    feedback: str | None,
    as_json: bool,
    hub: str,
    patience: float,
) -> None:
    """Answer what is asked: the question PROMPT_ID, or one that you choose from those that are open.

    In a terminal it lists them and asks. With --yes, --no or --value it asks nothing, and PROMPT_ID may be
    left out if just one is open. Without a terminal and without an answer it prints the list: id, place and
    message, tabs between them.

    \b
    Exit codes:
      0    answered, or listed
      1    already answered, or past its deadline; the command prints the outcome
      2    an error, such as an answer that does not fit the question
      130  interrupted

    \b
    Examples:
      tasktree-rt answer
      tasktree-rt answer 5f0c62a1 --yes --feedback "go ahead"
      tasktree-rt answer --project shop --value green
    """
    if said is not None and value is not None:
        raise Failed("--value: is a yes; not with --yes or --no")
    reply = Reply(said != "no", value) if said is not None or value is not None else None
    session = _Session(prompt_id, project, user, reply, feedback)
    with outages_told(Console(stderr=True)):
        code: int = run_waiting(session.run, checked_hub(hub), patience, as_json)
    raise SystemExit(code)


@frozen
class _Session:
    """The command's options."""

    prompt_id: str | None
    project: str | None
    user: str | None
    reply: Reply | None
    feedback: str | None

    async def run(self, url: str, patience: float, as_json: bool) -> int:
        """Answer or list as the options say; return the exit code."""
        async with desk_at(url, patience) as desk:
            found = await self._open(desk)
            if self.prompt_id is not None and "outcome" in found[0]:
                _tell_closed(found[0]["outcome"])
                return NO
            if as_json:
                click.echo(b"".join(encode_json(one) + b"\n" for one in found), nl=False)
                return YES
            if self.reply is not None:
                return await self._give(desk, _only(found), self.reply, self.feedback)
            if not sys.stdin.isatty():
                click.echo("".join(_row(one) + "\n" for one in found), nl=False)
                return YES
            return await self._ask(desk, found)

    async def _open(self, desk: ApiClient) -> list[Json]:
        if self.prompt_id is None:
            return await desk.open_prompts(project_id=self.project, user_id=self.user)
        return [await desk.prompt(self.prompt_id, project_id=self.project, user_id=self.user)]

    async def _give(self, desk: ApiClient, prompt: Json, reply: Reply, feedback: str | None) -> int:
        value = None if reply.value is None else _value(prompt, reply.value)
        try:
            answer = await desk.answer(
                prompt["prompt_id"],
                reply.proceed,
                value=value,
                feedback=feedback,
                project_id=prompt.get("project_id"),
                user_id=None if "project_id" in prompt else prompt.get("user_id"),
            )
        except RequestRefused as error:
            if error.code != "prompt_closed" or error.outcome is None:
                raise
            _tell_closed(error.outcome)
            return NO
        say(f"answered {_told(answer)}")
        return YES

    # --- in a terminal ------------------------------------------------------------------------------

    async def _ask(self, desk: ApiClient, found: list[Json]) -> int:
        code, console = YES, Console()
        while found:
            chosen = found[0] if self.prompt_id else await _choose(console, found)
            if chosen is None:
                return code
            code = await self._answer_here(desk, console, chosen)
            found = [] if self.prompt_id else await self._open(desk)
        if self.prompt_id is None:
            console.print("Nothing is asked now." if code == YES else "Nothing else is asked now.")
        return code

    async def _answer_here(self, desk: ApiClient, console: Console, prompt: Json) -> int:
        """Ask in the terminal until the answer fits the question."""
        _show(console, prompt)
        while True:
            reply = await _typed(console, prompt)
            feedback = self.feedback
            if feedback is None:
                feedback = await _input("Remark (Enter for none): ") or None
            try:
                return await self._give(desk, prompt, reply, feedback)
            except RequestRefused as error:
                if error.code != MENDABLE:
                    raise
                console.print(Text(plain(refusal(error)), "red"))


async def _choose(console: Console, found: list[Json]) -> Json | None:
    """Return the prompt to answer; None if the command is done after the list."""
    console.print(_table(found))
    while True:
        typed = await _input(f"Which (1-{len(found)}; Enter ends): ")
        if not typed:
            return None
        if typed.isdecimal() and 1 <= int(typed) <= len(found):
            return found[int(typed) - 1]
        named = [one for one in found if one["prompt_id"] == typed]
        if named:
            return named[0]


async def _typed(console: Console, prompt: Json) -> Reply:
    """Read an answer from the terminal, with a prompt that names the possible answers."""
    options = prompt.get("options") or []
    for number, option in enumerate(options, 1):
        console.print(Text(f"  {number}  {plain(option['label'])}"))
    while True:
        typed = await _input(_hint(prompt, len(options)))
        if typed.lower() in ("n", "no") and typed not in [one["id"] for one in options]:
            return Reply(False)
        if options:
            chosen = _option(options, typed)
            if chosen is not None:
                return Reply(True, chosen)
        elif "schema" in prompt:
            if typed:
                return Reply(True, typed)
        elif typed.lower() in ("y", "yes"):
            return Reply(True)


def _hint(prompt: Json, options: int) -> str:
    if options:
        return f"1-{options}, or no: "
    return "Value, or no: " if "schema" in prompt else "yes or no: "


def _option(options: list[Json], typed: str) -> str | None:
    names: list[str] = [one["id"] for one in options]
    if typed in names:
        return typed
    return names[int(typed) - 1] if typed.isdecimal() and 1 <= int(typed) <= len(names) else None


async def _input(hint: str) -> str:
    """Read a line from the terminal. Not in a thread: a thread that reads cannot be cancelled.

    Raises:
        Failed: the input ended (Ctrl+D).
    """
    sys.stdout.write(hint)
    sys.stdout.flush()
    line = b""
    while not line.endswith(b"\n"):
        await trio.lowlevel.wait_readable(sys.stdin.fileno())
        # A terminal gives one line at a time.
        chunk = os.read(sys.stdin.fileno(), _LONGEST_LINE)
        if not chunk:
            raise Failed("nothing was answered")
        line += chunk
    return line.decode(errors="replace").strip()


def _show(console: Console, prompt: Json) -> None:
    console.print(Text(plain(prompt["message"]), "bold"))
    console.print(Text(f"{_place(prompt)}, until {prompt['deadline']}, then {_default(prompt)}", "dim"))
    if "schema" in prompt:
        console.print(Text(f"A value that satisfies {plain(encode_json(prompt['schema']).decode())}", "dim"))


def _table(found: list[Json]) -> Table:
    table = Table("", "question", "where", "until", "then", "id", box=None, header_style="bold")
    for number, one in enumerate(found, 1):
        cells = (
            str(number),
            printable(one["message"], 200),
            _place(one),
            str(one["deadline"])[:19] + "Z",
            _default(one),
            one["prompt_id"],
        )
        table.add_row(*map(Text, cells))
    return table


def _row(prompt: Json) -> str:
    return "\t".join((prompt["prompt_id"], _place(prompt), printable(prompt["message"])))


def _place(prompt: Json) -> str:
    names = (prompt.get("project_id"), prompt.get("node_id"), prompt.get("user_id"))
    project, node, user = (None if one is None else printable(str(one), 60) for one in names)
    where = " ".join(one for one in (project, node) if one)
    return f"{where} @{user}".strip() if user else where


def _default(prompt: Json) -> str:
    given = prompt["default"]
    if "value" in given:
        return printable(encode_json(given["value"]).decode(), 40)
    return "yes" if given["proceed"] else "no"


def _only(found: list[Json]) -> Json:
    if not found:
        raise Failed("nothing is asked now")
    if len(found) > 1:
        raise Failed(f"{len(found)} questions are open: name one; `tasktree-rt answer --json` lists them")
    return found[0]


def _value(prompt: Json, text: str) -> object:
    return typed_value(text, prompt["schema"]) if "schema" in prompt else text


def _told(answer: Answer) -> str:
    word = "yes" if answer.proceed else "no"
    return word if answer.value is None else f"{word}: {printable(encode_json(answer.value).decode())}"


def _tell_closed(outcome: Json) -> None:
    answer = read_answer(outcome)
    by = f" by {printable(answer.by)}" if answer.by else ""
    how = {"timeout": "its time was up", "cancelled": "it was taken back"}.get(answer.how, "answered already")
    say(f"{how}{by}: {_told(answer)}")
