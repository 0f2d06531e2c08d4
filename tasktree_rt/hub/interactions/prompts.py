"""Open, answer and cancel prompts."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from functools import partial

from tasktree_rt.brokers.base import Broker, Interaction
from tasktree_rt.core.access import Grants, Verb
from tasktree_rt.core.events import Json, project_id
from tasktree_rt.core.json_schema import Judge
from tasktree_rt.core.prompts import HERE, deadline_of, read_answer, read_prompt
from tasktree_rt.core.topics import user_id, user_of, user_topic, users_own
from tasktree_rt.dialects.base import encode_json, plain
from tasktree_rt.errors import InvalidInput, Refused
from tasktree_rt.hub.access import policy as access
from tasktree_rt.hub.access.hooks import Decisions
from tasktree_rt.hub.context import HubContext
from tasktree_rt.hub.interactions.lookup import InteractionLookup
from tasktree_rt.hub.interactions.registry import (
    PROMPT,
    InteractionRegistry,
    OpenInteraction,
    cancelled,
    place_of,
)
from tasktree_rt.hub.interactions.resolution import Resolution, StagedOutcome, closed, conflict, fingerprint
from tasktree_rt.hub.interactions.schema_checks import SchemaChecks
from tasktree_rt.hub.projects.store_errors import readable


class Prompts:
    """Open prompts and accept answers. `show` sends a prompt to a user's connections that follow no log."""

    def __init__(
        self,
        context: HubContext,
        broker: Broker,
        lookup: InteractionLookup,
        resolution: Resolution,
        registry: InteractionRegistry,
        decisions: Decisions,
        show: Callable[[str, str, Json, str], None],
    ) -> None:
        self._context = context
        self._broker = broker
        self._lookup = lookup
        self._resolution = resolution
        self._registry = registry
        self._decisions = decisions
        self._show = show
        self._verdicts = SchemaChecks()

    async def ask(
        self, given: Json, *, grants: Grants, opened: Callable[[OpenInteraction], None] = lambda _: None
    ) -> tuple[OpenInteraction, bool]:
        """Open a prompt (docs/protocol.md, "Prompts"). Returns when it is stored and every outbox has it.

        Returns the prompt, and True if it is new; for the same request under the same ``prompt_id`` the
        prompt that exists, and False. To cancel this call does not take the prompt back. The hub calls
        `opened` as soon as the prompt is stored, also if the caller was cancelled.

        Raises:
            PeerError: the hub refused the prompt.
        """
        settings = self._context.settings
        given = plain(given)
        topics = _topics(given)
        await self._require_ask(grants, topics)
        self._check_size(given, "message")
        data = await self._read_prompt(given, grants.owner)
        body = self._check_size(data, "message")
        digest = fingerprint(given)
        deadline, owner = deadline_of(data), grants.owner
        interaction = Interaction(
            users_own(topics[0], data["prompt_id"]),
            PROMPT,
            topics,
            self._context.wall(),
            deadline,
            digest,
            body,
            owner=owner,
            name=data["prompt_id"],
        )
        pending = OpenInteraction(interaction, data, interaction.deadline)

        def show(pending: OpenInteraction) -> None:
            for user in filter(None, map(user_of, topics)):
                self._show(user, PROMPT, data, pending.id)
            opened(pending)

        async with self._registry.alone(pending.id):
            for known in await self._lookup.namesakes(None, pending.id, partial(_share, topics)):
                if known.interaction.digest != interaction.digest:
                    raise conflict(pending)
                return known, False
            await self._resolution.open(pending, PROMPT, settings.limits.max_open_prompts, show)
        return pending, True

    async def answer(
        self, prompt_id: str, given: Json, *, grants: Grants, via: Json, within: Sequence[str] = ()
    ) -> Json:
        """Answer a prompt. Returns the outcome once it is stored and every outbox has it.

        Raises:
            PeerError: ``prompt_closed`` with the outcome, ``forbidden``, or bad input.
        """
        pending, outcome = await self._answered(prompt_id, given, grants, via, within)
        await self._resolution.resolve(pending, outcome)
        return outcome

    async def stage_answer(
        self, prompt_id: str, given: Json, *, grants: Grants, via: Json, within: Sequence[str] = ()
    ) -> StagedOutcome:
        """Answer a prompt; returns before the commit.

        Raises:
            PeerError: as `answer`, as far as it is known before the commit.
        """
        found = await self._answered(prompt_id, given, grants, via, within)
        return await self._resolution.stage(*found)

    async def _answered(
        self, prompt_id: str, given: Json, grants: Grants, via: Json, within: Sequence[str]
    ) -> tuple[OpenInteraction, Json]:
        """Return the prompt and the outcome that this answer gives."""
        pending = await self.find(prompt_id, grants=grants, within=within)
        if not access.may_answer(grants, pending.interaction.topics):
            raise Refused("you may not answer this prompt")
        if pending.outcome is not None:
            raise closed(pending)
        given = plain(given)
        self._check_size(given, "value")
        said = await self._read_answer(pending.data, given, grants.owner)
        outcome = {"prompt_id": pending.id, **place_of(pending), **said}
        return pending, outcome | {"by": grants.subject or None, "how": "answered", "via": via}

    async def _require_ask(self, grants: Grants, topics: Sequence[str]) -> None:
        if Verb.PUSH in self._decisions.asked:
            grants = await self._decisions.extended(grants, Verb.PUSH, *topics)
        access.require_ask(grants, topics)

    def _check_size(self, said: Json, field: str) -> bytes:
        """Encode a request as JSON; refuse it if it is too large."""
        body, most = encode_json(said), self._context.settings.limits.max_prompt_size
        if len(body) > most:
            raise InvalidInput(f"expected at most {most} bytes", code="too_large", field=field)
        return body

    async def _read_prompt(self, given: Json, owner: str) -> Json:
        prompt_id, timeout = secrets.token_hex(8), self._context.settings.people.prompt_timeout
        now = self._context.wall()

        def read(judge: Judge) -> Json:
            return read_prompt(given, prompt_id=prompt_id, now=now, timeout=timeout, judge=judge)

        return await self._verdicts.of(owner, read) if given.get("schema") is not None else read(HERE)

    async def _read_answer(self, prompt: Json, given: Json, owner: str) -> Json:
        def read(judge: Judge) -> Json:
            return read_answer(prompt, given, judge=judge)

        return await self._verdicts.of(owner, read) if "schema" in prompt else read(HERE)

    async def cancel(self, prompt_id: str, *, grants: Grants, via: Json, within: Sequence[str] = ()) -> Json:
        """Cancel a prompt. The caller needs the grants to ask it.

        Raises:
            PeerError: as `answer`.
        """
        pending = await self.find(prompt_id, grants=grants, within=within)
        topics = pending.interaction.topics
        await self._require_ask(grants, topics)
        outcome = {**cancelled(pending, grants.subject or None), "via": via}
        await self._resolution.resolve(pending, outcome)
        return outcome

    async def page(
        self, *, open: bool | None, topic: str | None, after: int, before: int | None, limit: int
    ) -> Sequence[Interaction]:
        """List prompts as the store has them, the oldest first, from behind the place `after`.

        With `before` those before that place, the newest first.
        `open` selects open (True) or resolved ones (False), `topic` those of a topic.

        Raises:
            Unavailable: the store cannot be read now.
        """
        with readable():
            return await self._broker.interactions(
                open=open, kind=PROMPT, topic=topic, after=after, before=before, limit=limit
            )

    async def stored(self, pending: OpenInteraction) -> Interaction | None:
        """Return a prompt as the store has it; None if there is none.

        Raises:
            Unavailable: the store cannot be read now.
        """
        return await self._lookup.read_stored(pending.key)

    async def find(self, prompt_id: str, *, grants: Grants, within: Sequence[str] = ()) -> OpenInteraction:
        """Return the prompt with that id which the caller may see, with events in all topics of `within`.

        Raises:
            Refused: ``not_found``; also if the caller may not see it. ``ambiguous``: it may see several.
        """

        def wanted(topics: Sequence[str]) -> bool:
            return all(one in topics for one in within) and access.may_see_prompt(grants, topics)

        return await self._lookup.find(PROMPT, prompt_id, wanted)


def _share(topics: Sequence[str], others: Sequence[str]) -> bool:
    """Return whether two prompts would be in the same log, where an id names one of them."""
    return any(one in others for one in topics)


def timed_out(pending: OpenInteraction) -> Json:
    """Return the outcome of a prompt at its deadline: its default."""
    outcome = {"prompt_id": pending.id, **place_of(pending), **pending.data["default"]}
    return {**outcome, "by": None, "how": "timeout"}


def _topics(given: Json) -> tuple[str, ...]:
    project, user = given.get("project_id"), given.get("user_id")
    if project is None and user is None:
        raise InvalidInput("expected a project or a user to ask", field="project_id")
    named = () if project is None else (str(project_id(project)),)
    return named if user is None else (*named, user_topic(user_id(user)))
