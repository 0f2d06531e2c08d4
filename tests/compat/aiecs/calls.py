"""Every call of AIECS' pushing side in openapi.json, as it should be made and as it should not."""

from __future__ import annotations

import json
from typing import Any, Final

import httpx
import trio

from tasktree_rt.core.events import Json
from tests.web.openapi import Seen, check
from tests.web.realhub import RealHub, heard, say

AIECS: Final = "/api/v1/aiecs"
WORK: Final[Json] = {"user_id": "ada", "task_id": "t1"}
BODIES: Final[dict[str, Json]] = {
    f"{AIECS}/notify": {"message": "Go on?", "user_id": "bob", "wait": 0},
    f"{AIECS}/broadcast": {"message": {}},
    f"{AIECS}/users/{{user_id}}/messages": {"message": {}},
    f"{AIECS}/heartbeats": {**WORK, "user_id": "bob"},
}
"""What to send where anything else would be wrong before it is forbidden."""
PATHS: Final = {f"{AIECS}/heartbeats": "?user_id=bob&task_id=t"}
"""What stands behind an address where it would be wrong without."""
WITH_BODY: Final = (
    ("POST", f"{AIECS}/notify"),
    ("POST", f"{AIECS}/broadcast"),
    ("POST", f"{AIECS}/users/p/messages"),
    ("POST", f"{AIECS}/heartbeats"),
)
LARGE: Final = b" " * (1 << 20) + b"{}"
WRONG: Final[tuple[tuple[int, str, str, dict[str, Any]], ...]] = (
    (400, "POST", f"{AIECS}/notify", {"json": {}}),
    (400, "POST", f"{AIECS}/broadcast", {"json": {"message": 5}}),
    (400, "POST", f"{AIECS}/users/p/messages", {"json": {"message": 5}}),
    (400, "POST", f"{AIECS}/heartbeats", {"json": {}}),
    (400, "DELETE", f"{AIECS}/heartbeats", {}),
    (400, "GET", f"{AIECS}/status?wait=long", {}),
    (409, "POST", f"{AIECS}/notify", {"json": {"message": "Another?", "callback_id": "c1", "wait": 0}}),
    *((413, method, path, {"content": LARGE}) for method, path in WITH_BODY),
)


async def call_aiecs(running: RealHub, http: httpx.AsyncClient, seen: Seen) -> None:
    """Every call as it should be made."""

    async def ask(method: str, path: str, status: int, **options: Any) -> Json:
        answer = await http.request(method, f"{AIECS}{path}", **options)
        check(answer, seen)
        assert answer.status_code == status, answer.text
        found: Json = answer.json()
        return found

    step = {"message": "Go on?", "callback_id": "c1", "user_id": "ada", "step": "draft", "result": {"n": 1}}
    await ask("POST", "/notify", 202, json={**step, "wait": 0})
    await ask("POST", "/notify", 200, json={"message": "Go on?", "timeout": 0.01})
    await ask("POST", "/broadcast", 200, json={"message": {"hello": "all"}})
    await ask("POST", "/users/ada/messages", 202, json={"message": {"n": 1}})
    late = {"message": {}, "requires_ack": True, "timeout": 0.01}
    await ask("POST", "/users/ada/messages", 504, json=late)
    await ask("POST", "/heartbeats", 202, json=WORK)
    await ask("DELETE", "/heartbeats", 200, params=WORK)
    await ask("GET", "/status", 200)
    async with running.socket("/ws/aiecs", native=False) as client, trio.open_nursery() as nursery:
        await say(client, {"action": "ping"})
        while (await heard(client))["type"] != "pong":
            pass  # what stands open is offered first
        sent = {"message": {"n": 2}, "requires_ack": True}
        nursery.start_soon(lambda: ask("POST", "/users/ada/messages", 200, json=sent))
        message = json.loads(await client.get_message())
        await say(client, {"action": "ack", "message_id": message["message_id"]})
