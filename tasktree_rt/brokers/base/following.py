"""What other hubs append to the logs of a store that several hubs share."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from tasktree_rt.core.events import Record
from tasktree_rt.core.log import Position
from tasktree_rt.core.value_class import fixed


@fixed
class Foreign:
    """Consecutive or later records of one life of a log, in order, that other hubs appended.

    `owner` is the one of the life (`Life.owner`). The last record may be ``project_deleted``: it ends the
    life.
    """

    topic: str
    epoch: str
    owner: str
    records: tuple[Record, ...]


class Heard(Protocol):
    """What a hub does with what it hears. No method may block or raise."""

    def records(self, found: Foreign) -> None:
        """Other hubs appended to a followed log. Some may be missing before them, and some be known."""

    def behind(self, topic: str) -> None:
        """Other hubs appended to a followed log; the records are too large to be handed over."""

    def interaction(self, interaction_id: str) -> None:
        """Another hub opened or settled a prompt or command."""

    def up(self) -> None:
        """From now on this hub hears what happens. What happened before may be missing."""

    def down(self, reason: str) -> None:
        """From now on this hub may miss what happens."""

    async def room(self) -> None:
        """Wait until the hub has taken what it heard."""


class Following(Protocol):
    """Follows logs that several hubs append to.

    What a hub hears is a hint: it may come late, twice or never. The log is the truth.
    """

    async def run(self, heard: Heard) -> None:
        """Tell `heard` of what other hubs append; runs until cancelled."""

    async def follow(self, topic: str) -> None:
        """Hear of a log from now on. Returns once that is certain, or while this hub hears nothing at all:
        then `Heard.up` comes later.
        """

    def leave(self, topic: str) -> None:
        """Hear of a log no more."""

    async def positions(self, topics: Collection[str]) -> dict[str, Position]:
        """Return the newest position of each log; ``":0"`` without one.

        Raises:
            StoreUnavailable: the store cannot be read.
        """

    async def take_commands(self) -> list[str]:
        """Return the ids of the open commands that this hub sees to: its own, and those of hubs that are
        gone, which no other hub gets then.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
