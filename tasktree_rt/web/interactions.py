"""The HTTP API for people in the loop: prompts, commands, notifications (docs/people.md)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

import trio
from quart import Blueprint, Response, request

from tasktree_rt.core.access import Verb
from tasktree_rt.core.events import Json, micros_to_time, project_id
from tasktree_rt.core.topics import user_id, user_topic
from tasktree_rt.dialects.base import digest
from tasktree_rt.errors import InvalidInput, StoreDamaged
from tasktree_rt.hub.access import policy as access
from tasktree_rt.hub.hub import Hub, Interaction
from tasktree_rt.hub.interactions.registry import OpenInteraction, readable_object
from tasktree_rt.web.history import PAGE_BYTES, history, page_reply
from tasktree_rt.web.request import grants, number, page_limit, permitted, read_object
from tasktree_rt.web.response import LargeAnswers, reply

LONGEST_WAIT: Final = 60
AT_ONCE: Final = 100
"""Prompts that are read from the store at once."""
STATUS: Final[dict[str, bool | None]] = {"open": True, "settled": False, "all": None}


class InteractionRoutes:
    """The views; `routes` registers them."""

    def __init__(self, hub: Hub, answers: LargeAnswers) -> None:
        self._hub = hub
        self._answers = answers

    def routes(self) -> Blueprint:
        """Make the routes, under ``/api/v1``."""
        found = Blueprint("people", __name__)
        for method, path, view in (
            ("POST", "/prompts", self.ask),
            ("GET", "/prompts", self.prompts),
            ("GET", "/prompts/<prompt_id>", self.prompt),
            ("POST", "/prompts/<prompt_id>/answer", self.answer),
            ("DELETE", "/prompts/<prompt_id>", self.cancel),
            ("POST", "/projects/<project>/commands", self.command),
            ("GET", "/projects/<project>/commands/available", self.available),
            ("POST", "/users/<path:user>/notifications", self.notify),
            ("GET", "/users/<path:user>/notifications", self.notifications),
            ("POST", "/users/<path:user>/read", self.read),
        ):
            found.add_url_rule(path, f"{method} {path}".replace(".", ""), view, methods=[method])
        return found

    async def ask(self) -> Response:
        """Open a prompt. A repeated request gets the first one's response."""
        pending, new = await self._hub.prompts.ask(await read_object(), grants=grants())
        return reply(_prompt(pending), 201 if new else 200)

    async def prompts(self) -> Response:
        """A page of the prompts the caller may see, the oldest first; with `before` the newest first."""
        status = request.args.get("status", "open")
        if status not in STATUS:
            raise InvalidInput(f"expected one of {', '.join(STATUS)}", field="status")
        limit, topics = page_limit(), _wanted()
        place, newest = _place()
        found: list[Json] = []
        size = 0
        full = False
        while not full and (page := await self._page(STATUS[status], topics, place, newest)):
            for one in page:
                full = len(found) == limit or size >= PAGE_BYTES
                if full:
                    break
                place = one.place
                if all(name in one.topics for name in topics) and access.may_see_prompt(grants(), one.topics):
                    with suppress(StoreDamaged):  # asked for by its id it says so
                        found.append(_stored(one))
                    size += len(one.body) + len(one.outcome)
        return reply({"prompts": found, "next": str(place) if full else None})

    async def _page(
        self, open_ones: bool | None, topics: list[str], place: int, newest: bool
    ) -> Sequence[Interaction]:
        return await self._hub.prompts.page(
            open=open_ones,
            topic=topics[0] if topics else None,
            after=place,
            before=place if newest else None,
            limit=AT_ONCE,
        )

    async def prompt(self, prompt_id: str) -> Response:
        """Answer with one prompt; with ``wait``, once it is resolved."""
        pending = await self._hub.prompts.find(prompt_id, grants=grants(), within=_wanted())
        await _wait(self._hub, pending)
        if pending.outcome is None:
            return reply(_prompt(pending))
        stored = await self._hub.prompts.stored(pending)
        return reply(_stored(stored) if stored else _prompt(pending))

    async def answer(self, prompt_id: str) -> Response:
        """Answer a prompt that is still open."""
        given = await read_object("proceed", "value", "feedback")
        found = await self._hub.prompts.answer(
            prompt_id, given, grants=grants(), via=_via(), within=_wanted()
        )
        return reply(found)

    async def cancel(self, prompt_id: str) -> Response:
        """Cancel a prompt."""
        found = await self._hub.prompts.cancel(prompt_id, grants=grants(), via=_via(), within=_wanted())
        return reply(found)

    async def command(self, project: str) -> Response:
        """Send a command to the orchestrator; with ``wait``, answer with its outcome."""
        given = await read_object("name", "node_id", "args")
        pending = await self._hub.commands.send(project_id(project), given, grants=grants(), via=_via())
        await _wait(self._hub, pending)
        if pending.outcome is None:
            return reply({"command_id": pending.id, "status": "pending"}, 202)
        return reply(pending.outcome)

    async def available(self, project: str) -> Response:
        """Answer with the commands that the orchestrator obeys now; with ``wait``, once they are others than
        the ``known`` ones.
        """
        name = await permitted(Verb.WATCH, project)
        seconds = number("wait", request.args.get("wait", "0"), LONGEST_WAIT, 0)
        found = self._available(name)
        if seconds and found["version"] == request.args.get("known"):
            await held_back(self._hub, partial(self._hub.orchestrators.until_changed, name), seconds)
            found = self._available(name)
        return reply(found)

    def _available(self, name: str) -> Json:
        found = self._hub.orchestrators.available(name)
        shown = {"listening": found.listening, "any": found.any, "commands": list(found.commands)}
        may = access.may(grants(), Verb.COMMAND, name)
        return {**shown, "allowed": may, "version": digest([shown]).hex()[:16]}

    async def notify(self, user: str) -> Response:
        """Send a notification to a user."""
        found = await self._hub.notifications.notify(user, await read_object(), grants=grants())
        return reply({"user_id": user, "epoch": found.epoch, "seq": found.first}, 201)

    async def notifications(self, user: str) -> Response:
        """Answer with a page of a user's notifications and the user's read position."""
        topic = user_topic(user_id(user))
        access.require_user(grants(), user)
        found = await history(self._hub, topic)
        project = await self._hub.history.log(topic)
        return page_reply(self._answers, found, read=project.tree.top.get("read", 0))

    async def read(self, user: str) -> Response:
        """Set a user's read position."""
        seq = (await read_object("seq")).get("seq")
        if type(seq) is not int or seq < 0:
            raise InvalidInput("expected an integer of at least 0", field="seq")
        return reply({"read": await self._hub.notifications.read_up_to(user, seq, grants=grants())})


