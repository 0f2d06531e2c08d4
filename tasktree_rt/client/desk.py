"""A desk: what a Trio program asks people and tells them, and what people answer and command, over HTTP.

Every request is sent again, with full-jitter back-off, through any restart of the hub; what must not be done
twice is not.
"""

from __future__ import annotations

import math
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar, Unpack
from urllib.parse import quote

import httpx
import trio
from attrs import frozen

from tasktree_rt.client.asking import (
    Answer,
    Asked,
    Question,
    ask_steps,
    encoded,
    make_question,
    prompt_path,
    read_answer,
)
from tasktree_rt.client.backoff import Backoff, Retry
from tasktree_rt.client.requests import Came, Conversation, Pause, Request, Steps, built
from tasktree_rt.client.urls import api_url
from tasktree_rt.core.events import Json
from tasktree_rt.core.log import Position
from tasktree_rt.errors import RequestRefused

T = TypeVar("T")
LONGEST_WAIT: Final = 60.0
_PAGE: Final = "500"


@frozen
class Outcome:
    """What became of a command.

    Attributes:
        command_id: the hub's name of it.
        status: ``done``, ``refused``, ``timeout`` (no orchestrator said anything), ``cancelled`` (the project
            was deleted), or ``pending``: not known yet.
        message: what the orchestrator said about it.
    """

    command_id: str
    status: str
    message: str | None = None


@frozen
class EventPage:
    """Events of a log as JSON objects, the oldest first; `next` is the `since` of the next page, if any."""

    events: list[Json]
    next: str | None


@frozen
class NotificationPage:
    """The events of a user's log, as `EventPage`; `read` is the seq up to which the user has read it."""

    events: list[Json]
    next: str | None
    read: int


