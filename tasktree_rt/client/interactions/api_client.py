"""The hub's HTTP API for a Trio program: prompts, commands, notifications, pages of logs.

The client sends every request again, with full-jitter back-off, over any restart of the hub, except one that
must not be done twice (`Request.repeatable`).
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Unpack

import httpx
import trio

from tasktree_rt.client.interactions.api_requests import (
    EventPage,
    NotificationPage,
    Outcome,
    SearchPage,
    held_request,
    is_outcome_of,
    project_path,
    query_of,
    since_text,
    user_path,
)
from tasktree_rt.client.interactions.prompts import (
    Answer,
    Asked,
    Question,
    ask_steps,
    encoded,
    make_question,
    prompt_path,
    prompt_place,
    read_answer,
)
from tasktree_rt.client.transport.backoff import Backoff
from tasktree_rt.client.transport.http_retry import Request
from tasktree_rt.client.transport.tls import Cert, Verify
from tasktree_rt.client.transport.tokens import TokenSource, TrioTokens
from tasktree_rt.client.transport.trio_http import TrioHttp, open_http
from tasktree_rt.core.events import Json
from tasktree_rt.core.log import Position
from tasktree_rt.errors import RequestRefused

_PAGE: Final = "500"
TAKE_BACK: Final = 2.0
"""Seconds for cancelling the prompt of a cancelled `ask`."""
_OVER: Final = frozenset({401, 403, 409, 410})
"""HTTP statuses after which there is no prompt to cancel."""


class ApiClient:
    """What `open_api_client` gives. Any number of the program's tasks may use it.

    Every method raises:

    - `RequestRefused`: the hub refuses it for good (`code` as in docs/protocol.md, `field`, `outcome`);
    - `ConnectionLost`: the hub was away for more than `patience` seconds, or the answer to something that
      must not be done twice was lost.
    """

    def __init__(self, http: TrioHttp) -> None:
        self._http = http

    async def ask(self, message: str, **asked: Unpack[Asked]) -> Answer:
        """Ask people, and wait for what the question comes to, through any restart of the hub.

        It is asked once: `prompt_id`, which is made here if none is given, names it over every try. Give one
        of your own to find the same question again in the program's next life. Cancelling takes the question
        back (best effort, for at most 2 seconds; `how` is ``cancelled`` then for other callers).

        Args:
            project_id, user_id: where it is offered; at least one.
            node_id: what it is about.
            options: what may be chosen: ids, an object of id to label, or ``{"id", "label"}`` each. The
                answer's `value` is an id then.
            schema: a JSON Schema that the answer's `value` must satisfy. Not with `options`.
            timeout: seconds until the default holds, from when the hub has it; default: the hub's (1 hour).
            default: the answer if none comes in time: True, False (the default) or ``{"proceed", "value"}``.

        Raises:
            RequestRefused: ``invalid_message`` (the field says what of it), ``forbidden``, ``too_large``;
                ``idempotency_conflict``: another question has this `prompt_id`.
        """
        question = make_question(message, **asked)
        try:
            return await self._http.drive(ask_steps(question, self._http.talk()))
        except trio.Cancelled:
            await self._take_back(question)
            raise

    async def answer(
        self,
        prompt_id: str,
        proceed: bool,
        *,
        value: object = None,
        feedback: str | None = None,
        project_id: str | None = None,
        user_id: str | None = None,
    ) -> Answer:
        """Answer a prompt; returns the answer as it is kept. `value` None means none is given.

        Args:
            project_id, user_id: where it is asked. Ids belong to a project or a user: without them the hub
                refuses an id of several prompts that this caller may see (``ambiguous``).

        Raises:
            RequestRefused: ``prompt_closed``: another answer was first, or the deadline has passed
                (`outcome` says which); ``invalid_message`` (field ``value``), ``forbidden``, ``not_found``.
        """
        said: Json = {"proceed": proceed, "value": value, "feedback": feedback}
        body = encoded({key: one for key, one in said.items() if one is not None})
        try:
            path, place = f"{prompt_path(prompt_id)}/answer", prompt_place(project_id, user_id)
            found = await self._http.call(Request("POST", path, place, body))
        except RequestRefused as error:
            if error.repeated and error.outcome is not None and is_outcome_of(error.outcome, said):
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
            query = query_of(*wanted, ("after", after))
            page = await self._http.call(Request("GET", "/prompts", query))
            found += page["prompts"]
            after = page["next"]
        return found

    async def prompt(
        self,
        prompt_id: str,
        *,
        wait: float = 0.0,
        project_id: str | None = None,
        user_id: str | None = None,
    ) -> Json:
        """One prompt, as `prompts` gives it; with `wait` (seconds, at most 60) as soon as it is settled.

        `project_id, user_id`: where it is asked, as for `answer`.
        """
        place = prompt_place(project_id, user_id)
        return await self._http.call(held_request("GET", prompt_path(prompt_id), wait, query=place))

    async def take_back(self, prompt_id: str) -> Answer:
        """Call `cancel_prompt`: its name in the first releases."""
        return await self.cancel_prompt(prompt_id)

    async def cancel_prompt(
        self, prompt_id: str, *, project_id: str | None = None, user_id: str | None = None
    ) -> Answer:
        """Take a prompt back: it ends as ``cancelled``. `project_id, user_id`: as for `answer`.

        Raises:
            RequestRefused: ``prompt_closed`` (`outcome`), ``not_found``, ``forbidden``.
        """
        try:
            place = prompt_place(project_id, user_id)
            return read_answer(await self._http.call(Request("DELETE", prompt_path(prompt_id), place)))
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
            RequestRefused: ``no_orchestrator``: no orchestrator serves the project; nothing was stored.
        """
        given = {"name": name, "node_id": node_id, "args": args}
        body = encoded({key: one for key, one in given.items() if one is not None})
        path = project_path(project_id, "commands")
        found = await self._http.call(held_request("POST", path, wait, body=body, repeatable=False))
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
        request = Request("POST", user_path(user_id, "notifications"), body=text, repeatable=False)
        found = await self._http.call(request)
        return Position(str(found["epoch"]), int(found["seq"]))

    async def notifications(
        self, user_id: str, *, since: Position | str | None = None, limit: int = 100, type: str | None = None
    ) -> NotificationPage:
        """What a user was told: a page of their log (``notification``, ``prompt``, ``prompt_resolved`` …)."""
        query = query_of(("since", since_text(since)), ("limit", str(limit)), ("type", type))
        found = await self._http.call(Request("GET", user_path(user_id, "notifications"), query))
        return NotificationPage(found["events"], found["next"], int(found["read"]))

    async def mark_read(self, user_id: str, seq: int) -> int:
        """The user has read everything up to `seq` of their log; returns how far they have read now."""
        found = await self._http.call(Request("POST", user_path(user_id, "read"), body=encoded({"seq": seq})))
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
            ("since", since_text(since)),
            ("limit", str(limit)),
            ("type", type),
            ("node_id", node_id),
        )
        path = project_path(project_id, "events")
        found = await self._http.call(Request("GET", path, query_of(*wanted, *more.items())))
        return EventPage(found["events"], found["next"])

    async def search(
        self,
        text: str,
        *,
        project_id: str | None = None,
        kind: str | None = None,
        node_id: str | None = None,
        level: str | None = None,
        after: str | None = None,
        limit: int = 20,
    ) -> SearchPage:
        """A page of the events that match `text`, of one project or of all that this caller may read.

        If the call is cancelled the hub stops searching.

        Args:
            text: words that all occur, ``"a phrase"``, ``prefix*``.
            kind: ``log`` (output), ``node`` (changes of nodes) or ``event`` (all other types).
            level: levels of output, separated by commas.
            after: `SearchPage.next` of the page before.
            limit: hits of a page, at most 100.
        """
        wanted = (("q", text), ("kind", kind), ("node", node_id), ("level", level), ("after", after))
        path = "/search" if project_id is None else project_path(project_id, "search")
        found = await self._http.call(Request("GET", path, query_of(*wanted, ("limit", str(limit)))))
        return SearchPage(found["hits"], found["count"], found["exact"], found["next"], found["index"])

    async def recover(self, *, project_id: str | None = None, user_id: str | None = None) -> Json:
        """Let a damaged project, or user's log, go on with what of it can be read; for administrators.

        Returns ``epoch, seq, checkpoint`` and ``lost``, a list of ``first, last, why``. What is not damaged
        is left as it is.

        Raises:
            RequestRefused: ``forbidden``, ``not_found``; ``project_damaged``: not even its outline is left.
        """
        if user_id is not None:
            return await self._http.call(Request("POST", user_path(user_id, "recover")))
        return await self._http.call(Request("POST", project_path(project_id or "", "recover")))

    async def _take_back(self, question: Question) -> None:
        """Best effort. Where the hub knows no such prompt the question may still be on its way to it."""
        with trio.CancelScope(shield=True), trio.move_on_after(TAKE_BACK):
            for pause in (0.1, 0.5, 0.0):
                came = await self._http.send(Request("DELETE", question.path, question.place))
                if isinstance(came, httpx.Response) and (came.is_success or came.status_code in _OVER):
                    return
                await trio.sleep(pause)


@asynccontextmanager
async def open_api_client(
    url: str,
    *,
    token: TokenSource | TrioTokens = None,
    timeout: float = 10.0,  # noqa: ASYNC109 - of each request
    backoff: Backoff = Backoff(),  # noqa: B008 - frozen
    patience: float = math.inf,
    verify: Verify = True,
    cert: Cert | None = None,
) -> AsyncIterator[ApiClient]:
    """A client of the HTTP API of the hub at `url` (http, https, ws or wss). Entering does not connect.

    Args:
        token: the token or API key, or a function (sync or async) that gives one and is asked again when the
            hub refuses it.
        timeout: seconds for one request, beside what the hub is asked to wait.
        patience: seconds that the hub may be away before `ConnectionLost`; default: any.
        verify, cert: TLS (`tasktree_rt.client.transport.tls`).

    Raises:
        ValueError: not an address, or a file of `verify` or `cert` cannot be used.
    """
    async with open_http(
        url, token, timeout=timeout, backoff=backoff, patience=patience, verify=verify, cert=cert
    ) as http:
        yield ApiClient(http)