def _via() -> Json:
    """Return the origin of an answer; the hub stores it with the answer."""
    return {"dialect": "http", "address": request.headers.get("Remote-Addr", "")}


def _place() -> tuple[int, bool]:
    """Return where the page begins, and whether the newest come first: `after` or `before` of the query."""
    before = request.args.get("before")
    if before is None:
        return number("after", request.args.get("after", "0"), 1 << 53, 0), False
    if "after" in request.args:
        raise InvalidInput("expected either after or before", field="before")
    return (1 << 53 if before == "end" else number("before", before, 1 << 53, 0)), True


def _wanted() -> list[str]:
    project, user = request.args.get("project_id"), request.args.get("user_id")
    named = [] if project is None else [str(project_id(project))]
    return named if user is None else [*named, user_topic(user_id(user))]


async def _wait(hub: Hub, pending: OpenInteraction) -> None:
    await waited(hub, pending, number("wait", request.args.get("wait", "0"), LONGEST_WAIT, 0))


async def waited(hub: Hub, pending: OpenInteraction, seconds: float) -> None:
    """Until it is settled, at most so many seconds, or the hub stops."""
    if pending.outcome is None and seconds:
        await held_back(hub, pending.end, seconds)


async def held_back(hub: Hub, until: Callable[[], Awaitable[object]], seconds: float) -> None:
    """Wait for `until`, at most so many seconds, or until the hub stops or the caller's token expires.

    Raises:
        PeerError: an administrator ended it, or the caller's token was revoked.
    """
    with hub.administration.waiting(grants()), trio.move_on_after(within_token(hub, seconds)):
        async with trio.open_nursery() as nursery:

            async def stop() -> None:
                await hub.drained.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(stop)
            await until()
            nursery.cancel_scope.cancel()


def within_token(hub: Hub, seconds: float) -> float:
    """Return how long to wait: `seconds`, or less if the caller's token expires before."""
    expires = grants().expires
    return seconds if expires is None else min(seconds, max(0.0, expires - hub.wall() / 1_000_000))


def _prompt(pending: OpenInteraction) -> Json:
    return _shown(pending.data, pending.interaction.received, pending.outcome, pending.interaction.settled)


def _stored(one: Interaction) -> Json:
    outcome = None if one.settled is None else readable_object(one, one.outcome)
    return _shown(readable_object(one, one.body), one.received, outcome, one.settled)


def _shown(data: Json, asked: int, outcome: Json | None, settled: int | None) -> Json:
    shown = {**data, "status": "open" if outcome is None else outcome["how"]}
    shown["asked_at"] = micros_to_time(asked)
    if outcome is not None:
        shown["outcome"] = outcome
    if settled is not None:
        shown["settled_at"] = micros_to_time(settled)
    return shown
