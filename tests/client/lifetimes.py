"""Tokens that last ten minutes, and a hub whose time a test moves on."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import pytest
import trio
from attrs import define, field

from tasktree_rt.hub.context import HubContext
from tasktree_rt.hub.hub import Hub
from tasktree_rt.settings import Auth
from tests.cli.processes import PATIENCE
from tests.web.realhub import SECRET, RealHub, real_hub, signed

LASTS: Final = 600.0
"""Seconds that a token is valid."""
WARNING: Final = 60.0
ALL: Final[dict[str, Any]] = {"watch": ["*"], "push": ["*"], "answer": ["*"], "command": ["*"], "admin": True}


@define
class Lifetimes:
    """Gives tokens. `given` are those so far; `past`: seconds that the hub's time was moved on."""

    subject: str = "ada"
    given: list[str] = field(factory=list)
    past: float = 0.0
    hub: Hub | None = None

    def token(self) -> str:
        """Give a new token."""
        expires = time.time() + self.past + LASTS
        claims = {"sub": self.subject, "exp": expires, "tasktree": ALL, "jti": f"t{len(self.given)}"}
        self.given.append(signed(claims))
        return self.given[-1]

    async def asked(self) -> str:
        """Give a new token, as an async function."""
        await trio.lowlevel.checkpoint()
        return self.token()

    def wall(self) -> int:
        """The hub's time, in microseconds."""
        return time.time_ns() // 1000 + round(self.past * 1_000_000)

    def pass_time(self, seconds: float) -> None:
        """Move the hub's time on; every connection is warned, or ends, by its token."""
        assert self.hub is not None
        self.past += seconds
        for session in list(self.hub.sessions):
            session.tend(trio.current_time(), self.wall() / 1_000_000)


@asynccontextmanager
async def hub_of(tokens: Lifetimes, *, warning: float = WARNING) -> AsyncIterator[RealHub]:
    """Run a hub with the time of `tokens`."""
    auth = Auth(secret=SECRET, leeway=0.0, expiry_warning=warning)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasktree_rt.hub.hub.HubContext", partial(HubContext, wall=tokens.wall))
        async with real_hub(auth=auth) as running:
            tokens.hub = running.hub
            yield running


async def renewed(running: RealHub, number: int, subjects: int = 1) -> None:
    """Wait until so many connections have the token of this number, or a later one."""
    with trio.fail_after(PATIENCE):
        while (
            sum(int(one.grants.token_id[1:]) >= number for one in running.hub.connections.values()) < subjects
        ):
            await trio.testing.wait_all_tasks_blocked(0.001)
