"""Open prompts and commands, and resolve each exactly once: the first outcome wins."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from functools import partial

from tasktree_rt.brokers.base import Settled
from tasktree_rt.core.events import Json
from tasktree_rt.core.value_class import fixed
from tasktree_rt.dialects.base import decode_object, digest, encode_json
from tasktree_rt.errors import HubError, Refused, Unavailable
from tasktree_rt.hub.context import HubContext
from tasktree_rt.hub.interactions.registry import (
    COMMAND,
    InteractionRegistry,
    OpenInteraction,
    missing,
)
from tasktree_rt.hub.projects.quotas import OPEN, Quotas
from tasktree_rt.hub.projects.store_health import RETRY_AFTER
from tasktree_rt.hub.publish.pending_publish import PendingPublish
from tasktree_rt.hub.publish.publisher import Publisher


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
    failed.
    """

    def __init__(
        self,
        context: HubContext,
        publisher: Publisher,
        registry: InteractionRegistry,
        quotas: Quotas,
        *,
        resolved: Callable[[OpenInteraction, Json, PendingPublish], None],
    ) -> None:
        self._meter = context.meter
        self._publisher = publisher
        self._registry = registry
        self._quotas = quotas
        self._resolved = resolved

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
        if publish.moved is not None:
            publish.error = conflict(pending)
        if publish.error is not None:
            self._registry.remove(pending)
            return
        pending.kept = True
        pending.changed()
        self._meter.opened(pending.interaction.kind)
        opened(pending)

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
            found.publish.callbacks.append(partial(self._overtaken, pending))
            found.publish.callbacks.append(partial(self._resolved, pending, outcome))
        return found

    def _overtaken(self, pending: OpenInteraction, publish: PendingPublish) -> None:
        """Take the outcome that another hub has stored, if that was first."""
        settled = {} if publish.moved is None else publish.moved.settled
        if pending.key in settled:
            pending.outcome = decode_object(settled[pending.key], ours=True)
            self._registry.remove(pending)
            publish.error = closed(pending)

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
