"""Prompts of a program: the request and the answer. Pure; `ApiClient` and `Publisher` send them.

The prompt's id is made here, and the question is sent as the same bytes over every try, so that the hub asks
once whatever becomes of it, of this connection, or of an answer on its way.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypedDict
from urllib.parse import quote

from attrs import frozen

from tasktree_rt.client.interactions.api_requests import query_of
from tasktree_rt.client.transport.http_retry import Conversation, Pause, Request, Steps
from tasktree_rt.core.events import Json
from tasktree_rt.dialects.base import encode_json
from tasktree_rt.errors import RequestRefused

LONGEST_WAIT: Final = 20.0
"""Seconds that the hub may hold a request: a hub that vanished without a word is noticed soon after."""
BETWEEN: Final = 2.0
"""Seconds between two looks where the hub does not let the asker see the prompt."""

Options = Iterable[str | Mapping[str, str]] | Mapping[str, str]


class Asked(TypedDict, total=False):
    """What can be asked, beside the message; `ApiClient.ask` says what each of it means."""

    project_id: str | None
    user_id: str | None
    node_id: str | None
    options: Options | None
    schema: Mapping[str, Any] | None
    timeout: float | None
    default: bool | Mapping[str, Any] | None
    prompt_id: str | None


@frozen
class Answer:
    """What a prompt came to. As a condition it is `proceed`: ``if await hub.ask("Deploy?"): …``

    Attributes:
        proceed: yes or no.
        value: what was chosen or entered, if anything was.
        feedback: a remark of the person who answered.
        by: the user who answered, if the hub knows.
        how: ``answered``, ``timeout`` (no answer came; this is the default) or ``cancelled``.
    """

    proceed: bool
    value: Any = None
    feedback: str | None = None
    by: str | None = None
    how: str = "answered"

    def __bool__(self) -> bool:
        return self.proceed


@frozen
class Question:
    """A prompt to be asked, as it is sent. `place`: the query that names its project or user."""

    prompt_id: str
    body: bytes
    place: tuple[tuple[str, str], ...] = ()

    @property
    def path(self) -> str:
        """Of the prompt, once it is asked."""
        return prompt_path(self.prompt_id)


def prompt_path(prompt_id: str) -> str:
    """The path of a prompt."""
    return f"/prompts/{quote(prompt_id, safe='')}"


def prompt_place(project_id: str | None, user_id: str | None) -> tuple[tuple[str, str], ...]:
    """The query that names where a prompt is asked: its id is of its project, or of its user."""
    return query_of(("project_id", project_id), ("user_id", user_id))


def make_question(
    message: str,
    *,
    project_id: str | None = None,
    user_id: str | None = None,
    node_id: str | None = None,
    options: Options | None = None,
    schema: Mapping[str, Any] | None = None,
    timeout: float | None = None,
    default: bool | Mapping[str, Any] | None = None,
    prompt_id: str | None = None,
) -> Question:
    """The prompt that `ask` describes.

    Raises:
        RequestRefused: ``invalid_message``: neither a project nor a user, or no JSON.
    """
    if project_id is None and user_id is None:
        raise RequestRefused("invalid_message", "expected a project or a user to ask", "project_id")
    name = prompt_id or secrets.token_hex(16)
    given: Json = {
        "prompt_id": name,
        "project_id": project_id,
        "user_id": user_id,
        "node_id": node_id,
        "message": message,
        "options": None if options is None else _options(options),
        "schema": schema,
        "timeout": timeout,
        "default": {"proceed": default} if isinstance(default, bool) else default,
    }
    body = encoded({key: value for key, value in given.items() if value is not None})
    # A prompt in a project that is for a user too is the project's.
    return Question(name, body, prompt_place(project_id, user_id if project_id is None else None))


def encoded(body: Mapping[str, Any]) -> bytes:
    """A request's body.

    Raises:
        RequestRefused: ``invalid_message``: it cannot be written as JSON.
    """
    try:
        return encode_json(body)
    except (TypeError, ValueError, UnicodeError, OverflowError, RecursionError) as error:
        raise RequestRefused("invalid_message", f"cannot be written as JSON: {error}") from None


def _options(options: Options) -> list[Mapping[str, str]]:
    if isinstance(options, Mapping):
        return [{"id": name, "label": label} for name, label in options.items()]
    return [{"id": one} if isinstance(one, str) else one for one in options]


def read_answer(outcome: object) -> Answer:
    """The outcome of a prompt as an `Answer`.

    Raises:
        RequestRefused: ``invalid_message``: it is none, so the peer is not a hub.
    """
    if not isinstance(outcome, Mapping) or type(outcome.get("proceed")) is not bool:
        raise RequestRefused("invalid_message", "the peer is not a hub: an outcome without proceed")
    how = str(outcome.get("how", "answered"))
    return Answer(outcome["proceed"], outcome.get("value"), outcome.get("feedback"), outcome.get("by"), how)


def ask_steps(question: Question, talk: Conversation) -> Steps[Answer]:
    """Ask, and wait for what it comes to.

    Raises:
        RequestRefused, ConnectionLost: see `Conversation.call`.
    """
    wait = (*question.place, ("wait", f"{LONGEST_WAIT:g}"))
    look = Request("GET", question.path, wait, wait=LONGEST_WAIT)
    while True:
        asked = yield from talk.call(Request("POST", "/prompts", body=question.body))
        found = asked.body
        try:
            while "outcome" not in found:
                found = (yield from talk.call(look)).body
        except RequestRefused as error:
            if error.code != "not_found":
                raise
            # The hub has lost its store, and is asked anew; or this asker may not look, and must ask again.
            if asked.status == _KNOWN:
                yield Pause(BETWEEN)
            continue
        return read_answer(found["outcome"])


_KNOWN: Final = 200
"""Of the answer to a question that was asked before; to a new one it is 201."""
