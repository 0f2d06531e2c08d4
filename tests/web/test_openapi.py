"""openapi.json against what the server really answers: every operation, every status it documents."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import trio
from openapi_spec_validator import validate
from quart import request

from tasktree_rt.brokers.memory import MemoryBroker
from tasktree_rt.core.events import Json
from tasktree_rt.errors import HTTP_STATUS, StoreDamaged, StoreUnavailable
from tasktree_rt.web import response as large
from tests.compat.aiecs import calls as aiecs_calls
from tests.web import admin_calls, execution_calls, otlp_calls
from tests.web.interactions_calls import BODIES, HIDDEN, PROMPTS, WITH_BODY, WRONG, ask_too_much, call_people
from tests.web.openapi import DOC, SCHEMAS, P, Seen, check, operations
from tests.web.realhub import RealHub, auth, document, node_update, real_hub, references, resolve, token

SERIES: Final = "/api/v1/series"
RUNS: Final = f"{SERIES}/{{series_id}}"
APP: Final = Path(__file__).parent / "app"
MANUAL: Final = Path(__file__).parent / "manual"
FILES: Final = {
    "/docs/manual/{name}": "index.html",
    "/static/{name}": "base.css",
    "/assets/{name}": "index-0a1b2c3d.js",
    "/p/{place}": "p",
    "/{name}": "inbox",
}
"""Something that is there, where a path only says that there may be something."""
NDJSON: Final = {"Content-Type": "application/x-ndjson"}
Request = tuple[int, str, str, dict[str, Any]]


# --- the document by itself -----------------------------------------------------------------------------


def test_is_valid_openapi() -> None:
    validate(DOC)
    assert DOC["openapi"] == "3.1.0"


def test_every_reference_leads_somewhere() -> None:
    for reference in references(DOC):
        assert resolve(DOC, {"$ref": reference}) is not None


def test_nothing_in_components_is_left_over() -> None:
    used = set(references(DOC))
    for kind in ("schemas", "responses", "parameters"):
        assert {f"#/components/{kind}/{name}" for name in DOC["components"][kind]} <= used


def test_knows_every_error_code_and_no_other() -> None:
    assert DOC["components"]["schemas"]["ErrorCode"]["enum"] == list(HTTP_STATUS)
    for code, status in HTTP_STATUS.items():
        assert f"`{code}` {status}" in DOC["components"]["schemas"]["ErrorCode"]["description"]


def test_every_example_fits_its_schema() -> None:
    def contents(value: Any) -> Iterator[Json]:
        if isinstance(value, dict):
            yield from value.get("content", {}).values() if isinstance(value.get("content"), dict) else ()
        for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            yield from contents(one)

    found = [content for content in contents(DOC) if "schema" in content]
    assert len(found) > 20
    for content in found:
        examples = [one["value"] for one in content.get("examples", {}).values()]
        for example in [*examples, *([content["example"]] if "example" in content else [])]:
            assert not SCHEMAS.faults(content["schema"], example), example


def test_the_two_documents_agree_where_they_say_the_same() -> None:
    ours, theirs = DOC["components"]["schemas"], document("asyncapi.json")["components"]["schemas"]
    common = {"ProjectId", "Node", "ProjectFields", "StoredPosition", "ErrorCode", "Time", "Position"}
    assert common <= ours.keys() & theirs.keys()
    for name in ours.keys() & theirs.keys() - {"Event", "NewEvent"}:
        assert ours[name] == theirs[name], name
    assert ours["StateData"]["properties"] == theirs["StatePartData"]["properties"]


async def test_has_every_route_and_every_route_is_there() -> None:
    async with real_hub() as running:
        routes = {
            (method.lower(), re.sub("<[^>]+>", "{}", rule.rule))
            for rule in running.app.url_map.iter_rules()
            if not rule.websocket
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        }
    assert routes == {(method, re.sub(r"\{\w+\}", "{}", path)) for method, path, _ in operations()}


async def test_what_is_switched_off_is_not_there() -> None:
    async with real_hub(docs=False, metrics=False) as running, running.http() as http:
        for path in (
            "/docs",
            "/docs/reducer.json",
            "/docs/manual/",
            "/api/v1/openapi.json",
            "/api/v1/asyncapi.json",
            "/metrics",
        ):
            assert (await http.get(path)).status_code == 404
        assert (await http.get("/")).status_code == 200


# --- what the server really answers ---------------------------------------------------------------------


async def succeed(http: httpx.AsyncClient, seen: Seen) -> None:
    """Every operation, used as it should be."""

    async def ask(method: str, path: str, **options: Any) -> httpx.Response:
        answer = await http.request(method, path, **options)
        check(answer, seen)
        return answer

    called = {"kind": "llm", "model": "m", "usage": {"input_tokens": 9}, "cost_usd": 0.5, "input": [1]}
    await ask("POST", f"{P}/p/events", json=node_update("a", status="failed", **called))
    await ask("POST", f"{P}/p/events", json=node_update("a", status="running", **called))
    await ask(
        "POST", f"{P}/p/events", json=node_update("a", title="A", progress=5, order=1, depends_on=["b"])
    )
    several = [node_update("b", parent_id="a"), {"type": "state_transition", "data": {"to": "running"}}]
    for _ in range(2):
        await ask(
            "POST", f"{P}/p/events", json=several, headers={"Idempotency-Key": "1", "Producer-Id": "me"}
        )
    await ask("POST", f"{P}/p/events", content=b'{"type":"x"}\n\n{"type":"y","data":{}}\n', headers=NDJSON)
    await ask("POST", f"{P}/p/events", json={"type": "orchestrator_started"})
    await ask(
        "POST",
        f"{P}/p/events",
        json={"type": "coordination_update", "data": {"active_agents": 0, "agents": {}}},
    )
    await ask("POST", f"{P}/q/events", json={"type": "project_update", "data": {"changes": {"title": "Q"}}})
    for path in (P, f"{P}?limit=1", f"{P}?limit=1&after=p"):
        await ask("GET", path)
    for path in (
        "state",
        "state?at=1",
        "field?node_id=a&name=input",
        "field?node_id=a&name=input&at=1",
        "usage",
        "usage?node_id=a",
        "events",
        "events?since=:0&limit=2&type=x",
        "events?node_id=a",
        "snapshots",
        "search?q=a",
        "search?q=a&kind=node&node=a&level=info&limit=1&after=x:1",
    ):
        await ask("GET", f"{P}/p/{path}")
    await ask("GET", "/api/v1/search?q=a&limit=1")
    for path, options in otlp_calls.RIGHT:
        assert (await ask("POST", path, **options)).status_code == 200
    kept = await ask("POST", f"{P}/p/snapshots", json={"name": "first", "at": 1})
    await ask("POST", f"{P}/p/snapshots")
    await ask("GET", f"{P}/p/snapshots")
    await ask("GET", f"{P}/p/snapshots/{kept.json()['snapshot_id']}")
    await ask("DELETE", f"{P}/p/snapshots/{kept.json()['snapshot_id']}")
    for path in (
        "/api/v1/stats",
        "/metrics",
        "/healthz",
        "/readyz",
        "/version",
        "/docs",
        "/docs/reducer.json",
        "/",
        "/robots.txt",
        "/static/docs.js",
        "/static/base.css",
        "/assets/index-4e5f6a7b.css",
        "/docs/manual/",
        "/docs/manual/none.html",
    ):
        await ask("GET", path)
    for path in ("/docs/manual/index.html", "/", "/inbox", "/p/p/tree", "/assets/index-0a1b2c3d.js"):
        page = await ask("GET", path)
        known = {"If-None-Match": page.headers["ETag"]}
        assert (await ask("GET", path, headers=known)).status_code == 304
    listed = {"series": "nightly", "run": 7, "title": "N"}
    await ask("POST", f"{P}/r/events", json={"type": "project_update", "data": {"changes": listed}})
    failure = {"status": "failed", "message": "no route", "started_at": "2026-01-01T00:00:00Z"}
    await ask("POST", f"{P}/r/events", json=node_update("top", **failure))
    await ask("GET", P)
    for path in ("", "?limit=1&after=a", "/nightly", "/nightly?limit=1"):
        await ask("GET", f"/api/v1/series{path}")
    await ask("GET", "/", headers={"Accept": "application/json"})
    icon = await ask("GET", "/static/icon.svg")
    await ask("GET", "/static/icon.svg", headers={"If-None-Match": icon.headers["ETag"]})
    for name in ("openapi", "asyncapi"):
        assert (await ask("GET", f"/api/v1/{name}.json")).json() == document(f"{name}.json")
    await ask("POST", f"{P}/p/tokens", json={"lifetime": 60, "history": False})
    await ask("POST", f"{P}/p/recover")
    await ask("DELETE", f"{P}/q")


async def look_at_the_stream(running: RealHub, http: httpx.AsyncClient, seen: Seen) -> None:
    """The stream's answer never ends: look at its head, and meanwhile at the connections."""
    with trio.fail_after(30):
        async with http.stream("GET", f"{P}/stream") as answer:
            seen["get", f"{P}/stream", answer.status_code] += 1
            assert answer.headers["Content-Type"].startswith("text/event-stream")
        async with http.stream("GET", f"{P}/p/stream") as answer:
            seen["get", f"{P}/{{project_id}}/stream", answer.status_code] += 1
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            async with running.socket("/ws/updates?project_id=p"), running.socket("/ws/orchestrator"):
                found = await http.get("/api/v1/connections")
                check(found, seen)
                assert {one["dialect"] for one in found.json()["connections"]} == {
                    "sse",
                    "native",
                    "orchestrator",
                }


