"""Every call about executions in openapi.json, as it should be made and as it should not."""

from __future__ import annotations

from typing import Any, Final

import httpx

from tasktree_rt.core.events import Json
from tests.web.openapi import Seen, check

EXECUTIONS: Final = "/api/v1/executions"
ONE: Final = f"{EXECUTIONS}/{{execution_id}}"
NEW: Final[Json] = {"workflow_id": "bake", "input_data": {"cakes": 2}}
BODIES: Final[dict[str, Json]] = {
    EXECUTIONS: NEW,
    ONE: {"progress": 1},
    f"{ONE}/claim": {"worker_id": "w1"},
}
"""What to send where anything else would be wrong before it is forbidden."""
WITH_BODY: Final = (
    ("POST", EXECUTIONS),
    ("PATCH", f"{EXECUTIONS}/p"),
    ("POST", f"{EXECUTIONS}/p/claim"),
)
LARGE: Final = b" " * (1 << 20) + b"{}"
KEYED: Final = {"headers": {"Idempotency-Key": "bake"}}
WRONG: Final[tuple[tuple[int, str, str, dict[str, Any]], ...]] = (
    (400, "POST", EXECUTIONS, {"json": {}}),
    (400, "GET", f"{EXECUTIONS}?status=lost", {}),
    (400, "GET", f"{EXECUTIONS}/a%20b", {}),
    (400, "PATCH", f"{EXECUTIONS}/p", {"json": {"progress": "half"}}),
    (400, "POST", f"{EXECUTIONS}/p/claim", {"json": {"worker_id": 5}}),
    (404, "GET", f"{EXECUTIONS}/nobody", {}),
    (404, "PATCH", f"{EXECUTIONS}/nobody", {"json": {}}),
    (404, "POST", f"{EXECUTIONS}/nobody/claim", {}),
    (409, "POST", EXECUTIONS, {"json": {**NEW, "workflow_id": "fry"}, **KEYED}),
    (409, "PATCH", f"{EXECUTIONS}/done", {"json": {"status": "failed"}}),
    (409, "POST", f"{EXECUTIONS}/done/claim", {}),
    *((413, method, path, {"content": LARGE}) for method, path in WITH_BODY),
)


async def call_executions(http: httpx.AsyncClient, seen: Seen) -> None:
    """Every call as it should be made."""

    async def ask(method: str, path: str, **options: Any) -> Json:
        answer = await http.request(method, f"{EXECUTIONS}{path}", **options)
        check(answer, seen)
        assert answer.is_success, answer.text
        found: Json = answer.json()
        return found

    made = await ask("POST", "", json=NEW, **KEYED)
    assert await ask("POST", "", json=NEW, **KEYED) == made
    await ask("GET", "?status=pending&wait=1&limit=1")
    await ask("POST", f"/{made['id']}/claim", json={"worker_id": "w1"})
    await ask("GET", "?status=running&limit=1")
    await ask("PATCH", f"/{made['id']}", json={"progress": 40.5, "message": "baking", "worker_id": "w1"})
    await ask("PATCH", f"/{made['id']}", json={"status": "failed", "error": {"code": 7}})
    await ask("GET", f"/{made['id']}")
    done = [{"type": "state_transition", "data": {"from": None, "to": "completed", "context": {}}}]
    assert (await http.post("/api/v1/projects/execution:done/events", json=done)).is_success
    assert (await ask("GET", "/done"))["progress"] == 100
    await ask("GET", "")
