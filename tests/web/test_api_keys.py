"""API keys over HTTP: made, used in place of a token, listed, limited, expired."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tasktree_rt.brokers.memory import MemoryBroker
from tasktree_rt.hub.access import key_checks
from tasktree_rt.settings import Auth
from tests.web.admin_calls import ADMIN, ALL, admin, bearer, call, closed, issued, new_key, status_of
from tests.web.realhub import auth, heard, node_update, real_hub


async def test_a_key_does_what_its_grants_say_wherever_a_token_does() -> None:
    async with real_hub(auth=auth()) as hub:
        key = (await new_key(hub, push=["build-*"], watch=["build-*"]))["key"]
        await hub.publish("build-1", node_update("n", status="running"))
        async with hub.http(headers=bearer(key)) as client:
            path = "/api/v1/projects/{}/events"
            assert (await client.post(path.format("build-1"), json=[node_update("m")])).status_code == 200
            assert (await client.post(path.format("other"), json=[node_update("m")])).status_code == 403
            assert (await client.get("/api/v1/stats")).status_code == 403
            assert (await client.get(f"{ADMIN}/keys")).status_code == 403
        async with hub.http() as client:
            found = await client.get("/api/v1/projects/build-1/state", params={"token": key})
            assert found.status_code == 200
        async with hub.socket(f"/ws/updates?token={key}&project_id=build-1") as socket:
            assert (await heard(socket))["type"] == "welcome"
            (one,) = hub.hub.connections.values()
            assert (one.grants.subject, one.grants.token_id) == ("key:ci", key.split("_")[1])


async def test_a_key_is_shown_once_and_listed_without_its_secret() -> None:
    async with real_hub(auth=auth()) as hub:
        made = await new_key(hub, watch=["p"])
        listed = (await call(hub, "GET", "/keys"))["keys"]
        assert [one["id"] for one in listed] == [made["id"]]
        assert "key" not in listed[0]
        assert made["key"].split("_")[2] not in str(listed)
        assert listed[0]["grants"] == {"watch": ["p"]}
        assert (listed[0]["creator"], listed[0]["used"], listed[0]["revoked"]) == ("root", None, None)


async def test_the_last_use_is_listed_at_once_and_stored_behind() -> None:
    broker = MemoryBroker()
    async with real_hub(broker, auth=auth()) as hub:
        made = await new_key(hub)
        assert (await status_of(hub, made["key"]))[0] == 200
        assert (await call(hub, "GET", "/keys"))["keys"][0]["used"] is not None
        with trio.fail_after(10):
            while (await broker.access.keys())[0].used is None:
                await trio.lowlevel.checkpoint()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "a b", "grants": ALL}, "name"),
        ({"grants": ALL}, "name"),
        ({"name": "a"}, "grants"),
        ({"name": "a", "grants": {}}, "grants"),
        ({"name": "a", "grants": {"push": []}}, "grants"),
        ({"name": "a", "grants": {"wach": ["p"]}}, "grants.'wach'"),
        ({"name": "a", "grants": {"watch": "p"}}, "grants.watch"),
        ({"name": "a", "grants": {"watch": ["p", 5]}}, "grants.watch[1]"),
        ({"name": "a", "grants": {"admin": "yes"}}, "grants.admin"),
        ({"name": "a", "grants": ALL, "expires_in": 0}, "expires_in"),
        ({"name": "a", "grants": ALL, "expires_in": True}, "expires_in"),
        ({"name": "a", "grants": ALL, "until": "x"}, "until"),
    ],
)
async def test_what_is_no_key_is_refused_by_its_field(body: dict[str, Any], field: str) -> None:
    async with real_hub(auth=auth()) as hub:
        assert (await call(hub, "POST", "/keys", 400, **body))["field"] == field
        assert (await call(hub, "GET", "/keys"))["keys"] == []


async def test_a_key_ends_with_its_lifetime(monkeypatch: pytest.MonkeyPatch) -> None:
    async with real_hub(auth=auth()) as hub:
        made = await call(hub, "POST", "/keys", 201, name="ci", grants=ALL, expires_in=60)
        async with hub.socket(f"/ws/updates?token={made['key']}") as socket:
            assert (await heard(socket))["type"] == "welcome"
            (one,) = hub.hub.connections.values()
            assert one.grants.expires is not None
        later = hub.hub.context.wall() + 61_000_000
        monkeypatch.setattr(hub.hub.administration.keys, "_wall", lambda: later)
        assert await status_of(hub, made["key"]) == (401, "the API key has expired")


async def test_a_wrong_key_of_any_kind_gets_the_same_answer() -> None:
    async with real_hub(auth=auth()) as hub:
        key = (await new_key(hub))["key"]
        wrong = [
            key[:-1] + ("0" if key[-1] != "0" else "1"),
            key + "0",
            "ttk_",
            "ttk_" + "0" * 16 + "_" + "0" * 64,
        ]
        for one in wrong:
            assert await status_of(hub, one) == (401, "the API key is not valid")
        assert hub.hub.administration.keys.checks.count == 0, "scrypt did not run"


async def test_wrong_keys_of_an_address_are_limited_and_a_known_key_goes_on() -> None:
    async with real_hub(auth=auth()) as hub:
        known, unknown = (await new_key(hub))["key"], (await new_key(hub))["key"]
        assert (await status_of(hub, known))[0] == 200
        for _ in range(key_checks.WRONG):
            assert (await status_of(hub, "ttk_x"))[0] == 401
        assert (await status_of(hub, "ttk_x"))[0] == 429
        assert (await status_of(hub, unknown))[0] == 429
        assert (await status_of(hub, known))[0] == 200
        async with hub.socket(f"/ws/updates?token={unknown}") as socket:
            assert (await closed(socket))[0] == 1013


async def test_one_scrypt_serves_all_that_come_with_the_same_key_at_once() -> None:
    async with real_hub(auth=auth()) as hub:
        key = (await new_key(hub))["key"]
        found: list[int] = []

        async def ask() -> None:
            found.append((await status_of(hub, key))[0])

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(ask)
        assert found == [200] * 20
        assert hub.hub.administration.keys.checks.count == 1


async def test_keys_alone_switch_authentication_on() -> None:
    async with real_hub(auth=Auth(keys=True)) as hub:
        made = await hub.hub.administration.keys.create("first", {"admin": True, "watch": ["*"]})
        assert (await status_of(hub, made.credential))[0] == 200
        async with hub.http() as client:
            assert (await client.get("/api/v1/projects")).status_code == 401
        assert (await status_of(hub, issued()))[0] == 401


async def test_without_authentication_a_key_changes_nothing() -> None:
    async with real_hub() as hub:
        assert (await status_of(hub, "ttk_x"))[0] == 200


async def test_a_new_key_is_not_cached_by_anything_between() -> None:
    async with real_hub(auth=auth()) as hub, hub.http(headers=admin()) as client:
        response = await client.post(f"{ADMIN}/keys", json={"name": "ci", "grants": ALL})
        assert response.headers["Cache-Control"] == "no-store"