MISTAKES: Final[tuple[Request, ...]] = (
    (400, "GET", f"{P}?limit=0", {}),
    (400, "GET", f"{P}?limit=many", {}),
    (400, "POST", f"{P}/p/events", {"content": b"{"}),
    (400, "POST", f"{P}/p/events", {"json": {"type": "node_update", "data": {"node_id": 5, "changes": {}}}}),
    (400, "POST", f"{P}/p/events", {"json": []}),
    (400, "POST", f"{P}/p/events", {"json": {"type": "x", "project_id": "q"}}),
    (400, "POST", f"{P}/p/events", {"content": b'{"type":"x"}\n{', "headers": NDJSON}),
    (400, "POST", f"{P}/p/events", {"json": {"type": "x"}, "headers": {"Idempotency-Key": "k" * 129}}),
    (400, "POST", f"{P}/p%20q/events", {"json": {"type": "x"}}),
    (400, "GET", f"{P}/p/events?since=nowhere", {}),
    (400, "GET", f"{P}/p/state?at=-1", {}),
    (400, "GET", f"{P}/p/state?at=99", {}),
    (400, "GET", f"{P}/p/usage?node_id=", {}),
    (400, "GET", f"{P}/p/field?name=input", {}),
    (400, "GET", f"{P}/p/field?node_id=a&name=input&at=99", {}),
    (404, "GET", f"{P}/p/field?node_id=a&name=none", {}),
    (404, "GET", f"{P}/nobody/usage", {}),
    (400, "GET", "/api/v1/series?limit=0", {}),
    (400, "GET", "/api/v1/series/nightly?limit=101", {}),
    (404, "GET", "/api/v1/series/none", {}),
    (400, "GET", f"{P}/p/stream?policy=none", {}),
    (400, "GET", f"{P}/p/stream", {"headers": {"Last-Event-ID": "x"}}),
    (400, "GET", f"{P}/-/snapshots", {}),
    (400, "GET", f"{P}/-/snapshots/x", {}),
    (400, "DELETE", f"{P}/-/snapshots/x", {}),
    (404, "DELETE", f"{P}/p/snapshots/none", {}),
    (400, "POST", f"{P}/p/snapshots", {"json": {"name": 5}}),
    (400, "POST", f"{P}/p/snapshots", {"json": {"at": "now"}}),
    (400, "POST", f"{P}/p/tokens", {"json": {"lifetime": 0}}),
    (413, "POST", f"{P}/p/tokens", {"content": b" " * (1 << 20) + b"{}"}),
    (400, "DELETE", f"{P}/-", {}),
    (404, "DELETE", f"{P}/nobody", {}),
    (400, "POST", f"{P}/-/recover", {}),
    (404, "POST", f"{P}/nobody/recover", {}),
    (404, "POST", "/api/v1/users/nobody/recover", {}),
    (400, "POST", f"/api/v1/users/{'u' * 257}/recover", {}),
    (404, "GET", f"{P}/nobody/state", {}),
    (404, "GET", f"{P}/nobody/search?q=x", {}),
    (400, "GET", f"{P}/p/search?q=%22", {}),
    (400, "GET", "/api/v1/search?q=x&after=p:1", {}),
    (404, "GET", f"{P}/p/snapshots/none", {}),
    (404, "POST", f"{P}/nobody/snapshots", {}),
    (404, "GET", "/static/none.js", {}),
    (404, "GET", "/static/openapi.json", {}),
    (404, "GET", "/assets/none.js", {}),
    (404, "GET", "/nowhere", {}),
    (
        409,
        "POST",
        f"{P}/p/events",
        {"json": {"type": "other"}, "headers": {"Idempotency-Key": "1", "Producer-Id": "me"}},
    ),
    (410, "GET", f"{P}/p/events?since=another:1", {}),
    (413, "POST", f"{P}/p/events", {"json": [{"type": "x"}] * 1001}),
    (413, "POST", f"{P}/p/events", {"content": b" " * (1 << 20) + b"{}"}),
    (413, "POST", f"{P}/p/snapshots", {"content": b" " * (1 << 20) + b"{}"}),
    (413, "POST", "/api/v1/broadcast", {"content": b" " * (1 << 20) + b"{}"}),
    (400, "POST", "/api/v1/broadcast", {"json": {}}),
    *WRONG,
    *execution_calls.WRONG,
    *aiecs_calls.WRONG,
    *admin_calls.WRONG,
    *otlp_calls.WRONG,
)


