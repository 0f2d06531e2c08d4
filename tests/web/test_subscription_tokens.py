"""Subscription tokens on real sockets: who makes them, what they open, and when they end."""

from __future__ import annotations

from typing import Any, Final

import httpx
import jwt
import pytest
import trio
import trio.lowlevel

from tasktree_rt.core.events import Json
from tasktree_rt.hub.access.subscription_tokens import (
    AUDIENCE,
    PREFIX,
    SubscriptionTokenInvalid,
    SubscriptionTokens,
    signing_key,
)
from tasktree_rt.settings import Auth
from tests.web.realhub import SECRET, RealHub, auth, heard, node_update, real_hub, say, token

API: Final = "/api/v1"
NOW: Final = 1_700_000_000


def caller(running: RealHub, subject: str | None = "ada", **allowed: Any) -> httpx.AsyncClient:
    return running.http(headers={"Authorization": f"Bearer {token(subject=subject, **allowed)}"})


def bearer(shared: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {shared}"}


async def made(http: httpx.AsyncClient, project: str = "p", **given: Any) -> Json:
    answer = await http.post(f"{API}/projects/{project}/tokens", json=given)
    assert answer.status_code == 201, answer.text
    found: Json = answer.json()
    return found


async def test_a_token_reads_its_project_and_nothing_else() -> None:
    async with real_hub(auth=auth()) as running, caller(running, watch=["*"]) as ada, running.http() as http:
        for name in ("p", "pq", "q"):
            await running.publish(name, node_update("n"))
        shared = (await made(ada))["token"]
        for path in ("state", "events", "state?at=1", "snapshots", "usage"):
            for name, status in (("p", 200), ("pq", 403), ("q", 403), ("none", 403)):
                answer = await http.get(f"{API}/projects/{name}/{path}", headers=bearer(shared))
                assert answer.status_code == status, (name, path, answer.text)
        assert (await http.get(f"{API}/projects/p/state?token={shared}")).status_code == 200
        listed = (await http.get(f"{API}/projects", headers=bearer(shared))).json()["projects"]
        assert [one["project_id"] for one in listed] == ["p"]
        event = node_update("m")
        assert (
            await http.post(f"{API}/projects/p/events", json=event, headers=bearer(shared))
        ).status_code == 403
        for method, path in (
            ("DELETE", "projects/p"),
            ("POST", "projects/p/tokens"),
            ("POST", "projects/p/snapshots"),
            ("GET", "users/ada/notifications"),
            ("GET", "stats"),
        ):
            answer = await http.request(method, f"{API}/{path}", headers=bearer(shared))
            assert answer.status_code == 403, (path, answer.text)


async def test_a_token_without_history_does_not_read_the_past() -> None:
    async with real_hub(auth=auth()) as running, caller(running, watch=["p"]) as ada, running.http() as http:
        await running.publish("p", node_update("n"))
        shared = (await made(ada, history=False))["token"]
        assert (await http.get(f"{API}/projects/p/state", headers=bearer(shared))).status_code == 200
        for path in ("events", "state?at=1", "snapshots"):
            answer = await http.get(f"{API}/projects/p/{path}", headers=bearer(shared))
            assert answer.status_code == 403, path
        async with caller(running, watch=["p"], history=[]) as bob:
            assert (await made(bob))["history"] is False
            refused = await bob.post(f"{API}/projects/p/tokens", json={"history": True})
            assert (refused.status_code, refused.json()["field"]) == (403, "history")


async def test_it_watches_by_every_kind_of_connection() -> None:
    async with real_hub(auth=auth()) as running, caller(running, watch=["*"]) as ada, running.http() as http:
        await running.publish("p", node_update("n"))
        await running.publish("q", node_update("n"))
        shared = (await made(ada))["token"]
        query = f"project_id=p&token={shared}"
        async with (
            running.socket(f"/ws/updates?{query}") as native,
            running.socket(f"/ws/updates?{query}", native=False) as plain,
            running.socket(f"/ws/updates?token={shared}", native=False) as every,
        ):
            assert [(await heard(native))["type"] for _ in range(2)] == ["welcome", "subscribed"]
            while len(running.hub.index.watchers("p")) < 3:
                await trio.lowlevel.checkpoint()
            await running.publish("q", node_update("other"))
            await running.publish("p", node_update("m"))
            for socket in (native, plain, every):
                said = await heard(socket)
                assert (said["project_id"], said["data"]["node_id"]) == ("p", "m")
            await say(native, {"type": "subscribe", "project_id": "q", "id": 1})
            assert (await heard(native))["code"] == "forbidden"
        async with http.stream("GET", f"{API}/projects/p/stream?token={shared}") as answer:
            assert answer.status_code == 200
        assert (await http.get(f"{API}/projects/q/stream?token={shared}")).status_code == 403


async def test_a_watcher_presents_it_with_a_subscription_which_ends_when_it_expires() -> None:
    async with real_hub(auth=auth()) as running:
        hub = running.hub
        start = hub.wall()
        hub.context.wall = lambda: start
        await running.publish("p", node_update("n"))
        shared = hub.subscription_tokens.mint("p", lifetime=60)
        async with running.socket(f"/ws/updates?user_id=ada&token={token(subject='ada')}") as socket:
            assert [(await heard(socket))["type"] for _ in range(2)] == ["welcome", "subscribed"]
            wrong: tuple[Json, ...] = (
                {"project_id": "p"},
                {"project_id": "p", "token": "tts_x"},
                {"project_id": "q", "token": shared},
                {"project_id": "p", "token": token(watch=["*"])},
                {"project_id": "*", "token": shared},
                {"user_id": "bob", "token": shared},
                {"project_id": "p", "token": 5},
            )
            codes = []
            for given in wrong:
                await say(socket, {"type": "subscribe", "id": 1, **given})
                codes.append((await heard(socket))["code"])
            assert codes == ["forbidden", *["unauthorized"] * 3, *["invalid_message"] * 3]
            await say(socket, {"type": "subscribe", "project_id": "p", "token": shared, "id": 2})
            assert (await heard(socket))["type"] == "subscribed"
            await running.publish("p", node_update("m"))
            assert (await heard(socket))["data"]["node_id"] == "m"
            later = hub.subscription_tokens.mint("p", lifetime=120)
            await say(socket, {"type": "subscribe", "project_id": "p", "token": later, "id": 3})
            assert (await heard(socket))["id"] == 3
            hub.context.wall = lambda: start + 61_000_000  # the first is over, the second is not
            await say(socket, {"type": "ping", "id": 4})
            assert (await heard(socket))["id"] == 4
            hub.context.wall = lambda: start + 121_000_000
            ended = await heard(socket)
            assert ended == {"type": "unsubscribed", "project_id": "p", "reason": "expired"}
            await running.publish("p", node_update("unseen"))
            await say(socket, {"type": "subscribe", "project_id": "p", "token": later, "id": 5})
            assert (await heard(socket))["code"] == "unauthorized"
            await say(socket, {"type": "ping", "id": 6})
            assert (await heard(socket))["id"] == 6


async def test_a_connection_that_has_nothing_else_closes_when_it_expires() -> None:
    async with real_hub(auth=auth()) as running:
        start = running.hub.wall()
        running.hub.context.wall = lambda: start
        shared = running.hub.subscription_tokens.mint("p", lifetime=60)
        async with running.socket(f"/ws/updates?project_id=p&token={shared}") as socket:
            assert (await heard(socket))["type"] == "welcome"
            running.hub.context.wall = lambda: start + 61_000_000
            with trio.fail_after(30):
                while socket.closed is None:
                    await trio.lowlevel.checkpoint()
            assert socket.closed.code == 4003
        async with running.http() as http:
            assert (await http.get(f"{API}/projects/p/state?token={shared}")).status_code == 401


async def revoke(running: RealHub, **what: str) -> None:
    async with caller(running, "root", admin=True) as root:
        assert (await root.post(f"{API}/admin/revoke", json=what)).is_success


async def test_a_revoked_one_ends_what_it_opened_and_opens_nothing_more() -> None:
    async with real_hub(auth=auth()) as running, caller(running, watch=["p"]) as ada:
        made_one = await made(ada)
        shared = made_one["token"]
        async with (
            running.socket(f"/ws/updates?project_id=p&token={shared}") as own,
            running.socket(f"/ws/updates?user_id=ada&token={token(subject='ada')}") as other,
        ):
            assert (await heard(own))["type"] == "welcome"
            await say(other, {"type": "subscribe", "project_id": "p", "token": shared, "id": 1})
            while (await heard(other)).get("id") != 1:
                pass
            await revoke(running, token_id=made_one["token_id"])
            for socket in (own, other):
                with trio.fail_after(30):
                    while socket.closed is None:
                        await trio.lowlevel.checkpoint()
        async with running.http() as http:
            assert (await http.get(f"{API}/projects/p/state?token={shared}")).status_code == 401
        async with running.socket(f"/ws/updates?user_id=ada&token={token(subject='ada')}") as again:
            await say(again, {"type": "subscribe", "project_id": "p", "token": shared, "id": 2})
            while (said := await heard(again)).get("id") != 2:
                pass
            assert said["code"] == "unauthorized"


async def test_what_a_revoked_user_has_shared_opens_nothing_more() -> None:
    async with real_hub(auth=auth()) as running, caller(running, watch=["p"]) as ada, running.http() as http:
        shared = (await made(ada))["token"]
        assert (await http.get(f"{API}/projects/p/state?token={shared}")).status_code == 404
        await revoke(running, user="ada")
        assert (await http.get(f"{API}/projects/p/state?token={shared}")).status_code == 401


async def test_a_refreshed_token_of_the_user_leaves_the_subscription() -> None:
    async with real_hub(auth=auth()) as running:
        shared = running.hub.subscription_tokens.mint("p", lifetime=60)
        async with running.socket(f"/ws/updates?user_id=ada&token={token(subject='ada')}") as socket:
            for request in (
                {"type": "subscribe", "project_id": "p", "token": shared},
                {"type": "refresh", "token": token(subject="ada", watch=["q"]), "id": 1},
            ):
                await say(socket, request)
            while (await heard(socket)).get("id") != 1:
                pass
            await running.publish("p", node_update("m"))
            while (said := await heard(socket))["type"] == "subscribed":
                pass
            assert said["data"]["node_id"] == "m"


@pytest.mark.parametrize(
    ("allowed", "lifetime", "lives"),
    [
        ({"watch": ["p"]}, 600, 100),
        ({"watch": ["p"], "push": ["p"]}, 600, 600),
        ({"watch": ["p"]}, 50, 50),
        ({"watch": ["p"]}, None, 100),
        ({"watch": ["p"], "push": ["p"]}, None, 3600),
    ],
)
async def test_it_lives_no_longer_than_its_maker_unless_that_may_push(
    allowed: Json, lifetime: float | None, lives: float
) -> None:
    async with real_hub(auth=auth()) as running:
        now = running.hub.wall() // 1_000_000
        running.hub.context.wall = lambda: now * 1_000_000
        maker = token(subject="ada", expires=now + 100, **allowed)
        async with running.http(headers={"Authorization": f"Bearer {maker}"}) as http:
            given: dict[str, Any] = {} if lifetime is None else {"lifetime": lifetime}
            shared = (await made(http, **given))["token"]
        assert running.hub.subscription_tokens.read(shared).until == pytest.approx(now + lives)


@pytest.mark.parametrize(
    "given",
    [
        {"lifetime": 0},
        {"lifetime": 604_801},
        {"lifetime": "1"},
        {"lifetime": True},
        {"history": 1},
        {"node": "n"},
    ],
)
async def test_a_bad_request_names_its_field(given: Json) -> None:
    async with real_hub(auth=auth()) as running, caller(running, watch=["p"]) as http:
        answer = await http.post(f"{API}/projects/p/tokens", json=given)
        assert (answer.status_code, answer.json()["field"]) == (400, next(iter(given)))


def tokens(key: bytes = b"k" * 32, at: float = NOW) -> SubscriptionTokens:
    return SubscriptionTokens(key, lambda: round(at * 1_000_000))


FORGED: Final[dict[str, str]] = {
    "another key": tokens(b"x" * 32).mint("p", lifetime=60),
    "expired": tokens(at=NOW - 61).mint("p", lifetime=60),
    "no prefix": tokens().mint("p", lifetime=60).removeprefix(PREFIX),
    "no signature": PREFIX
    + jwt.encode({"aud": AUDIENCE, "exp": NOW + 9, "jti": "x", "project_id": "p"}, "", "none"),
    "another audience": PREFIX
    + jwt.encode({"aud": "x", "exp": NOW + 9, "jti": "x", "project_id": "p"}, b"k" * 32),
    "no audience": PREFIX + jwt.encode({"exp": NOW + 9, "jti": "x", "project_id": "p"}, b"k" * 32),
    "every project": PREFIX
    + jwt.encode({"aud": AUDIENCE, "exp": NOW + 9, "jti": "x", "project_id": "*"}, b"k" * 32),
    "no end": PREFIX + jwt.encode({"aud": AUDIENCE, "jti": "x", "project_id": "p"}, b"k" * 32),
    "another end": PREFIX
    + jwt.encode({"aud": AUDIENCE, "exp": "x", "jti": "x", "project_id": "p"}, b"k" * 32),
    "large": PREFIX + "x" * 5_000,
}


@pytest.mark.parametrize("how", sorted(FORGED))
def test_a_forged_token_is_invalid(how: str) -> None:
    with pytest.raises(SubscriptionTokenInvalid) as refused:
        tokens().read(FORGED[how])
    assert (refused.value.code, refused.value.field) == ("unauthorized", "token")


def test_the_key_of_users_tokens_signs_no_subscription_token_and_the_other_way_round() -> None:
    claims = {"aud": AUDIENCE, "exp": NOW + 9, "jti": "x", "project_id": "p", "sub": "ada"}
    ours = SubscriptionTokens(signing_key(Auth(secret=SECRET)), lambda: NOW * 1_000_000)
    assert ours.read(ours.mint("p", lifetime=9)).project_id == "p"
    with pytest.raises(SubscriptionTokenInvalid):
        ours.read(PREFIX + jwt.encode(claims, SECRET, "HS256"))
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(ours.mint("p", lifetime=9).removeprefix(PREFIX), SECRET, ["HS256"], audience=AUDIENCE)


def test_the_key_is_of_its_own_secret_else_of_the_tokens_else_random() -> None:
    own, derived = Auth(subscription_secret="o" * 32, secret=SECRET), Auth(secret=SECRET)
    assert signing_key(own) == signing_key(Auth(subscription_secret="o" * 32))
    assert len({signing_key(own), signing_key(derived), signing_key(Auth()), signing_key(Auth())}) == 4
