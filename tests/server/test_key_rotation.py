"""Keys that change while the hub runs: what should live lives, and what should end ends."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any, Final

import jwt
import trio
from cryptography.hazmat.primitives.asymmetric import ec

from tests.cli.processes import PATIENCE
from tests.server.peers import Closed, Peer, connect, node, produce, publish, watch
from tests.server.process import HubProcess, hub_process
from tests.web.auth.test_keys import jwk, jwks, key_server

OLD, NEW = "o" * 40, "n" * 40
GRANTS: Final = {"watch": ["*"], "push": ["*"]}


def token(key: Any, kid: str | None = None, **claims: Any) -> str:
    """A token of a key for an hour."""
    head = {} if kid is None else {"kid": kid}
    algorithm = "HS256" if isinstance(key, str) else "ES256"
    given = {"sub": "ada", "exp": time.time() + 3_600, "tasktree": GRANTS, **claims}
    return jwt.encode(given, key, algorithm, head)


def replace(place: Path, text: str) -> None:
    """Replace a file in one step, as an operator should."""
    other = place.with_suffix(".new")
    other.write_text(text)
    os.replace(other, place)


async def watchers(hub: HubProcess, key: str, count: int) -> list[Peer]:
    """Native watchers of the project ``a``."""
    found = [await watch(hub, f"project_id=a&token={token(key)}") for _ in range(count)]
    for one in found:
        await until(one, "subscribed")
    return found


async def until(peer: Peer, kind: str, node_id: str | None = None) -> None:
    """Read up to a message of this type, and of this node."""
    with trio.fail_after(PATIENCE):
        while True:
            found = await peer.hear()
            if found["type"] == kind and node_id in (None, found.get("data", {}).get("node_id")):
                return


async def answers(peer: Peer) -> None:
    """Check that a connection lives."""
    await peer.say({"type": "ping"})
    await until(peer, "pong")


async def logged(hub: HubProcess, text: str) -> None:
    """Wait until the hub's log has a text."""
    with trio.fail_after(PATIENCE):
        while text not in hub.log:  # noqa: ASYNC110 - another process writes it
            await trio.sleep(0.02)


async def until_accepted(hub: HubProcess, key: str) -> None:
    """Connect again and again until the hub accepts tokens of a key."""
    with trio.fail_after(PATIENCE):
        while True:
            peer = await watch(hub, f"project_id=a&token={token(key)}")
            try:
                await peer.hear_type("welcome")
                return
            except Closed:
                continue


async def test_a_rotation_under_load_ends_the_connections_of_the_key_that_is_taken_away_only(
    tmp_path: Path,
) -> None:
    place = tmp_path / "secrets"
    place.write_text(f"{OLD}\n")
    async with hub_process(tmp_path, f"auth.secret_file={place}") as hub, trio.open_nursery() as nursery:
        producer = await produce(hub, "p", f"token={token(OLD)}")
        old = await watchers(hub, OLD, 20)
        for number in range(50):
            await publish(producer, number, node("a", f"n{number}"))
        replace(place, f"{NEW}\n{OLD}\n")
        await until_accepted(hub, NEW)
        new = await watchers(hub, NEW, 20)
        for number in range(50, 100):
            await publish(producer, number, node("a", f"n{number}"))
        for one in (*old, *new):
            await until(one, "node_update", "n99")

        async def load() -> None:
            late = await produce(hub, "q", f"token={token(NEW)}")
            for number in range(10_000):
                await publish(late, number, node("a", "m"))

        nursery.start_soon(load)
        replace(place, f"{NEW}\n")
        for one in (producer, *old):
            assert (await one.end()).code == 4003
        for one in new:
            await answers(one)
        refused = await watch(hub, f"project_id=a&token={token(OLD)}")
        assert (await refused.end()).code == 4003
        nursery.cancel_scope.cancel()
        assert OLD not in hub.log
        assert NEW not in hub.log


async def test_a_file_that_is_emptied_or_removed_ends_nothing_and_is_told_in_the_log(tmp_path: Path) -> None:
    place = tmp_path / "secrets"
    place.write_text(OLD)
    async with hub_process(tmp_path, f"auth.secret_file={place}") as hub:
        (peer,) = await watchers(hub, OLD, 1)
        place.write_text("")
        hub.signal(signal.SIGHUP)
        await logged(hub, "keys unreadable")
        await answers(peer)
        await watchers(hub, OLD, 1)
        replace(place, f"{NEW}\n")
        hub.signal(signal.SIGHUP)
        await logged(hub, "keys readable again")
        assert (await peer.end()).code == 4003


async def test_while_the_key_server_is_down_connections_live_and_known_keys_let_in(tmp_path: Path) -> None:
    first, second = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    with key_server() as server:
        server.body = jwks(jwk("ES256", first, kid="first"))
        given = (f"auth.jwks={server.url}", "auth.issuer=id", "auth.audience=hub")
        async with hub_process(tmp_path, *given) as hub:

            async def comes(key: Any, kid: str, **claims: Any) -> Peer:
                claims = {"iss": "id", "aud": "hub", **claims}
                shown = ("Authorization", f"Bearer {token(key, kid, **claims)}")
                return await connect(hub, "/ws/updates?project_id=a", [shown])

            lives = await comes(first, "first")
            server.http.shutdown()
            server.http.server_close()
            also = await comes(first, "first")
            for number in range(50):
                assert (await (await comes(second, f"unknown-{number}")).end()).code == 4003
            for wrong in ({"iss": "other"}, {"aud": "other"}):
                assert (await (await comes(first, "first", **wrong)).end()).code == 4003
            producer_token = token(first, "first", iss="id", aud="hub")
            producer = await produce(hub, "p", f"token={producer_token}")
            await publish(producer, 1, node("a", "n"))
            for one in (lives, also):
                assert (await one.hear())["data"]["node_id"] == "n"
            assert server.asked == 1
            assert json.dumps(hub.log).count("keys unreadable") <= 1