async def fail(http: httpx.AsyncClient, seen: Seen) -> None:
    """Every mistake that a caller can make."""
    for status, method, path, options in MISTAKES:
        answer = await http.request(method, path, **options)
        assert answer.status_code == status, (method, path, answer.text)
        check(answer, seen)


async def be_refused(seen: Seen) -> None:
    """Every operation without a token, with one that is not enough, and by a name that is not ours."""
    async with real_hub(auth=auth(), built=APP, manual=MANUAL) as running, running.http() as http:
        for method, path, operation in operations():
            url = re.sub(r"\{(name|place)\}", FILES.get(path, ""), re.sub(r"\{\w*id\}", "p", path))
            is_open = operation.get("security") == [{}]
            check(await http.request(method, url, headers={"Host": "evil.example"}), seen)
            if is_open:
                assert (await http.request(method, url)).status_code == 200
                continue
            unknown = await http.request(method, url)
            assert unknown.headers["WWW-Authenticate"] == "Bearer"
            check(unknown, seen)
            if path == f"{P}/stream":  # shows nothing, and does not end
                continue
            weak = await http.request(
                method,
                url + (aiecs_calls.PATHS.get(path, "") if method == "delete" else ""),
                headers={"Authorization": f"Bearer {token(watch=[])}"},
                json={**BODIES, **execution_calls.BODIES, **aiecs_calls.BODIES, **otlp_calls.BODIES}.get(
                    path, {"type": "x"}
                ),
            )
            is_list = method == "get" and path in (P, PROMPTS, SERIES, execution_calls.EXECUTIONS)
            is_list = is_list or path == otlp_calls.METRICS
            expected = 200 if is_list else 404 if path in (*HIDDEN, RUNS) else 403
            assert weak.status_code == expected, (method, path)
            check(weak, seen)


