"""The audit log: what it has, for each change and refusal, bounded and without a secret."""

from __future__ import annotations

from typing import Any

import pytest

from tasktree_rt.core.access import Grants
from tasktree_rt.core.events import Json
from tasktree_rt.errors import Refused
from tasktree_rt.hub.access.audit import Audit
from tasktree_rt.hub.access.line_limit import REMEMBERED
from tests.web.admin_calls import ADMIN, admin, bearer, call, issued, new_key, status_of
from tests.web.realhub import auth, heard, node_update, real_hub, say


def audited(records: list[Any]) -> list[Json]:
    return [one for one in records if one.get("log") == "audit"]


async def test_each_change_has_a_line_with_who_where_and_what(structlog_records: list[Any]) -> None:
    async with real_hub(auth=auth()) as hub:
        await hub.publish("p", node_update("n"))
        key = await new_key(hub, "ci", push=["p"])
        await call(hub, "DELETE", f"/keys/{key['id']}")
        await call(hub, "POST", "/revoke", token_id="t1")
        await call(hub, "POST", "/disconnect", user="ada")
        async with hub.http(headers=bearer(issued("root", jti="j", admin=True, delete=["*"]))) as client:
            assert (await client.delete("/api/v1/projects/p")).status_code == 200
    lines = audited(structlog_records)
    assert [one["event"] for one in lines] == [
        "key created",
        "key revoked",
        "revoked",
        "disconnected",
        "project deleted",
    ]
    assert {(one["subject"], one["address"]) for one in lines} == {("root", "127.0.0.1")}
    assert lines[0]["grants"] == {"push": ["p"]}
    assert (lines[1]["key"], lines[2]["revoked_token"], lines[3]["chosen"]) == (
        key["id"],
        "t1",
        {"user": "ada"},
    )
    assert (lines[4]["project"], lines[4]["token_id"]) == ("p", "j")
    assert key["key"].split("_")[2] not in str(structlog_records)


async def test_refusals_of_http_and_of_a_socket_are_logged(structlog_records: list[Any]) -> None:
    async with real_hub(auth=auth()) as hub:
        assert (await status_of(hub, "nonsense"))[0] == 401
        assert (await status_of(hub, issued(jti="j", watch=[]), f"{ADMIN}/keys"))[0] == 403
    first, second = audited(structlog_records)
    assert (first["on"], first["address"], first["times"]) == ("/api/v1/projects", "127.0.0.1", 1)
    assert "subject" not in first
    assert (second["on"], second["subject"], second["token_id"]) == (f"{ADMIN}/keys", "ada", "j")
    assert "nonsense" not in str([first, second])


async def test_a_refused_request_of_a_socket_is_logged_with_its_dialect(structlog_records: list[Any]) -> None:
    path = f"/ws/updates?token={issued(watch=['a'])}&project_id=a"
    async with real_hub(auth=auth()) as hub, hub.socket(path) as socket:
        await heard(socket)
        await say(socket, {"type": "subscribe", "id": 1, "project_id": "other"})
        while (await heard(socket)).get("type") != "error":
            pass
    (line,) = audited(structlog_records)
    assert (line["on"], line["subject"], "other" in line["reason"]) == ("native", "ada", True)


async def test_repeated_refusals_of_an_address_share_a_line(structlog_records: list[Any]) -> None:
    async with real_hub(auth=auth()) as hub:
        for _ in range(5):
            await status_of(hub, "nonsense")
        async with hub.http(headers=admin()) as client:
            assert (await client.get("/api/v1/projects")).status_code == 200
    assert len(audited(structlog_records)) == 1


@pytest.mark.parametrize("code", ["unauthorized", "forbidden"])
async def test_very_many_addresses_take_no_more_lines_than_are_remembered(
    structlog_records: list[Any], code: str
) -> None:
    audit = Audit()
    for number in range(2 * REMEMBERED):
        audit.refused(Refused("x" * 10_000, code=code), Grants("u" * 10_000), f"10.0.{number}", "/x")
    audit.refused(Refused("not of access", code="not_found"), None, "", "")
    lines = audited(structlog_records)
    assert len(lines) == REMEMBERED + 1
    assert max(len(str(one)) for one in lines) < 1_500
