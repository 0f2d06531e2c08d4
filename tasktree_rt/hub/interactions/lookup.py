"""Look up prompts and commands: the open ones in memory, the others in the store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from structlog.stdlib import BoundLogger, get_logger

from tasktree_rt.brokers.base import Broker, Interaction
from tasktree_rt.core.ids import is_node_id
from tasktree_rt.core.prompts import MAX_ID
from tasktree_rt.errors import Refused, StoreDamaged
from tasktree_rt.hub.context import HubContext
from tasktree_rt.hub.interactions.registry import (
    COMMAND,
    InteractionRegistry,
    OpenInteraction,
    missing,
    readable_object,
)
from tasktree_rt.hub.projects.store_errors import readable

LOADED_AT_ONCE: Final = 1_000
NAMESAKES_AT_ONCE: Final = 100
log: Final[BoundLogger] = get_logger("tasktree_rt.store")


class InteractionLookup:
    """Finds prompts and commands, open or resolved, by their ids."""

    def __init__(self, context: HubContext, broker: Broker, registry: InteractionRegistry) -> None:
        self._wall = context.wall
        self._broker = broker
        self._shared = broker.following is not None
        self._registry = registry
        self._patience = round(context.settings.people.command_timeout * 1_000_000)

    async def load(self) -> None:
        """Load all open prompts and commands. A command gets a new deadline.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        place = 0
        while found := await self._broker.interactions(open=True, after=place, limit=LOADED_AT_ONCE):
            for interaction in found:
                if not (self._shared and interaction.kind == COMMAND):  # `take_over` does, if its hub is gone
                    self._take_up(interaction)
            place = found[-1].place

    def load_open(self, interaction: Interaction) -> None:
        """Add one that the store has as open to the registry."""
        deadline = interaction.deadline
        if interaction.kind == COMMAND:
            deadline = self._wall() + self._patience
        self._registry.load(interaction, deadline)

    async def changed_elsewhere(self, key: str) -> None:
        """Take up a prompt or command that another hub opened, or the outcome that it stored.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        stored = await self._broker.interaction(key)
        pending = self._registry.get(key)
        if pending is not None and (not pending.kept or pending.resolving is not None):
            return  # this hub's own publish is under way, and learns it
        if stored is None:
            if pending is not None:
                self._registry.remove(pending)
        elif stored.settled is None:
            if pending is None and stored.kind != COMMAND:  # a command is its own hub's to see to
                self._take_up(stored)
        elif pending is not None:
            pending.outcome = readable_object(stored, stored.outcome)
            self._registry.remove(pending)

    async def take_over(self, key: str) -> OpenInteraction | None:
        """Take up an open command whose hub is gone; None if there is nothing to do.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        if self._registry.get(key) is None:
            stored = await self._broker.interaction(key)
            if stored is not None and stored.settled is None and self._registry.get(key) is None:
                self._take_up(stored)
                return self._registry.get(key)
        return None

    def _take_up(self, stored: Interaction) -> None:
        try:
            self.load_open(stored)
        except StoreDamaged as damage:
            log.error("record damaged", project=damage.topic, reason=damage.reason)

    async def refresh(self) -> None:
        """Compare all open prompts and commands with the store's.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        place, known = 0, {one.key for one in self._registry}
        while found := await self._broker.interactions(open=True, after=place, limit=LOADED_AT_ONCE):
            for interaction in found:
                known.discard(interaction.id)
                if self._registry.get(interaction.id) is None:
                    await self.changed_elsewhere(interaction.id)
            place = found[-1].place
        for key in known:
            await self.changed_elsewhere(key)

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
            if self._shared and stored.kind == COMMAND:
                return resolved_in_store(stored)  # another hub sees to it
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


def resolved_in_store(stored: Interaction) -> OpenInteraction:
    """Return a prompt or command from the store's record, as it is there."""
    with readable():
        outcome = readable_object(stored, stored.outcome) if stored.settled is not None else None
        return OpenInteraction(stored, readable_object(stored, stored.body), None, kept=True, outcome=outcome)
