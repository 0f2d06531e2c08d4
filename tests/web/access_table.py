"""Who may do what: every route of the app with the grants that open it, and callers with one grant each."""

from __future__ import annotations

from typing import Any, Final

from attrs import evolve, frozen

from tasktree_rt.core.access import EVERYTHING, NOTHING, Grants, Lease, Scope, Verb
from tasktree_rt.core.events import Json
from tasktree_rt.core.topics import branch_topic
from tasktree_rt.web.auth.tokens import TokenInvalid, TokenMissing
from tests.web.realhub import RealHub, node_update

PROJECT: Final = "kept-7"
ABSENT: Final = "gone-7"
EXECUTION: Final = f"execution:{PROJECT}"
MINE: Final = Scope((PROJECT, EXECUTION))
_READS: Final = frozenset({Verb.WATCH, Verb.HISTORY})
_BARE: Final = Grants("eve", history=NOTHING, delete=NOTHING)


def _only(verb: str) -> Grants:
    allowed: dict[str, Any] = {verb: MINE}
    return evolve(_BARE, **allowed)


CALLERS: Final[dict[str, Grants]] = {
    "none": _BARE,
    **{verb.value: _only(verb.value) for verb in Verb},
    "push*": evolve(_BARE, push=EVERYTHING),
    "admin": evolve(_BARE, subject="root", admin=True),
    "user": evolve(_BARE, subject="ada"),
    "branch": evolve(_BARE, subject="", leases={branch_topic(PROJECT, "n"): Lease(_READS)}),
}
"""Callers by their credential, each with one grant; `user` is ada, without any, and `branch` has a token for
the branch of node n."""


class Known:
    """An authenticator whose credentials are the names of `CALLERS`."""

    on = True

    async def authenticate(self, credential: str | None, **_: Any) -> Grants:
        if not credential:
            raise TokenMissing("a token is needed")
        if credential not in CALLERS:
            raise TokenInvalid("unknown")
        return CALLERS[credential]


@frozen
class Route:
    """A route as the table knows it.

    Attributes:
        opened_by: the callers that it answers; "open" needs no token, "any" any token.
        query, body: of a request that is right but for the grants.
        seen_by: those that get 403 where all others get 404, since they may see the prompt.
        named: it names a project, so that its refusal can be compared with that of one that does not exist.
    """

    opened_by: frozenset[str]
    query: str = ""
    body: Json | None = None
    seen_by: frozenset[str] = frozenset()
    hidden: bool = False
    named: bool = True


def by(*callers: str, **more: Any) -> Route:
    return Route(frozenset(callers), **more)


