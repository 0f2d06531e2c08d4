"""Callers, and every call about people in openapi.json, as it should be made and as it should not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx
import trio

from tasktree_rt.core.events import Json
from tests.web.openapi import P, Seen, check
from tests.web.realhub import RealHub, heard, real_hub, say, token

A: Final = "/api/v1"
PROMPTS: Final = f"{A}/prompts"
ADA: Final = f"{A}/users/ada"
QUESTION: Final[Json] = {"project_id": "p", "message": "Deploy?", "prompt_id": "q"}
AUTOGPT_EVENT: Final[Json] = {
    "payload": {
        "event_type": "graph_execution_update",
        "id": "e",
        "user_id": "u",
        "graph_id": "g",
        "status": "RUNNING",
    }
}
AUTOGPT_NOTE: Final[Json] = {"payload": {"user_id": "u", "payload": {"type": "t", "event": "e"}}}
BODIES: Final[dict[str, Json]] = {
    PROMPTS: QUESTION,
    f"{PROMPTS}/{{prompt_id}}/answer": {"proceed": True},
    f"{P}/{{project_id}}/commands": {"name": "cancel"},
    f"{A}/users/{{user_id}}/read": {"seq": 1},
    f"{A}/autogpt/events": AUTOGPT_EVENT,
    f"{A}/autogpt/notifications": AUTOGPT_NOTE,
}
"""What to send where anything else would be wrong before it is forbidden."""
HIDDEN: Final = (f"{PROMPTS}/{{prompt_id}}", f"{PROMPTS}/{{prompt_id}}/answer")
"""What is not there for who may not see it."""
WITH_BODY: Final = (
    PROMPTS,
    f"{PROMPTS}/q/answer",
    f"{P}/p/commands",
    f"{ADA}/notifications",
    f"{ADA}/read",
    f"{A}/autogpt/events",
    f"{A}/autogpt/notifications",
)
Ask = Callable[..., Awaitable[httpx.Response]]
LARGE: Final = b" " * (1 << 20) + b"{}"
WRONG: Final[tuple[tuple[int, str, str, dict[str, Any]], ...]] = (
    (400, "POST", PROMPTS, {"json": {"project_id": "p"}}),
    (400, "GET", f"{PROMPTS}?status=lost", {}),
    (400, "GET", f"{PROMPTS}/q?wait=61", {}),
    (400, "POST", f"{PROMPTS}/open/answer", {"json": {"proceed": 1}}),
    (400, "POST", f"{P}/p/commands", {"json": {"name": "no name"}}),
    (400, "GET", f"{P}/p/commands/available?wait=soon", {}),
    (400, "POST", f"{ADA}/notifications", {"json": {}}),
    (400, "GET", f"{ADA}/notifications?since=x", {}),
    (400, "POST", f"{ADA}/read", {"json": {"seq": -1}}),
    (400, "GET", f"{ADA}/stream?policy=none", {}),
    (400, "POST", f"{A}/autogpt/events", {"json": {"payload": {}}}),
    (400, "POST", f"{A}/autogpt/notifications", {"json": {}}),
    (404, "GET", f"{PROMPTS}/none", {}),
    (404, "POST", f"{PROMPTS}/none/answer", {"json": {"proceed": True}}),
    (404, "DELETE", f"{PROMPTS}/none", {}),
    (400, "DELETE", f"{PROMPTS}/q?project_id=-", {}),
    (404, "GET", f"{PROMPTS}/q?project_id=other", {}),
    (409, "POST", PROMPTS, {"json": {**QUESTION, "message": "Another?"}}),
    (409, "POST", f"{PROMPTS}/q/answer", {"json": {"proceed": False}}),
    (409, "DELETE", f"{PROMPTS}/q", {}),
    (409, "POST", f"{P}/nobody/commands", {"json": {"name": "cancel"}}),
    *((413, "POST", path, {"content": LARGE}) for path in WITH_BODY),
)


class Caller:
    """Somebody with a token of their own; without `allowed`, somebody at a hub without tokens."""

    def __init__(self, running: RealHub, subject: str = "", **allowed: Any) -> None:
        headers = {"Authorization": f"Bearer {token(subject=subject, **allowed)}"} if subject else {}
        self.http = running.http(headers=headers)

    async def call(self, method: str, path: str, body: Json | None = None) -> tuple[int, Json]:
        """The status and the body."""
        options: Json = {} if body is None else {"json": body}
        answer = await self.http.request(method, f"/api/v1{path}", **options)
        return answer.status_code, answer.json()

    async def ask(self, **question: Any) -> Json:
        status, found = await self.call("POST", "/prompts", {"message": "Deploy?", **question})
        assert status in (200, 201), found
        return found


@asynccontextmanager
async def callers(**settings: Any) -> AsyncIterator[tuple[RealHub, Caller]]:
    """A hub without tokens, and somebody who calls it."""
    async with real_hub(**settings) as running:
        caller = Caller(running)
        async with caller.http:
            yield running, caller


async def call_people(running: RealHub, http: httpx.AsyncClient, seen: Seen) -> None:
    """Every call as it should be made."""

    async def ask(method: str, path: str, **options: Any) -> httpx.Response:
        answer = await http.request(method, path, **options)
        check(answer, seen)
        return answer

    await _prompts(ask)
    await _commands(running, ask)
    await _users(ask)
    with trio.fail_after(30):
        async with http.stream("GET", f"{ADA}/stream") as answer:
            seen["get", f"{A}/users/{{user_id}}/stream", answer.status_code] += 1
            assert answer.headers["Content-Type"].startswith("text/event-stream")


async def _prompts(ask: Ask) -> None:
    assert (await ask("POST", PROMPTS, json=QUESTION)).status_code == 201
    await ask("GET", PROMPTS)
    answer = {"proceed": True, "value": [1], "feedback": "go on"}
    await ask("POST", f"{PROMPTS}/q/answer", json=answer)
    assert (await ask("POST", PROMPTS, json=QUESTION)).status_code == 200
    await ask("GET", f"{PROMPTS}/q?wait=1")
    options = [{"id": "a", "label": "A"}]
    asked: Json = {"project_id": "p", "user_id": "ada", "node_id": "a", "message": "?"}
    await ask("POST", PROMPTS, json={**asked, "prompt_id": "open", "options": options})
    number = {"schema": {"type": "integer"}, "default": {"proceed": True, "value": 4}}
    await ask("POST", PROMPTS, json={**asked, "prompt_id": "gone", **number})
    await ask("DELETE", f"{PROMPTS}/gone")
    await ask("POST", PROMPTS, json={**asked, "prompt_id": "late", "timeout": 0})
    assert (await ask("GET", f"{PROMPTS}/late?wait=30")).json()["status"] == "timeout"
    await ask("GET", f"{PROMPTS}?status=all&project_id=p&limit=1")
    await ask("GET", f"{PROMPTS}?status=settled&user_id=ada")


async def _commands(running: RealHub, ask: Ask) -> None:
    async with running.socket("/ws/orchestrator?commands=p") as orchestrator:

        async def obey() -> None:
            said: Json = {"command_id": (await heard(orchestrator))["command_id"], "status": "refused"}
            await say(orchestrator, {"type": "command_result", **said, "message": "not now"})

        known = {"name": "retry", "args": {"type": "object"}, "kinds": ["llm"], "dangerous": True}
        await say(orchestrator, {"type": "announce", "id": 0, "commands": [known]})
        await heard(orchestrator)
        listed = await ask("GET", f"{P}/p/commands/available")
        assert listed.json()["commands"] == [known]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(obey)
            refused = await ask("POST", f"{P}/p/commands?wait=30", json={"name": "retry", "node_id": "a"})
        assert refused.json()["status"] == "refused"
        sent = await ask("POST", f"{P}/p/commands", json={"name": "cancel", "args": {"now": True}})
        assert sent.status_code == 202


async def _users(ask: Ask) -> None:
    note = {"title": "Done", "body": "all of it", "level": "info", "url": "/", "data": {"n": 1}}
    assert (await ask("POST", f"{ADA}/notifications", json=note)).status_code == 201
    await ask("GET", f"{ADA}/notifications")
    await ask("POST", f"{ADA}/recover")
    await ask("GET", f"{ADA}/notifications?limit=1&type=prompt")
    await ask("POST", f"{ADA}/read", json={"seq": 1})
    assert (await ask("POST", f"{A}/autogpt/events", json=AUTOGPT_EVENT)).status_code == 202
    assert (await ask("POST", f"{A}/autogpt/notifications", json=AUTOGPT_NOTE)).status_code == 201


async def ask_too_much(seen: Seen) -> None:
    """More than may be open at a time."""
    async with (
        real_hub(limits={"max_open_prompts": 1, "max_open_commands": 1}) as running,
        running.http() as http,
        running.socket("/ws/orchestrator?commands=p"),
    ):
        for path, body in (
            (PROMPTS, {"project_id": "p", "message": "?"}),
            (f"{P}/p/commands", {"name": "x"}),
        ):
            assert (await http.post(path, json=body)).is_success
            refused = await http.post(path, json=body)
            assert refused.status_code == 429
            check(refused, seen)
        task = {"message": "?", "task_id": "t", "wait": 0}
        assert (await http.post(f"{A}/aiecs/notify", json=task)).is_success
        refused = await http.post(f"{A}/aiecs/notify", json=task)
        assert refused.status_code == 429
        check(refused, seen)
    await _keep_too_much(seen)


async def _keep_too_much(seen: Seen) -> None:
    """More than may be kept."""
    limits = {"max_user_logs": 1, "max_snapshots_per_project": 1}
    async with real_hub(limits=limits) as running, running.http() as http:
        await http.post(f"{ADA}/notifications", json={"title": "T"})
        await http.post(f"{P}/p/events", json={"type": "x"})
        await http.post(f"{P}/p/snapshots")
        for path, body in (
            (f"{A}/users/bob/notifications", {"title": "T"}),
            (
                f"{A}/autogpt/notifications",
                AUTOGPT_NOTE | {"payload": {**AUTOGPT_NOTE["payload"], "user_id": "bob"}},
            ),
            (f"{P}/p/snapshots", {}),
        ):
            refused = await http.post(path, json=body)
            assert (refused.status_code, refused.json()["code"]) == (409, "project_full"), path
            check(refused, seen)
