"""The command ``tasktree-rt ask``: open a prompt and wait for its answer."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import Any

import click
from attrs import frozen
from rich.console import Console

from tasktree_rt.cli.log_lines import plain
from tasktree_rt.cli.remote import (
    checked_hub,
    checked_project,
    desk_at,
    hub_option,
    outages_told,
    patience_option,
)
from tasktree_rt.cli.running import Failed
from tasktree_rt.cli.waiting import NO, NO_ANSWER, YES, run_waiting, say, seconds
from tasktree_rt.client.interactions.prompts import Answer
from tasktree_rt.core.events import Json
from tasktree_rt.dialects.base import decode_json, encode_json
from tasktree_rt.errors import InvalidInput


@frozen
class Question:
    """A question and its recipients: a project, a node, a user."""

    message: str
    project: str | None
    user: str | None
    node: str | None
    options: dict[str, str]
    schema: Json | None
    timeout: float | None
    default: Json | None
    prompt_id: str


@click.command("ask")
@click.argument("message")
@click.option("--project", metavar="ID", help="Ask the watchers of this project.")
@click.option("--user", metavar="ID", help="Ask this person.")
@click.option("--node", metavar="ID", help="What it is about.")
@click.option(
    "--option", "options", multiple=True, metavar="ID[=LABEL]", help="What may be chosen. Repeatable."
)
@click.option("--schema", metavar="FILE|JSON", help="A JSON Schema that the value must satisfy.")
@click.option(
    "--timeout", callback=seconds, metavar="TIME", help="Until the default holds, as 10m; default: the hub's."
)
@click.option(
    "--default",
    metavar="yes|no|VALUE",
    help="The answer if none comes: an --option's id, or a value for --schema, is a yes. Default: no.",
)
@click.option(
    "--id", "prompt_id", metavar="ID", help="Names the question: asked again under it, it is the same one."
)
@hub_option
@patience_option
def ask_command(hub: str, patience: float, **given: Any) -> None:
    """Ask people MESSAGE, wait for the answer, and print it: a gate for scripts.

    Standard output gets the value that was chosen or entered (a string as it is, anything else as JSON), or
    yes or no; all else goes to standard error. The question survives a restart of the hub. Ctrl+C (or
    SIGTERM) cancels it.

    \b
    Exit codes:
      0    yes: go on (also if that is the default and no answer came)
      1    no, or another caller cancelled the question
      2    an error: the answer is unknown
      3    no answer came in time, and the default is no
      130  interrupted; the question is cancelled

    \b
    Examples:
      tasktree-rt ask "Deploy to production?" --project shop --timeout 10m && ./deploy.sh
      colour=$(tasktree-rt ask "Which?" --project shop --option blue --option green=Green --default blue)
      tasktree-rt ask "How many?" --user anna --schema '{"type": "integer", "minimum": 1}'
    """
    url = checked_hub(hub)
    question = _question(**given)
    with outages_told(Console(stderr=True)):
        answer = run_waiting(_ask, url, question, patience)
    _tell(answer)
    click.echo(_value(answer))
    raise SystemExit(YES if answer.proceed else NO_ANSWER if answer.how == "timeout" else NO)


async def _ask(url: str, question: Question, patience: float) -> Answer:
    async with desk_at(url, patience) as desk:
        say(f"asking (prompt {question.prompt_id}); waiting for an answer")
        return await desk.ask(
            question.message,
            project_id=question.project,
            user_id=question.user,
            node_id=question.node,
            options=question.options or None,
            schema=question.schema,
            timeout=question.timeout,
            default=question.default,
            prompt_id=question.prompt_id,
        )


def _question(
    message: str,
    project: str | None,
    user: str | None,
    node: str | None,
    options: tuple[str, ...],
    schema: str | None,
    timeout: float | None,
    default: str | None,
    prompt_id: str | None,
) -> Question:
    if project is None and user is None:
        raise Failed("say whom to ask: --project, --user, or both")
    if project is not None:
        checked_project(project)
    labels = dict(_option(one) for one in options)
    if len(labels) < len(options):
        raise Failed("--option: the same id twice")
    wanted = None if schema is None else _schema(schema)
    chosen = None if default is None else _default(default, labels, wanted)
    name = prompt_id or secrets.token_hex(8)
    return Question(message, project, user, node, labels, wanted, timeout, chosen, name)


def _option(text: str) -> tuple[str, str]:
    name, equals, label = text.partition("=")
    return name, label if equals else name


def _schema(text: str) -> Json:
    where = "--schema"
    if not text.lstrip().startswith("{"):
        where = f"--schema {text}"
        try:
            text = Path(text).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Failed(f"{where}: {getattr(error, 'strerror', None) or 'not UTF-8'}") from None
    try:
        found = decode_json(text.encode())
    except InvalidInput as error:
        raise Failed(f"{where}: {error}") from None
    if not isinstance(found, dict):
        raise Failed(f"{where}: expected a JSON object")
    return found


def _default(text: str, options: dict[str, str], schema: Json | None) -> Json:
    """Read the default. An option's id comes before the words: ``no`` means the option ``no`` if there is
    one."""
    if text in options:
        return {"proceed": True, "value": text}
    if text in ("yes", "no"):
        return {"proceed": text == "yes"}
    if schema is not None:
        return {"proceed": True, "value": typed_value(text, schema)}
    expected = ", ".join(["yes", "no", *options])
    raise Failed(f"--default {text}: expected one of {expected}")


def typed_value(text: str, schema: Json) -> object:
    """Convert typed text to a value for `schema`: JSON, or the text itself where that is no JSON or the
    schema wants a string. The hub checks it."""
    if schema.get("type") == "string":
        return text
    try:
        return decode_json(text.encode())
    except InvalidInput:
        return text


def _value(answer: Answer) -> str:
    if answer.value is None:
        return "yes" if answer.proceed else "no"
    text = answer.value if isinstance(answer.value, str) else encode_json(answer.value).decode()
    return plain(text) if sys.stdout.isatty() else text


def _tell(answer: Answer) -> None:
    word = "yes" if answer.proceed else "no"
    by = f" by {plain(answer.by)}" if answer.by else ""
    if answer.how == "timeout":
        say(f"no answer came in time; the default is {word}")
    elif answer.how == "cancelled":
        say(f"the question was taken back{by}")
    else:
        remark = f": {plain(answer.feedback)}" if answer.feedback else ""
        say(f"answered {word}{by}{remark}")
