"""Open prompts and commands, and resolve each exactly once: the first outcome wins."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from structlog.stdlib import BoundLogger, get_logger

from tasktree_rt.brokers.base import Broker, Interaction, Settled
from tasktree_rt.core.event_schema import is_node_id
from tasktree_rt.core.events import Json
from tasktree_rt.core.prompts import MAX_ID
from tasktree_rt.core.value_class import fixed
from tasktree_rt.dialects.base import digest, encode_json
from tasktree_rt.errors import HubError, Refused, StoreDamaged, Unavailable
from tasktree_rt.hub.context import HubContext
from tasktree_rt.hub.interactions.registry import (
    COMMAND,
    InteractionRegistry,
    OpenInteraction,
    missing,
    readable_object,
)
from tasktree_rt.hub.projects.quotas import OPEN, Quotas
from tasktree_rt.hub.projects.store_errors import readable
from tasktree_rt.hub.projects.store_health import RETRY_AFTER
from tasktree_rt.hub.publish.pending_publish import PendingPublish
from tasktree_rt.hub.publish.publisher import Publisher

LOADED_AT_ONCE = 1_000
NAMESAKES_AT_ONCE: Final = 100
log: Final[BoundLogger] = get_logger("tasktree_rt.store")


class _Taken(HubError):
    """Another publish resolves it already."""


@fixed
class StagedOutcome:
    """A peer's outcome of a prompt or a command, accepted and not yet committed.

    `publish` is the publish to wait for. With `late` it is another peer's, whose outcome came first.
    """

    pending: OpenInteraction
    publish: PendingPublish
    late: bool = False

    def check(self) -> None:
        """Raise the error of this outcome, once its publish is done.

        Raises:
            Refused: ``prompt_closed`` or ``gone``, with the first outcome.
            Unavailable: the store failed; it stores nothing.
        """
        if self.publish.error is not None:
            raise self.publish.error
        if self.late:
            if self.pending.outcome is not None:
                raise closed(self.pending)
            raise Unavailable(
                "the first outcome was not stored: send this one again",
                code="overloaded",
                retry_after=RETRY_AFTER,
            )


class Resolution:
    """See the module's docstring.

    `resolved` is called with the prompt or command, the outcome and the publish, when that is done or has
    failed; `stays_open` with each new one that is stored and has no pending resolution.
    """

    def __init__(
        self,
        context: HubContext,
        broker: Broker,
        publisher: Publisher,
        registry: InteractionRegistry,
        quotas: Quotas,
        *,
        resolved: Callable[[OpenInteraction, Json, PendingPublish], None],
        stays_open: Callable[[OpenInteraction], None],
    ) -> None:
        self._context = context
        self._broker = broker
        self._publisher = publisher
        self._registry = registry
        self._quotas = quotas
        self._resolved = resolved
        self._stays_open = stays_open
        self._patience = round(context.settings.people.command_timeout * 1_000_000)

    async def load(self) -> None:
        """Load all open prompts and commands. A command gets a new deadline.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        place = 0
        while found := await self._broker.interactions(open=True, after=place, limit=LOADED_AT_ONCE):
            for interaction in found:
                try:
                    self.load_open(interaction)
                except StoreDamaged as damage:
                    log.error("record damaged", project=damage.topic, reason=damage.reason)
            place = found[-1].place

    def load_open(self, interaction: Interaction) -> None:
        """Add one that the store has as open to the registry."""
        deadline = interaction.deadline
        if interaction.kind == COMMAND:
            deadline = self._context.wall() + self._patience
        self._registry.load(interaction, deadline)

    async def find(
        self, kind: str, name: str, wanted: Callable[[Sequence[str]], bool] = lambda _: True
    ) -> OpenInteraction:
        """Return the prompt or command with that id whose topics are `wanted`, open or resolved.

        Raises:
            Refused: ``not_found``, or ``ambiguous`` if there are several.
            Unavailable: the store cannot be read now.
        """
        found = await self.namesakes(kind, name, wanted)
        if not found:
            raise missing(kind, name)
        if len(found) > 1:
            raise Refused(
                f"several {kind}s have the id {name!r}: name the project_id or the user_id",
                code="ambiguous",
                field=f"{kind}_id",
            )
        return found[0]

    async def namesakes(
        self, kind: str | None, name: str, wanted: Callable[[Sequence[str]], bool]
    ) -> list[OpenInteraction]:
        """Return those of a kind with that id whose topics are `wanted`, open or resolved. None: of any kind.

        Raises:
            Unavailable: the store cannot be read now.
        """
        if not is_node_id(name) or len(name) > MAX_ID:
            return []
        known = self._registry.named(name)
        place = 0
        found: dict[str, Sequence[str]] = {}
        while page := await self._page(name, place):
            place = page[-1].place
            found |= {one.id: one.topics for one in page}
        # One that is opened or resolved while the store is read is in one of the three.
        found |= {one.key: one.interaction.topics for one in (*known, *self._registry.named(name))}
        keys = [key for key, topics in found.items() if wanted(topics)]
        recalled = [await self.recall(key) for key in keys]
        return [one for one in recalled if one is not None and kind in (None, one.interaction.kind)]

    async def _page(self, name: str, after: int) -> list[Interaction]:
        with readable():
            return await self._broker.interactions(name=name, after=after, limit=NAMESAKES_AT_ONCE)

    async def recall(self, name: str) -> OpenInteraction | None:
        """Return the prompt or command with that key; None if there is none.

        Raises:
            Unavailable: the store cannot be read now.
        """
        seen_open = False
        while True:
            pending = self._registry.get(name)
            if pending is not None:
                if await pending.is_kept():
                    return pending
                continue
            stored = await self.read_stored(name)
            if self._registry.get(name) is not None:
                continue
            if stored is None or stored.settled is not None:
                return None if stored is None else resolved_in_store(stored)
            if seen_open:
                # It was not resolved while the store was read: memory has lost it. Load it as at the start.
                with readable():
                    self.load_open(stored)
            seen_open = True

    async def read_stored(self, name: str) -> Interaction | None:
        """Return a prompt or command as the store has it, by its key.

        Raises:
            Unavailable: the store cannot be read now.
        """
        with readable():
            return await self._broker.interaction(name)

    async def open(
        self,
        pending: OpenInteraction,
        kind: str,
        most: int,
        opened: Callable[[OpenInteraction], None] = lambda _: None,
    ) -> None:
        """Store a prompt or command and publish its event.

        Returns when every outbox has the event. `opened` runs then, also if the caller was cancelled.

        Raises:
            PeerError: the hub refused it and stores nothing.
        """
        await (await self.stage_opening(pending, kind, most, opened)).wait()

    async def stage_opening(
        self,
        pending: OpenInteraction,
        kind: str,
        most: int,
        opened: Callable[[OpenInteraction], None] = lambda _: None,
    ) -> PendingPublish:
        """Open a prompt or command; returns before the commit.

        Raises:
            PeerError: as `open`, as far as it is known before the commit.
        """
        topics = pending.interaction.topics

        def precondition() -> None:
            if self._registry.get(pending.key) is not None:
                raise conflict(pending)
            if any(self._registry.count(topic, kind) >= most for topic in topics):
                raise Refused(f"{most} are open already", code="rate_limited", retry_after=1.0)
            self._quotas.check(owner, OPEN)

        owner = pending.interaction.owner
        publish = await self._publisher.place(
            topics,
            self._publisher.event(kind, pending.data),
            opens=[pending.interaction],
            precondition=precondition,
            owner=owner,
        )
        self._registry.add(pending)
        publish.callbacks.append(partial(self._opened, pending, opened))
        return publish

    def _opened(
        self, pending: OpenInteraction, opened: Callable[[OpenInteraction], None], publish: PendingPublish
    ) -> None:
        if publish.error is not None:
            self._registry.remove(pending)
            return
        pending.kept = True
        pending.changed()
        self._context.meter.opened(pending.interaction.kind)
        opened(pending)
        if not pending.resolving:
            self._stays_open(pending)

    async def resolve(self, pending: OpenInteraction, outcome: Json) -> None:
        """Resolve it with `outcome`. Returns when the outcome is stored and every outbox has it.

        Raises:
            Refused: ``prompt_closed`` or ``gone``, with the first outcome.
            Unavailable: the store failed; it stays open.
        """
        while (found := await self.stage(pending, outcome)).late:
            while pending.resolving:
                await pending.change()
        await found.publish.wait()

    async def stage(
        self, pending: OpenInteraction, outcome: Json, producer: Hashable = None
    ) -> StagedOutcome:
        """Resolve `pending` after the earlier publishes of `producer`; returns before the commit.

        Raises:
            PeerError: as `resolve`, as far as it is known before the commit.
        """
        resolves = [Settled(pending.key, encode_json(outcome))]
        found = await self.tell(pending, outcome, resolves=resolves, producer=producer)
        if not found.late:
            pending.resolving = found.publish
            found.publish.callbacks.append(partial(self._resolved, pending, outcome))
        return found

    async def tell(
        self,
        pending: OpenInteraction,
        said: Json,
        *,
        resolves: Sequence[Settled] = (),
        producer: Hashable = None,
    ) -> StagedOutcome:
        """Publish an event about an open `pending`; the result is `late` if a pending publish resolves it.

        The caller adds callbacks as after `Publisher.place`.

        Raises:
            PeerError: as `resolve`, as far as it is known before the commit.
        """
        event = self._publisher.event(pending.resolution, said)

        def precondition() -> None:
            if pending.resolving or pending.outcome is not None:
                raise _Taken

        while True:
            if not await pending.is_kept():
                raise missing(pending.interaction.kind, pending.id)
            if pending.resolving is not None:
                return StagedOutcome(pending, pending.resolving, late=True)
            if pending.outcome is not None:
                raise closed(pending)
            with suppress(_Taken):
                publish = await self._publisher.place(
                    pending.interaction.topics,
                    event,
                    resolves=resolves,
                    precondition=precondition,
                    producer=producer,
                )
                return StagedOutcome(pending, publish)


def resolved_in_store(stored: Interaction) -> OpenInteraction:
    """Return a resolved prompt or command from the store's record."""
    with readable():
        outcome = readable_object(stored, stored.outcome) if stored.settled is not None else None
        return OpenInteraction(stored, readable_object(stored, stored.body), None, kept=True, outcome=outcome)


def closed(pending: OpenInteraction) -> Refused:
    """Return the error for an outcome that came too late."""
    kind = pending.interaction.kind
    code = "gone" if kind == COMMAND else "prompt_closed"
    return Refused(f"the {kind} is settled", code=code, field=f"{kind}_id", outcome=pending.outcome)


def conflict(pending: OpenInteraction) -> Refused:
    """Return the error for an id that another prompt or command has."""
    kind = pending.interaction.kind
    return Refused(f"there is another {kind} {pending.id!r}", code="idempotency_conflict", field=f"{kind}_id")


def fingerprint(given: Json) -> bytes:
    """Return the digest that tells a repeated request from another one."""
    return digest(given)
