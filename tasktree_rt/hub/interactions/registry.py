"""Hold all open prompts and commands in memory, by id, by topic and by deadline."""

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
    """An open prompt or command.

    Attributes:
        interaction: its record, as the store has it.
        data: the data of the event that opened it.
        deadline: when the hub resolves it, in microseconds; None while an orchestrator works on it.
        kept: the store has it.
        lost: its publish failed; the store will never have it.
        resolving: the pending publish that resolves it.
        outcome: the data of the event that resolved it.
        holder: the orchestrator connection that has the command.
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
        """The id of the prompt or command for peers; another project may have one with the same id."""
        return self.interaction.name

    @property
    def key(self) -> str:
        """The id within the hub and the store: unique."""
        return self.interaction.id

    @property
    def resolution(self) -> str:
        """The type of the event that resolves it."""
        return "prompt_resolved" if self.interaction.kind == PROMPT else "command_result"

    @property
    def home(self) -> str:
        """The topic whose log it belongs to."""
        return self.interaction.topics[0]

    def changed(self) -> None:
        """Wake the tasks in `change`."""
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    async def change(self) -> None:
        """Wait for the next call of `changed`."""
        if self._changed is None:
            self._changed = trio.Event()
        await self._changed.wait()

    async def is_kept(self) -> bool:
        """Wait until the store has it, and return True; return False if its publish failed."""
        while not (self.kept or self.lost):
            await self.change()
        return self.kept

    async def end(self) -> Json:
        """Wait until it is resolved; return the outcome.

        Raises:
            Refused: ``not_found``: its publish failed.
        """
        while self.outcome is None:
            if self.lost:
                raise missing(self.interaction.kind, self.id)
            await self.change()
        return self.outcome


def cancelled(pending: OpenInteraction, by: str | None = None) -> Json:
    """Return the outcome of a cancelled prompt or command, also of a deleted project."""
    if pending.interaction.kind == COMMAND:
        return {"command_id": pending.id, "status": "cancelled", **place_of(pending)}
    return {"prompt_id": pending.id, **place_of(pending), "proceed": False, "by": by, "how": "cancelled"}


def place_of(pending: OpenInteraction) -> Json:
    """Return the fields of an outcome that name its project, user and node."""
    return {
        name: pending.data[name]
        for name in ("project_id", "user_id", "node_id")
        if pending.data.get(name) is not None
    }


def missing(kind: str, name: str) -> Refused:
    """Return the error for an unknown id."""
    return Refused(f"there is no {kind} {name!r}", code="not_found", field=f"{kind}_id")


def readable_object(interaction: Interaction, stored: bytes) -> Json:
    """Decode what the store has of a prompt or a command: its data or its outcome.

    Raises:
        StoreDamaged: it is no JSON object.
    """
    try:
        return decode_object(stored, ours=True)
    except InvalidInput as error:
        what = f"the {interaction.kind} {interaction.name!r} cannot be read ({error})"
        raise StoreDamaged(interaction.topics[0], what) from error


class InteractionRegistry:
    """See the module's docstring."""

    def __init__(self, quotas: Quotas) -> None:
        self._quotas = quotas
        self._by_key: dict[str, OpenInteraction] = {}
        self._by_id: dict[str, dict[str, OpenInteraction]] = {}
        self._by_topic: dict[str, dict[str, OpenInteraction]] = {}
        self._deadlines: list[tuple[int, str]] = []
        self._alone: dict[str, trio.Event] = {}
        self._unreadable: dict[str, dict[str, Interaction]] = {}
        self.woken = trio.Event()
        """Set when the next deadline may be earlier than before."""

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[OpenInteraction]:
        return iter(list(self._by_key.values()))

    def newest(self, most: int, wanted: Callable[[OpenInteraction], bool]) -> list[OpenInteraction]:
        """Return the newest `most` that are `wanted`, the oldest of them first."""
        return list(islice(filter(wanted, reversed(self._by_key.values())), most))[::-1]

    def load(self, interaction: Interaction, deadline: int) -> None:
        """Add one that the store has as open.

        Raises:
            StoreDamaged: it cannot be read. The registry keeps it, to end it with its project.
        """
        try:
            data = readable_object(interaction, interaction.body)
        except StoreDamaged:
            self._unreadable.setdefault(interaction.topics[0], {})[interaction.id] = interaction
            raise
        self.add(OpenInteraction(interaction, data, deadline, kept=True))

    def unreadable(self, topic: str) -> list[Settled]:
        """Return what ends the unreadable open prompts and commands of a topic."""
        found = self._unreadable.get(topic, {})
        return [
            Settled(one.id, encode_json(cancelled(OpenInteraction(one, {}, None)))) for one in found.values()
        ]

    def forget_unreadable(self, topic: str) -> None:
        """Forget the unreadable ones of a topic, once they have ended."""
        self._unreadable.pop(topic, None)

    def add(self, pending: OpenInteraction) -> None:
        """Add an open prompt or command."""
        self._by_key[pending.key] = pending
        self._by_id.setdefault(pending.id, {})[pending.key] = pending
        self._quotas.add(pending.interaction.owner, OPEN)
        for topic in pending.interaction.topics:
            self._by_topic.setdefault(topic, {})[pending.key] = pending
        self.expect(pending, pending.deadline)

    def remove(self, pending: OpenInteraction) -> None:
        """Remove one that is resolved, or whose publish failed."""
        if self._by_key.pop(pending.key, None) is None:
            return
        _take_out(self._by_id, pending.id, pending.key)
        self._quotas.drop(pending.interaction.owner, OPEN)
        for topic in pending.interaction.topics:
            _take_out(self._by_topic, topic, pending.key)
        pending.lost = not pending.kept
        pending.changed()

    @asynccontextmanager
    async def alone(self, interaction_id: str) -> AsyncIterator[None]:
        """Hold the lock of an id, while the caller looks for it and opens it if there is none."""
        while (other := self._alone.get(interaction_id)) is not None:
            await other.wait()
        self._alone[interaction_id] = over = trio.Event()
        try:
            yield
        finally:
            del self._alone[interaction_id]
            over.set()

    def get(self, key: str) -> OpenInteraction | None:
        """Return the open one with this key, or None."""
        return self._by_key.get(key)

    def named(self, interaction_id: str) -> list[OpenInteraction]:
        """Return the open ones with this id."""
        return list(self._by_id.get(interaction_id, {}).values())

    def of(self, home: str, kind: str | None = None) -> list[OpenInteraction]:
        """Return those whose first topic is `home`, the oldest first."""
        found = self._by_topic.get(home, {}).values()
        return [one for one in found if one.home == home and kind in (None, one.interaction.kind)]

    def count(self, topic: str, kind: str) -> int:
        """Count the open ones of a kind in a topic, whether it is their first topic or not."""
        return sum(one.interaction.kind == kind for one in self._by_topic.get(topic, {}).values())

    def told(self, topic: str, kind: str) -> list[OpenInteraction]:
        """Return the open ones of a kind in a topic that the store has, the oldest first.

        One with a pending resolution is among them, since that publish may fail.
        """
        return [
            one for one in self._by_topic.get(topic, {}).values() if one.interaction.kind == kind and one.kept
        ]

    # --- deadlines --------------------------------------------------------------------------------

    def expect(self, pending: OpenInteraction, deadline: int | None) -> None:
        """Set its deadline; with None it has none."""
        pending.deadline = deadline
        if deadline is not None:
            heappush(self._deadlines, (deadline, pending.key))
            if len(self._deadlines) > 2 * len(self._by_key) + 64:
                self._tidy()
            self.woken.set()

    def due(self, now: int) -> list[OpenInteraction]:
        """Return those whose deadline has passed, each once until `expect` sets a new deadline."""
        found: list[OpenInteraction] = []
        while self._deadlines and self._deadlines[0][0] <= now:
            deadline, key = heappop(self._deadlines)
            pending = self._by_key.get(key)
            if pending is not None and pending.deadline == deadline:
                found.append(pending)
        return found

    @property
    def next_deadline(self) -> int | None:
        """The next deadline; the one that it belongs to may be resolved already."""
        return self._deadlines[0][0] if self._deadlines else None

    def _tidy(self) -> None:
        open_ones = self._by_key.values()
        self._deadlines = [(one.deadline, one.key) for one in open_ones if one.deadline is not None]
        heapify(self._deadlines)


def _take_out(index: dict[str, dict[str, OpenInteraction]], place: str, key: str) -> None:
    """Remove an entry of an index, and its place with the last one."""
    others = index[place]
    del others[key]
    if not others:
        del index[place]