OPEN: Final = by("open", named=False)
ANY: Final = by("any", named=False)
PUSH: Final = ("push", "push*")
WRITES: Final = ("user", "admin", "push*")
SEES: Final = frozenset({"watch", "push", "push*", "answer"})
NOTE: Final[Json] = {"title": "x"}
TASK: Final[Json] = {"user_id": "ada", "task_id": "t"}
GRAPH: Final[Json] = {
    "payload": {
        "event_type": "graph_execution_update",
        "id": "e",
        "user_id": "ada",
        "graph_id": "g",
        "status": "RUNNING",
    }
}
PLATFORM: Final[Json] = {"payload": {"user_id": "ada", "payload": {"type": "t", "event": "e"}}}
A: Final = "/api/v1"
P: Final = f"{A}/projects/<project>"
U: Final = f"{A}/users/<path:user>"
ROUTES: Final[dict[str, Route]] = {
    f"POST {P}/events": by(*PUSH, body=node_update("n")),
    f"GET {P}/state": by("watch", "branch"),
    f"GET {P}/state?at": by("history", "branch", query="?at=1"),
    f"GET {P}/usage": by("watch", "branch"),
    f"GET {P}/field": by("watch", "branch", query="?node_id=n&name=x"),
    f"GET {P}/field?at": by("history", "branch", query="?node_id=n&name=x&at=1"),
    f"GET {P}/events": by("history", "branch"),
    f"GET {P}/stream": by("watch", "branch"),
    f"DELETE {P}": by("delete"),
    f"POST {P}/recover": by("admin"),
    f"GET {P}/search": by("history", query="?q=n"),
    f"GET {A}/search": by("history", query="?q=n", named=False),
    f"POST {P}/tokens": by("watch", body={}),
    f"POST {P}/snapshots": by(*PUSH, body={"name": "s"}),
    f"GET {P}/snapshots": by("history"),
    f"GET {P}/snapshots/<snapshot_id>": by("history"),
    f"DELETE {P}/snapshots/<snapshot_id>": by("delete"),
    f"POST {P}/commands": by("command", body={"name": "stop"}),
    f"GET {P}/commands/available": by("watch"),
    f"GET {A}/series": ANY,
    f"GET {A}/series/<path:series_id>": ANY,
    f"GET {A}/projects": ANY,
    f"GET {A}/projects/stream": ANY,
    f"POST {A}/prompts": by(*PUSH, body={"project_id": PROJECT, "message": "?"}),
    f"GET {A}/prompts": ANY,
    f"GET {A}/prompts/<prompt_id>": by(*SEES, hidden=True),
    f"POST {A}/prompts/<prompt_id>/answer": by(
        "answer", hidden=True, body={"proceed": True}, seen_by=SEES - {"answer"}
    ),
    f"DELETE {A}/prompts/<prompt_id>": by(*PUSH, hidden=True, seen_by=SEES - {"push", "push*"}),
    f"POST {U}/notifications": by(*WRITES, body=NOTE, named=False),
    f"GET {U}/notifications": by("user", "admin", named=False),
    f"POST {U}/read": by("user", "admin", body={"seq": 1}, named=False),
    f"GET {U}/stream": by("user", "admin", named=False),
    f"POST {U}/recover": by("admin", named=False),
    f"POST {A}/broadcast": by("push*", body={"type": "x", "data": {}}, named=False),
    f"GET {A}/connections": by("admin", named=False),
    f"GET {A}/admin/connections": by("admin", named=False),
    f"GET {A}/admin/keys": by("admin", named=False),
    f"POST {A}/admin/keys": by("admin", body={"name": "k", "grants": {"watch": ["p"]}}, named=False),
    f"DELETE {A}/admin/keys/<key>": by("admin", named=False),
    f"GET {A}/admin/revocations": by("admin", named=False),
    f"POST {A}/admin/revoke": by("admin", body={"token_id": "t"}, named=False),
    f"POST {A}/admin/disconnect": by("admin", body={"user": "nobody"}, named=False),
    f"GET {A}/stats": by("admin", named=False),
    f"POST {A}/executions": by("push*", body={"workflow_id": "w"}, named=False),
    f"GET {A}/executions": ANY,
    f"GET {A}/executions/<execution>": by("watch"),
    f"PATCH {A}/executions/<execution>": by(*PUSH, body={"progress": 1}),
    f"POST {A}/executions/<execution>/claim": by(*PUSH, body={"worker_id": "w"}),
    **{f"POST /v1/{one}": by("any", named=False, body={}) for one in ("traces", "logs", "metrics")},
    f"POST {A}/autogpt/events": by("push*", body=GRAPH, named=False),
    f"POST {A}/autogpt/notifications": by(*WRITES, body=PLATFORM, named=False),
    f"POST {A}/aiecs/notify": by("push*", body={**TASK, "message": "?", "wait": 0}, named=False),
    f"POST {A}/aiecs/broadcast": by("push*", body={"message": {}}, named=False),
    f"POST {A}/aiecs/users/<path:user>/messages": by(*WRITES, body={"message": {}}, named=False),
    f"POST {A}/aiecs/heartbeats": by(*WRITES, body=TASK, named=False),
    f"DELETE {A}/aiecs/heartbeats": by(*WRITES, query="?user_id=ada&task_id=t", named=False),
    f"GET {A}/aiecs/status": by("admin", named=False),
    "GET /metrics": by("admin", named=False),
    **dict.fromkeys(
        (
            "GET /",
            "GET /healthz",
            "GET /readyz",
            "GET /version",
            "GET /<name>",
            "GET /assets/<path:name>",
            "GET /p/<path:place>",
            "GET /static/<path:name>",
            "GET /docs",
            "GET /docs/reducer.json",
            "GET /docs/manual/",
            "GET /docs/manual/<path:name>",
            f"GET {A}/openapi.json",
            f"GET {A}/asyncapi.json",
        ),
        OPEN,
    ),
}
"""By method and rule of the app's URL map; a name behind ``?`` is another form of the same route."""
SOCKETS: Final = frozenset(
    {"/ws", "/ws/updates", "/ws/orchestrator", "/ws/aiecs", f"{A}/ws/executions/<execution>"}
)
"""The WebSocket routes; `test_access_commands` has what they accept."""


async def prepare(running: RealHub, prompt: str) -> str:
    """Make everything that the routes are asked for; returns the id of a snapshot."""
    hub = running.hub
    await running.publish(PROJECT, node_update("n"), node_update("n"))
    await running.publish(EXECUTION, {"type": "state_transition", "data": {"to": "draft"}})
    await hub.prompts.ask({"project_id": PROJECT, "message": "?", "prompt_id": prompt}, grants=_ALL)
    found = await hub.snapshots.keep(hub.cache.get(PROJECT).project_id, "s", "", lambda: hub.state(PROJECT))  # type: ignore[union-attr]
    return found.snapshot_id


_ALL: Final = Grants("all", push=EVERYTHING)
