"""Reading prompts and commands; ``append.lua`` opens and settles them."""

from __future__ import annotations

from tasktree_rt.brokers.base import Interaction
from tasktree_rt.brokers.redis.store.engine import Engine
from tasktree_rt.brokers.redis.store.records import read_interaction
from tasktree_rt.brokers.redis.store.scripts import FIND_INTERACTIONS, GET_INTERACTION


class RedisInteractions:
    """Read prompts and commands."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def get(self, interaction_id: str) -> Interaction | None:
        """Return one by its id."""
        _, fields = await self._engine.run(GET_INTERACTION, interaction_id)
        return None if fields[0] is None else read_interaction(interaction_id.encode(), fields)

    async def find(
        self,
        *,
        open: bool | None,
        kind: str | None,
        topic: str | None,
        name: str | None,
        after: int,
        before: int | None,
        limit: int,
    ) -> list[Interaction]:
        """Return those after a place, or before one."""
        direction, place = ("after", str(after)) if before is None else ("before", str(before))
        opened = "" if open is None else "yes" if open else "no"
        found: list[Interaction] = []
        while len(found) < limit:
            _, rows, rest = await self._engine.run(
                FIND_INTERACTIONS,
                direction,
                place,
                limit - len(found),
                opened,
                kind or "",
                topic or "",
                name or "",
            )
            found += (read_interaction(*row) for row in rows)
            if not rest:
                break
            place = rest.decode()
        return found