@asynccontextmanager
async def faulty() -> AsyncIterator[RealHub]:
    """A hub whose store fails where the request says so, or whose own code does."""
    async with real_hub(built=APP.parent / "no such folder") as running:

        @running.app.before_request
        async def go_wrong() -> None:
            wish = request.headers.get("X-Wish")
            if wish == "fault":
                raise ValueError("a bug")
            if wish == "store":
                raise StoreUnavailable("the disk is full")
            if wish == "damage":
                raise StoreDamaged("p", "event 7 is missing")

        yield running


async def go_wrong(seen: Seen) -> None:
    """Every operation while the store fails, and with a bug in the hub; pages that are not built."""
    async with faulty() as running, running.http() as http:
        for path in ("/inbox", "/p/p"):
            check(await http.get(path), seen)
        for method, path, operation in operations():
            url = re.sub(r"\{\w+\}", "p", path)
            for wish, status in (("fault", "500"), ("store", "503"), ("damage", "409")):
                if status in operation["responses"] and operation.get("security") != [{}]:
                    answer = await http.request(method, url, headers={"X-Wish": wish})
                    assert answer.status_code == int(status)
                    check(answer, seen)


class TrimmedBroker(MemoryBroker):
    """Cannot say what was."""

    async def checkpoint_at(self, *_: Any) -> None:
        return None

    async def read(self, project_id: str, since: Any, **options: Any) -> Any:
        from tasktree_rt.core.log import Gap

        return Gap("trimmed")


