"""Receipts of publishes, and the hub's responses to them."""

from __future__ import annotations

from collections.abc import Callable

import trio
from attrs import define, field, frozen

from tasktree_rt.client.producer.split_batch import is_batch
from tasktree_rt.client.producer.spool import Place
from tasktree_rt.core.events import Json
from tasktree_rt.core.log import Position
from tasktree_rt.errors import ClientError


@frozen
class Acked:
    """The hub has it for good.

    Attributes:
        project_id: the project of the events.
        positions: one per event, in the order given.
        duplicate: it had it already, from an earlier try under the same id.
    """

    project_id: str
    positions: tuple[Position, ...]
    duplicate: bool


Lost = Callable[[Json, ClientError], None]
"""Called with an event of a run that is lost, or with the part of it that is, and why."""


@define(eq=False)
class Receipt:
    """A publish on its way. `size` is that of its message in bytes."""

    id: str
    size: int
    text: bytes | None = field(default=None, repr=False)
    """The message, unless it is in the spool or settled."""
    place: Place | None = field(default=None, repr=False)
    """Where the message stands in the spool."""
    lost: Lost | None = field(default=None, repr=False)
    """Called for each event, or part of one, of a batch that was refused."""
    whole: Receipt | None = field(default=None, repr=False)
    """The batch that this one is a part of."""
    parts: int = 0
    """How many parts of it are unanswered, once it was divided."""
    _outcome: Acked | ClientError | None = None
    _told: trio.Event | None = field(default=None, repr=False)

    @property
    def alone(self) -> bool:
        """Whether nothing else may be in flight beside it: a batch, which may have to be divided first."""
        return is_batch(self.id)

    @property
    def outcome(self) -> Acked | ClientError | None:
        """The hub's response; None as long as there is none."""
        return self._outcome

    async def acked(self) -> Acked:
        """Wait for the hub's answer. May be called by any number of tasks, also afterwards.

        Raises:
            PublishRefused: the hub refused it for good; nothing of it was kept.
            ConnectionLost: the answer will not come. Whether the hub has the events is not known; a
                spool keeps them for the next start.
        """
        if self._outcome is None:
            if self._told is None:
                self._told = trio.Event()
            await self._told.wait()
        else:
            await trio.lowlevel.checkpoint()
        if isinstance(self._outcome, ClientError):
            raise self._outcome
        assert self._outcome is not None
        return self._outcome

    def settle(self, outcome: Acked | ClientError) -> None:
        """Not for the program's use: the answer has come."""
        self._outcome = outcome
        self.text = None
        if self._told is not None:
            self._told.set()


def read_ack(message: Json) -> Acked:
    """The outcome that an ``ack`` message tells.

    Raises:
        KeyError, TypeError, ValueError: it is not one.
    """
    positions = message["positions"]
    return Acked(
        str(positions[0]["project_id"]) if positions else "",
        tuple(Position(str(one["epoch"]), int(one["seq"])) for one in positions),
        bool(message.get("duplicate", False)),
    )
