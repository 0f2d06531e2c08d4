"""Prompts and commands that wait to be settled, in memory: all of them, as there are never very many."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from heapq import heapify, heappop, heappush
from itertools import islice
from typing import Any, Final

import trio
from attrs import define

from tasktree_rt.brokers.base import Interaction, Settled
from tasktree_rt.core.events import Json
from tasktree_rt.dialects.base import decode_object, encode_json
from tasktree_rt.errors import InvalidInput, Refused, StoreDamaged
from tasktree_rt.hub.projects.quotas import OPEN, Quotas
from tasktree_rt.hub.publish.pending_publish import PendingPublish

PROMPT: Final = "prompt"
COMMAND: Final = "command"


@define(eq=False)
class OpenInteraction:
    """One of them.

    Attributes:
        interaction: as the store has it.
        data: what was asked, of the event that told of it.
        deadline: when it settles itself, microseconds; None while an orchestrator works on it.
        kept: it is in the store.
        lost: it was never kept, and will not be.
        settling: the publish on its way that settles it.
        outcome: what settled it.
        holder: to whom a command was given.
    """

    interaction: Interaction
    data: Json
    deadline: int | None
    kept: bool = False
    lost: bool = False
    resolving: PendingPublish | None = None
    outcome: Json | None = None
    holder: Any = None
    _changed: trio.Event | None = None

    @property
    def id(self) -> str:
        """Its own."""
        return self.interaction.id

    @property
    def resolution(self) -> str:
        """The type of the event that settles it."""
        return "prompt_resolved" if self.interaction.kind == PROMPT else "command_result"

    @property
    def home(self) -> str:
        """The topic whose log it belongs to."""
        return self.interaction.topics[0]

    def changed(self) -> None:
        """Wake who waits for it."""
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    async def change(self) -> None:
        """Wait until something has happened to it."""
        if self._changed is None:
            self._changed = trio.Event()
        await self._changed.wait()

    async def is_kept(self) -> bool:
        """Wait until it is in the store; False if it never will be."""
        while not (self.kept or self.lost):
            await self.change()
        return self.kept

    async def end(self) -> Json:
        """Wait until it is settled; how.

        Raises:
            Refused: ``not_found``: it was never kept.
        """
        while self.outcome is None:
            if self.lost:
                raise missing(self.interaction.kind, self.id)
            await self.change()
        return self.outcome


def cancelled(pending: OpenInteraction, by: str | None = None) -> Json:
    """The outcome of one that is taken back, or whose project is deleted."""
    if pending.interaction.kind == COMMAND:
        return {"command_id": pending.id, "status": "cancelled", **place_of(pending)}
    return {"prompt_id": pending.id, **place_of(pending), "proceed": False, "by": by, "how": "cancelled"}


def place_of(pending: OpenInteraction) -> Json:
    """Where it belongs, for those who read what became of it."""
    return {
        name: pending.data[name]
        for name in ("project_id", "user_id", "node_id")
        if pending.data.get(name) is not None
    }


def missing(kind: str, name: str) -> Refused:
    """There is none of that id."""
    return Refused(f"there is no {kind} {name!r}", code="not_found", field=f"{kind}_id")


def readable_object(interaction: Interaction, stored: bytes) -> Json:
    """What the store has of a prompt or a command: what was asked, or what settled it.

    Raises:
        StoreDamaged: it cannot be read.
    """
    try:
        return decode_object(stored, ours=True)
    except InvalidInput as error:
        what = f"the {interaction.kind} {interaction.id!r} cannot be read ({error})"
        raise StoreDamaged(interaction.topics[0], what) from error


class InteractionRegistry:
    """See the module's docstring; by id, by topic, and by deadline."""

    def __init__(self, quotas: Quotas) -> None:
        self._quotas = quotas
        self._by_id: dict[str, OpenInteraction] = {}
        self._by_topic: dict[str, dict[str, OpenInteraction]] = {}
        self._deadlines: list[tuple[int, str]] = []
        self._alone: dict[str, trio.Event] = {}
        self._unreadable: dict[str, dict[str, Interaction]] = {}
        self.woken = trio.Event()
        """Set when a deadline may have come nearer."""

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[OpenInteraction]:
        return iter(list(self._by_id.values()))

    def newest(self, most: int, wanted: Callable[[OpenInteraction], bool]) -> list[OpenInteraction]:
        """The newest `most` of those that are wanted, the oldest of them first."""
        return list(islice(filter(wanted, reversed(self._by_id.values())), most))[::-1]

    def load(self, interaction: Interaction, deadline: int) -> None:
        """One that was open when the hub stopped.

        Raises:
            StoreDamaged: it cannot be read; it is remembered, to end with its project.
        """
        try:
            data = readable_object(interaction, interaction.body)
        except StoreDamaged:
            self._unreadable.setdefault(interaction.topics[0], {})[interaction.id] = interaction
            raise
        self.add(OpenInteraction(interaction, data, deadline, kept=True))

    def unreadable(self, topic: str) -> list[Settled]:
        """What ends those open ones of a topic that cannot be read."""
        found = self._unreadable.get(topic, {})
        return [
            Settled(one.id, encode_json(cancelled(OpenInteraction(one, {}, None)))) for one in found.values()
        ]

    def forget_unreadable(self, topic: str) -> None:
        """They have ended."""
        self._unreadable.pop(topic, None)

    def add(self, pending: OpenInteraction) -> None:
        """One more."""
        self._by_id[pending.id] = pending
        self._quotas.add(pending.interaction.owner, OPEN)
        for topic in pending.interaction.topics:
            self._by_topic.setdefault(topic, {})[pending.id] = pending
        self.expect(pending, pending.deadline)

    def remove(self, pending: OpenInteraction) -> None:
        """It is settled, or was never kept."""
        if self._by_id.pop(pending.id, None) is None:
            return
        self._quotas.drop(pending.interaction.owner, OPEN)
        for topic in pending.interaction.topics:
            others = self._by_topic[topic]
            del others[pending.id]
            if not others:
                del self._by_topic[topic]
        pending.lost = not pending.kept
        pending.changed()

    @asynccontextmanager
    async def alone(self, interaction_id: str) -> AsyncIterator[None]:
        """While nobody else looks whether there is one of that id, to open it if there is not."""
        while (other := self._alone.get(interaction_id)) is not None:
            await other.wait()
        self._alone[interaction_id] = over = trio.Event()
        try:
            yield
        finally:
            del self._alone[interaction_id]
            over.set()

    def get(self, interaction_id: str) -> OpenInteraction | None:
        """One by its id."""
        return self._by_id.get(interaction_id)

    def of(self, home: str, kind: str | None = None) -> list[OpenInteraction]:
        """Those at home in a topic, the oldest first."""
        found = self._by_topic.get(home, {}).values()
        return [one for one in found if one.home == home and kind in (None, one.interaction.kind)]

    def count(self, topic: str, kind: str) -> int:
        """How many of a kind are told of in a topic, at home there or not."""
        return sum(one.interaction.kind == kind for one in self._by_topic.get(topic, {}).values())

    def told(self, topic: str, kind: str) -> list[OpenInteraction]:
        """The open ones of a kind that are told of in a topic, at home there or not, the oldest first.

        One that something on its way settles is among them: it may yet stay open.
        """
        return [
            one for one in self._by_topic.get(topic, {}).values() if one.interaction.kind == kind and one.kept
        ]

    # --- deadlines --------------------------------------------------------------------------------

    def expect(self, pending: OpenInteraction, deadline: int | None) -> None:
        """It settles itself at `deadline`, or not by itself."""
        pending.deadline = deadline
        if deadline is not None:
            heappush(self._deadlines, (deadline, pending.id))
            if len(self._deadlines) > 2 * len(self._by_id) + 64:
                self._tidy()
            self.woken.set()

    def due(self, now: int) -> list[OpenInteraction]:
        """Those whose deadline has come; each is told once, until it is expected anew."""
        found: list[OpenInteraction] = []
        while self._deadlines and self._deadlines[0][0] <= now:
            deadline, interaction_id = heappop(self._deadlines)
            pending = self._by_id.get(interaction_id)
            if pending is not None and pending.deadline == deadline:
                found.append(pending)
        return found

    @property
    def next_deadline(self) -> int | None:
        """The nearest, of one that may be settled already."""
        return self._deadlines[0][0] if self._deadlines else None

    def _tidy(self) -> None:
        self._deadlines = [(one.deadline, one.id) for one in self._by_id.values() if one.deadline is not None]
        heapify(self._deadlines)