async def be_too_late(seen: Seen) -> None:
    """What the log no longer reaches back to."""
    async with real_hub(TrimmedBroker()) as running, running.http() as http:
        await running.publish("p", node_update("a"), node_update("b"))
        requests: tuple[tuple[str, str, dict[str, Any]], ...] = (
            ("GET", f"{P}/p/state?at=1", {}),
            ("GET", f"{P}/p/field?node_id=a&name=title&at=1", {}),
            ("POST", f"{P}/p/snapshots", {"json": {"at": 1}}),
            ("GET", f"{P}/p/events?since=:1", {}),
            ("GET", "/api/v1/users/ada/notifications?since=:1", {}),
        )
        for method, path, options in requests:
            answer = await http.request(method, path, **options)
            assert answer.status_code == 410, answer.text
            check(answer, seen)


ASKED_WITH_BODY = (
    *(
        ("POST", path)
        for path in (f"{P}/p/events", f"{P}/p/snapshots", f"{P}/p/tokens", "/api/v1/broadcast", *WITH_BODY)
    ),
    *execution_calls.WITH_BODY,
    *aiecs_calls.WITH_BODY,
    *admin_calls.WITH_BODY,
)


async def be_packed_otherwise(seen: Seen) -> None:
    """A body in a coding that is not taken."""
    async with real_hub() as running, running.http() as http:
        for method, path in ASKED_WITH_BODY:
            answer = await http.request(method, path, content=b"{}", headers={"Content-Encoding": "br"})
            assert answer.status_code == 415, (path, answer.text)
            check(answer, seen)


async def be_too_slow(seen: Seen) -> None:
    """A body that does not come."""

    async def never() -> AsyncIterator[bytes]:
        yield b"{"
        await trio.sleep_forever()

    async with real_hub(limits={"handshake_timeout": 0.02}) as running:
        for method, path in ASKED_WITH_BODY:
            stream = await trio.open_tcp_stream("127.0.0.1", int(running.url.rpartition(":")[2]))
            async with stream:
                head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"
                await stream.send_all(head.encode())
                said = b""
                with trio.fail_after(30):
                    while b"}" not in said:
                        said += await stream.receive_some()
            first, _, body = said.partition(b"\r\n\r\n")
            assert first.startswith(b"HTTP/1.1 408"), said
            assert b"application/problem+json" in first
            answer = httpx.Response(408, content=body, headers={"Content-Type": "application/problem+json"})
            answer.request = httpx.Request(method, running.url + path)
            check(answer, seen)