class Desk:
    """What `open_desk` gives. Any number of the program's tasks may use it.

    Every method raises:

    - `RequestRefused`: the hub refuses it for good (`code` as in docs/protocol.md, `field`, `outcome`);
    - `ConnectionLost`: the hub was away for more than `patience` seconds, or the answer to something that
      must not be done twice was lost.
    """

    def __init__(
        self, client: httpx.AsyncClient, url: str, *, timeout: float, backoff: Backoff, patience: float
    ) -> None:
        self._client = client
        self._url = url
        self._timeout = timeout
        self._backoff = backoff
        self._patience = patience

    async def ask(self, message: str, **asked: Unpack[Asked]) -> Answer:
        """Ask people, and wait for what the question comes to, through any restart of the hub.

        It is asked once: `prompt_id`, which is made here if none is given, names it over every try. Give one
        of your own to find the same question again in the program's next life. Cancelling takes the question
        back (best effort, for at most 2 seconds; `how` is ``cancelled`` then for whoever looks).

        Args:
            project_id, user_id: where it is offered; at least one.
            node_id: what it is about.
            options: what may be chosen: ids, an object of id to label, or ``{"id", "label"}`` each. The
                answer's `value` is an id then.
            schema: a JSON Schema that the answer's `value` must satisfy. Not with `options`.
            timeout: seconds until the default holds, from when the hub has it; default: the hub's (1 hour).
            default: what holds if nobody answers: True or False, or ``{"proceed", "value"}``; default: False.

        Raises:
            RequestRefused: ``invalid_message`` (the field says what of it), ``forbidden``, ``too_large``;
                ``idempotency_conflict``: another question has this `prompt_id`.
        """
        question = make_question(message, **asked)
        try:
            return await self._drive(ask_steps(question, self._talk()))
        except trio.Cancelled:
            await self._take_back(question)
            raise

    async def answer(
        self, prompt_id: str, proceed: bool, *, value: object = None, feedback: str | None = None
    ) -> Answer:
        """Answer a prompt; returns the answer as it is kept. `value` None means none is given.

        Raises:
            RequestRefused: ``prompt_closed``: somebody was quicker, or nobody was quick enough (`outcome`
                says); ``invalid_message`` (field ``value``), ``forbidden``, ``not_found``.
        """
        said: Json = {"proceed": proceed, "value": value, "feedback": feedback}
        body = encoded({key: one for key, one in said.items() if one is not None})
        try:
            found = await self._call(Request("POST", f"{prompt_path(prompt_id)}/answer", body=body))
        except RequestRefused as error:
            if error.repeated and error.outcome is not None and _says(error.outcome, said):
                return read_answer(error.outcome)  # the first try was taken and its reply lost
            raise
        return read_answer(found)

    async def open_prompts(self, *, project_id: str | None = None, user_id: str | None = None) -> list[Json]:
        """The prompts that are open and that this caller may see, the oldest first.

        Each has ``prompt_id, message, deadline, default, status, asked_at`` and what it was asked with of
        ``project_id, user_id, node_id, options, schema``.
        """
        return await self.prompts(project_id=project_id, user_id=user_id, status="open")

    async def prompts(
        self, *, project_id: str | None = None, user_id: str | None = None, status: str = "all"
    ) -> list[Json]:
        """All prompts, or the ``open`` or the ``settled`` ones, which have ``outcome`` and ``settled_at``."""
        wanted = (("status", status), ("limit", _PAGE), ("project_id", project_id), ("user_id", user_id))
        found: list[Json] = []
        after: str | None = "0"
        while after is not None:
            query = _query(*wanted, ("after", after))
            page = await self._call(Request("GET", "/prompts", query))
            found += page["prompts"]
            after = page["next"]
        return found

    async def prompt(self, prompt_id: str, *, wait: float = 0.0) -> Json:
        """One prompt, as `prompts` gives it; with `wait` (seconds, at most 60) as soon as it is settled."""
        return await self._call(_held("GET", prompt_path(prompt_id), wait))

    async def take_back(self, prompt_id: str) -> Answer:
        """Take a prompt back: it ends as ``cancelled``.

        Raises:
            RequestRefused: ``prompt_closed`` (`outcome`), ``not_found``, ``forbidden``.
        """
        try:
            return read_answer(await self._call(Request("DELETE", prompt_path(prompt_id))))
        except RequestRefused as error:
            if error.repeated and error.outcome is not None and error.outcome.get("how") == "cancelled":
                return read_answer(error.outcome)
            raise

    async def command(
        self,
        project_id: str,
        name: str,
        *,
        node_id: str | None = None,
        args: Mapping[str, Any] | None = None,
        wait: float = 0.0,
    ) -> Outcome:
        """Tell the orchestrator of a project what to do: ``cancel``, ``retry``, ``pause``, ``resume`` …

        Sent once: if the hub's answer is lost it is not sent again, and `ConnectionLost` says so. With `wait`
        (seconds, at most 60) it returns as soon as it is settled; else, and after that time, `Outcome.status`
        is ``pending``, and the project's event ``command_result`` will tell.

        Raises:
            RequestRefused: ``no_orchestrator``: nobody takes commands for it; nothing was kept.
        """
        given = {"name": name, "node_id": node_id, "args": args}
        body = encoded({key: one for key, one in given.items() if one is not None})
        path = f"/projects/{quote(project_id, safe='')}/commands"
        found = await self._call(_held("POST", path, wait, body=body, repeatable=False))
        message = found.get("message")
        return Outcome(
            str(found["command_id"]), str(found["status"]), message if isinstance(message, str) else None
        )

    async def notify(
        self,
        user_id: str,
        title: str,
        *,
        body: str | None = None,
        level: str | None = None,
        url: str | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> Position:
        """Tell a user something; returns its position in the user's log. Sent once, as `command` is."""
        given = {"title": title, "body": body, "level": level, "url": url, "data": data}
        text = encoded({key: one for key, one in given.items() if one is not None})
        request = Request("POST", _user(user_id, "notifications"), body=text, repeatable=False)
        found = await self._call(request)
        return Position(str(found["epoch"]), int(found["seq"]))

    async def notifications(
        self, user_id: str, *, since: Position | str | None = None, limit: int = 100, type: str | None = None
    ) -> NotificationPage:
        """What a user was told: a page of their log (``notification``, ``prompt``, ``prompt_resolved`` …)."""
        query = _query(("since", _text(since)), ("limit", str(limit)), ("type", type))
        found = await self._call(Request("GET", _user(user_id, "notifications"), query))
        return NotificationPage(found["events"], found["next"], int(found["read"]))

    async def mark_read(self, user_id: str, seq: int) -> int:
        """The user has read everything up to `seq` of their log; returns how far they have read now."""
        found = await self._call(Request("POST", _user(user_id, "read"), body=encoded({"seq": seq})))
        return int(found["read"])

    async def events(
        self,
        project_id: str,
        *,
        since: Position | str | None = None,
        limit: int = 100,
        type: str | None = None,
        node_id: str | None = None,
        **more: str,
    ) -> EventPage:
        """A page of a project's log, of one type and one node if asked. `more`: further query parameters."""
        wanted = (
            ("since", _text(since)),
            ("limit", str(limit)),
            ("type", type),
            ("node_id", node_id),
        )
        path = f"/projects/{quote(project_id, safe='')}/events"
        found = await self._call(Request("GET", path, _query(*wanted, *more.items())))
        return EventPage(found["events"], found["next"])

    # --- how it is done -----------------------------------------------------------------------------

    async def recover(self, *, project_id: str | None = None, user_id: str | None = None) -> Json:
        """Let a damaged project, or user's log, go on with what of it can be read; for administrators.

        Returns ``epoch, seq, checkpoint`` and ``lost``, a list of ``first, last, why``. What is not damaged
        is left as it is.

        Raises:
            RequestRefused: ``forbidden``, ``not_found``; ``project_damaged``: not even its outline is left.
        """
        project = quote(project_id or "", safe="")
        path = f"/projects/{project}/recover" if user_id is None else _user(user_id, "recover")
        return await self._call(Request("POST", path))

    def _talk(self) -> Conversation:
        return Conversation(Retry(self._backoff), self._patience, trio.current_time)

    async def _call(self, request: Request) -> Json:
        return (await self._drive(self._talk().call(request))).body

    async def _drive(self, steps: Steps[T]) -> T:
        came: Came = None
        try:
            while True:
                step = steps.send(came)
                came = None
                if isinstance(step, Pause):
                    await trio.sleep(step.seconds)
                else:
                    came = await self._send(step)
        except StopIteration as end:
            found: T = end.value
            return found

    async def _send(self, request: Request) -> httpx.Response | httpx.HTTPError:
        try:
            return await self._client.send(built(self._client, self._url, request, self._timeout))
        except httpx.HTTPError as error:
            return error

    async def _take_back(self, question: Question) -> None:
        """Best effort. Where the hub knows no such prompt the question may still be on its way to it."""
        with trio.CancelScope(shield=True), trio.move_on_after(TAKE_BACK):
            for pause in (0.1, 0.5, 0.0):
                came = await self._send(Request("DELETE", question.path))
                if isinstance(came, httpx.Response) and (came.is_success or came.status_code in _OVER):
                    return
                await trio.sleep(pause)


TAKE_BACK: Final = 2.0
_OVER: Final = frozenset({401, 403, 409, 410})


def _query(*pairs: tuple[str, str | None]) -> tuple[tuple[str, str], ...]:
    return tuple((key, value) for key, value in pairs if value is not None)


def _text(since: Position | str | None) -> str | None:
    return None if since is None else str(since)


def _held(
    method: str, path: str, wait: float, *, body: bytes | None = None, repeatable: bool = True
) -> Request:
    held = min(wait, LONGEST_WAIT)
    query = (("wait", f"{math.ceil(held)}"),) if held > 0 else ()
    return Request(method, path, query, body, held, repeatable)


def _user(user_id: str, what: str) -> str:
    return f"/users/{quote(user_id, safe='')}/{what}"


def _says(outcome: Json, said: Json) -> bool:
    """Whether an outcome is what was answered."""
    return outcome.get("how") == "answered" and all(outcome.get(key) == said[key] for key in said)


@asynccontextmanager
async def open_desk(
    url: str,
    *,
    token: str | None = None,
    timeout: float = 10.0,  # noqa: ASYNC109 - of each request
    backoff: Backoff = Backoff(),  # noqa: B008 - frozen
    patience: float = math.inf,
    ssl_context: ssl.SSLContext | None = None,
) -> AsyncIterator[Desk]:
    """A desk at the hub at `url` (http, https, ws or wss). Entering does not look whether the hub is there.

    Args:
        timeout: seconds for one request, beside what the hub is asked to wait.
        patience: seconds that the hub may be away before `ConnectionLost`; default: any.

    Raises:
        ValueError: not an address.
    """
    address = api_url(url, "")
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    # Reading the certificates takes 20 ms, which a hub without TLS need not cost.
    verify = (ssl_context or True) if address.startswith("https:") else False
    async with httpx.AsyncClient(headers=headers, verify=verify) as client:
        yield Desk(client, url, timeout=timeout, backoff=backoff, patience=patience)
