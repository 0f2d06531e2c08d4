"""Streams and long polls end within a second of their token, shared links with the token that made them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import trio
import trio.lowlevel

from tasktree_rt.core.access import Grants
from tests.web.admin_calls import bearer, call, closed, issued, new_key, status_of
from tests.web.realhub import RealHub, auth, heard, real_hub
from tests.web.test_event_stream import stream
from tests.web.test_revocations import POLLS, STREAMS, prepare
from tests.web.test_subscription_tokens import made

Lapse = Callable[[RealHub, Grants], None]


def expires(hub: RealHub, grants: Grants) -> None:
    assert grants.expires is not None
    now = round(grants.expires * 1_000_000)
    hub.hub.context.wall = lambda: now


def key_is_withdrawn(hub: RealHub, grants: Grants) -> None:
    assert grants.key is not None
    grants.key.withdrawn = True


LAPSES: dict[str, Lapse] = {"expires": expires, "its key is withdrawn": key_is_withdrawn}


@asynccontextmanager
async def prepared() -> AsyncIterator[RealHub]:
    async with real_hub(auth=auth()) as hub:
        await prepare(hub)
        yield hub


@pytest.mark.parametrize("lapse", LAPSES)
@pytest.mark.parametrize("path", STREAMS)
async def test_a_silent_stream_ends_with_its_token_before_its_sign_of_life(path: str, lapse: str) -> None:
    async with prepared() as hub, stream(hub, path, headers=bearer(issued("ada"))) as said:
        await said.block()  # retry
        while "data" not in await said.block():
            pass
        (grants,) = [
            *(one.grants for one in hub.hub.connections.streams),
            *(one.grants for one in hub.hub.administration.requests),
        ]
        LAPSES[lapse](hub, grants)
        before = hub.settings.delivery.heartbeat_interval
        with trio.fail_after(before / 2):
            while True:
                try:
                    block = await said.block()
                except AssertionError:
                    break  # the end of the response
                assert block.get("") != "alive"


@pytest.mark.parametrize("lapse", LAPSES)
@pytest.mark.parametrize("path", POLLS)
async def test_a_long_poll_answers_with_the_end_of_its_token(path: str, lapse: str) -> None:
    async with prepared() as hub:
        found: list[httpx.Response] = []

        async def wait() -> None:
            async with hub.http(headers=bearer(issued("ada"))) as client:
                found.append(await client.get(path))

        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait)
                while not (waiting := list(hub.hub.administration.requests)):
                    await trio.lowlevel.checkpoint()
                LAPSES[lapse](hub, waiting[0].grants)
        assert found[0].status_code == 200


@pytest.mark.parametrize("node_id", [None, "n"])
@pytest.mark.parametrize("what", ["token_id", "user", "key"])
async def test_what_a_revoked_caller_has_shared_ends_and_nothing_else(what: str, node_id: str | None) -> None:
    async with prepared() as hub:
        maker, revoked = await a_maker(hub, what)
        async with hub.http(headers=bearer(maker)) as ada, hub.http(headers=bearer(issued("bob"))) as bob:
            given: dict[str, Any] = {} if node_id is None else {"node_id": node_id}
            hers, his = (await made(ada, **given))["token"], (await made(bob, **given))["token"]
        async with (
            hub.socket(f"/ws/updates?project_id=p&token={hers}") as lost,
            hub.socket(f"/ws/updates?project_id=p&token={his}") as kept,
            stream(hub, "/api/v1/projects/p/stream", headers=bearer(hers)) as shown,
        ):
            for socket in (lost, kept):
                while (await heard(socket))["type"] != "subscribed":
                    pass
            assert await call(hub, "POST", "/revoke", **revoked) == {"disconnected": 2}
            code, reason = await closed(lost)
            assert code == 4003
            assert reason.endswith("that made this one was revoked")
            while "unauthorized" not in (await shown.block()).get("data", ""):
                pass
            assert kept.closed is None
        for token, status in ((hers, 401), (his, 200)):
            assert (await status_of(hub, token, "/api/v1/projects/p/state"))[0] == status


async def a_maker(hub: RealHub, what: str) -> tuple[str, dict[str, Any]]:
    """A credential of ada's, and what revokes it."""
    if what == "key":
        key = await new_key(hub)
        return key["key"], {"key": key["id"]}
    token = issued("ada", jti="hers", iat=hub.hub.wall() // 1_000_000 - 10)
    return token, {"token_id": "hers"} if what == "token_id" else {"user": "ada"}