async def be_stopping(seen: Seen) -> None:
    """While the hub drains."""
    async with real_hub() as running, running.http() as http:
        await running.publish("p", node_update("a"))
        running.hub.stopping.begun = True
        check(await http.get("/readyz"), seen)
        refused = await http.post(f"{P}/p/events", json={"type": "x"})
        assert refused.json()["code"] == "draining"
        assert int(refused.headers["Retry-After"]) >= 1
        check(refused, seen)


async def read_too_much(seen: Seen) -> None:
    """More large answers than may be under way; here every answer is large."""
    async with real_hub(limits={"max_answer_bytes": 1 << 20}) as running, running.http() as http:
        answers = running.app.extensions["large_answers"]
        await http.post(f"{P}/p/events", json=node_update("a", title="A"))
        nightly = {"type": "project_update", "data": {"changes": {"series": "nightly"}}}
        await http.post(f"{P}/p/events", json=nightly)
        kept = (await http.post(f"{P}/p/snapshots", json={})).json()["snapshot_id"]
        paths = [
            *(f"{P}/p/{part}" for part in ("events", "state", "snapshots", f"snapshots/{kept}")),
            *(f"/api/v1/{part}" for part in ("projects", "prompts", "executions", "connections")),
            "/api/v1/users/u/notifications",
            f"{P}/p/field?node_id=a&name=title",
            SERIES,
            f"{SERIES}/nightly",
            *(f"{admin_calls.ADMIN}/{part}" for part in ("keys", "revocations", "connections")),
        ]
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(large, "PIECE", 1)
            async with running.socket("/ws/updates"):
                await http.post("/api/v1/users/u/notifications", json={"title": "x"})
                for status, held, of in ((429, 0, 64), (503, 1 << 20, 0)):
                    answers.held = held
                    answers._of.update({"at:127.0.0.1": of})
                    for path in paths:
                        answer = await http.get(path)
                        assert answer.status_code == status, path
                        check(answer, seen)
                    answers._of.clear()


async def search_too_much(seen: Seen) -> None:
    """More searches than one caller may have at a time."""
    async with real_hub() as running, running.http() as http:
        await running.publish("p", node_update("a"))
        running.hub.searches._running["at:127.0.0.1"] = 4
        for path in (f"{P}/p/search?q=a", "/api/v1/search?q=a"):
            answer = await http.get(path)
            assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
            check(answer, seen)


async def test_every_documented_answer_is_really_given_and_is_as_documented() -> None:
    seen: Seen = Counter()
    async with real_hub(built=APP, manual=MANUAL) as running, running.http() as http:
        await succeed(http, seen)
        await call_people(running, http, seen)
        check(await http.post("/api/v1/broadcast", json={"type": "news", "data": {}}), seen)
        await execution_calls.call_executions(http, seen)
        await aiecs_calls.call_aiecs(running, http, seen)
        await admin_calls.call_admin(running, http, seen)
        await look_at_the_stream(running, http, seen)
        await fail(http, seen)
    for more in (
        be_refused,
        go_wrong,
        be_too_late,
        be_packed_otherwise,
        be_too_slow,
        be_stopping,
        ask_too_much,
        read_too_much,
        search_too_much,
    ):
        await more(seen)
    documented = {
        (method, path, int(status))
        for method, path, operation in operations()
        for status in operation["responses"]
    }
    assert documented - seen.keys() == set()


async def test_an_answer_that_is_not_documented_is_noticed() -> None:
    request = httpx.Request("GET", f"http://hub{P}")
    page: Json = {"projects": [], "next": None}
    check(httpx.Response(200, json=page, request=request), Counter())
    for wrong in (
        httpx.Response(200, json={**page, "more": 1}, request=request),
        httpx.Response(200, json={"projects": [{}], "next": None}, request=request),
        httpx.Response(418, json=page, request=request),
        httpx.Response(200, text="{}", request=request),
    ):
        with pytest.raises(AssertionError):
            check(wrong, Counter())
