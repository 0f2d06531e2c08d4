"""Prompts and commands: what waits for an answer or a result, and what did."""

from __future__ import annotations

from typing import Protocol

from attrs import field, frozen


@frozen
class Interaction:
    """A prompt or a command, open or settled.

    Attributes:
        id: unique over all prompts and commands, opaque.
        kind: ``prompt`` or ``command``.
        topics: the logs that have its events; the first is its home.
        received: when it was opened, microseconds.
        deadline: when it settles itself, microseconds.
        digest: of what was asked; tells a repeat from another one under the same id.
        body: what was asked, opaque.
        settled, outcome: when and how; None and b"" while it is open.
        place: its place in the order of opening, given by the broker.
        owner: the subject that it counts for, opaque; "" is none.
        name: its id for peers: several of different projects and users may have the same. By default `id`.
    """

    id: str
    kind: str
    topics: tuple[str, ...]
    received: int
    deadline: int
    digest: bytes
    body: bytes
    settled: int | None = None
    outcome: bytes = b""
    place: int = 0
    owner: str = ""
    name: str = field()

    @name.default
    def _same_as_id(self) -> str:
        return self.id


@frozen
class Settled:
    """The outcome of a prompt or command, opaque."""

    id: str
    outcome: bytes


class Interactions(Protocol):
    """The store of prompts and commands; `Log.append` opens and settles them."""

    async def interaction(self, interaction_id: str) -> Interaction | None:
        """Return a prompt or command, open or settled; `Broker.trim` says how long settled ones are kept."""

    async def interactions(
        self,
        *,
        open: bool | None = None,
        kind: str | None = None,
        topic: str | None = None,
        name: str | None = None,
        after: int = 0,
        before: int | None = None,
        limit: int = 100,
    ) -> list[Interaction]:
        """Return prompts and commands after a place, in order. With `before` in place of `after` return those
        before that place, the newest first. Filters: only open or only settled ones, of a kind, with events
        in a topic, of a name.
        """
