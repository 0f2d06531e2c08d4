"""Bounds per subject as callers meet them: by token, by address; and snapshots deleted."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tasktree_rt.core.events import Json
from tests.web.realhub import RealHub, auth, heard, real_hub, say, token

P = "/api/v1/projects"


def caller(
    running: RealHub, subject: str = "", *, address: str | None = None, **allowed: Any
) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {token(subject=subject, **allowed)}"} if subject else {}
    transport = httpx.AsyncHTTPTransport(local_address=address) if address else None
    return httpx.AsyncClient(base_url=running.url, timeout=30.0, headers=headers, transport=transport)


async def push(http: httpx.AsyncClient, project: str) -> tuple[int, str | None]:
    answer = await http.post(f"{P}/{project}/events", json={"type": "x"})
    return answer.status_code, answer.json().get("code")


FULL = (409, "subject_full")


async def test_with_tokens_each_subject_has_its_own_room() -> None:
    async with (
        real_hub(auth=auth(), limits={"max_per_subject": 2}) as running,
        caller(running, "ada", push=["*"]) as ada,
        caller(running, "bob", push=["*"]) as bob,
    ):
        for project in ("a1", "a2"):
            assert await push(ada, project) == (200, None)
        assert await push(ada, "a3") == FULL
        assert await push(bob, "b1") == (200, None)
        assert await push(bob, "a1") == (200, None)  # ada's, and it stays so
        assert (await ada.delete(f"{P}/a2")).is_success
        assert await push(ada, "a3") == (200, None)
        query = f"producer_id=p&token={token(subject='ada', push=['*'])}"
        async with running.socket(f"/ws/orchestrator?{query}") as producer:
            await say(producer, {"type": "publish", "id": 1, "events": [{"type": "x", "project_id": "a4"}]})
            answer = await heard(producer)
        assert (answer["type"], answer["code"], answer["field"]) == ("error", "subject_full", "project_id")
        assert "limits.max_per_subject" in answer["message"]


async def test_without_tokens_each_address_has_its_own_room() -> None:
    async with (
        real_hub(limits={"max_per_subject": 1}) as running,
        caller(running, address="127.0.0.1") as one,
        caller(running, address="127.0.0.2") as other,
    ):
        assert await push(one, "a") == (200, None)
        assert await push(one, "b") == FULL
        assert await push(other, "b") == (200, None)
        assert (await one.post("/api/v1/executions", json={"workflow_id": "w"})).json()[
            "code"
        ] == "subject_full"
        async with running.socket("/ws/orchestrator") as producer:
            await say(producer, {"type": "publish", "id": 1, "events": [{"type": "x", "project_id": "c"}]})
            assert (await heard(producer))["code"] == "subject_full"
        question = {"project_id": "a", "message": "?"}
        refused = await one.post("/api/v1/prompts", json=question)
        assert (refused.status_code, refused.json()["code"]) == FULL
        assert (await one.post("/api/v1/users/u/notifications", json={"title": "T"})).status_code == 409


async def test_a_snapshot_is_deleted_by_who_may_push_or_administer() -> None:
    async with (
        real_hub(auth=auth()) as running,
        caller(running, "ada", push=["p"], watch=["*"]) as ada,
        caller(running, "bob", push=["q"], watch=["*"]) as bob,
        caller(running, "root", admin=True) as root,
    ):
        await push(ada, "p")
        kept = [(await ada.post(f"{P}/p/snapshots")).json()["snapshot_id"] for _ in range(2)]
        assert (await bob.delete(f"{P}/p/snapshots/{kept[0]}")).status_code == 403
        for who, one in zip((ada, root), kept, strict=True):
            answer = await who.delete(f"{P}/p/snapshots/{one}")
            assert (answer.status_code, answer.json()) == (
                200,
                {"project_id": "p", "snapshot_id": one, "deleted": True},
            )
        listed: Json = (await ada.get(f"{P}/p/snapshots")).json()
        assert listed == {"snapshots": []}
        gone = await ada.delete(f"{P}/p/snapshots/{kept[0]}")
        assert (gone.status_code, gone.json()["code"], gone.json()["field"]) == (
            404,
            "not_found",
            "snapshot_id",
        )
        assert (await ada.get(f"{P}/p/snapshots/{kept[0]}")).status_code == 404


@pytest.mark.parametrize("allowed", ["https://board.example.org"])
async def test_a_listed_page_may_delete_one(allowed: str) -> None:
    async with real_hub(cors_origins=(allowed,)) as running, running.http() as http:
        asked = {"Origin": allowed, "Access-Control-Request-Method": "DELETE"}
        granted = await http.options(f"{P}/p/snapshots/x", headers=asked)
        assert "DELETE" in granted.headers["Access-Control-Allow-Methods"]
