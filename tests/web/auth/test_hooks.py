"""The team's own service over HTTP, on real sockets: what it is asked, its answers, and every surface."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Final

import httpx
import pytest
import trio
import trio.lowlevel
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.brokers.memory import MemoryBroker
from tasktree_rt.composition.compose import foreign_systems
from tasktree_rt.core.access import Grants, Scope, Verb
from tasktree_rt.core.events import Json
from tasktree_rt.errors import SettingsError
from tasktree_rt.hub.access.hooks import Hooks, Question, Verdict
from tasktree_rt.hub.hub import open_hub
from tasktree_rt.metrics import Metrics
from tasktree_rt.settings import Auth, Settings
from tasktree_rt.settings.checks import UnfitSetting
from tasktree_rt.web.app import create_app
from tasktree_rt.web.auth.hooks import HookFailure, open_hooks, read_connection, read_verdict, signature
from tasktree_rt.web.server.server import serve
from tests.web.realhub import RealHub, heard, node_update, say, token
from tests.web.serving import small

KEY: Final = "k" * 32
API: Final = "/api/v1"
BUILD: Final = {
    "verb": "watch",
    "project_id": "build",
    "subject": "ada",
    "token_id": "",
    "address": "127.0.0.1",
}


@define
class Service:
    """A service on a port of its own that answers as `answer` says and keeps what it was asked."""

    url: str = ""
    answer: Callable[[str, Json], tuple[int, bytes]] = lambda path, asked: (200, b'{"allow": true}')
    asked: list[tuple[str, Json]] = field(factory=list)
    signed: list[tuple[str, bytes]] = field(factory=list)
    hanging: set[str] = field(factory=set)

    async def handle(self, stream: trio.SocketStream) -> None:
        """Answer the requests of one connection."""
        data = b""
        while True:
            while b"\r\n\r\n" not in data:
                more = await stream.receive_some(65_536)
                if not more:
                    return
                data += more
            head, _, data = data.partition(b"\r\n\r\n")
            fields = {
                name.strip().lower(): value.strip()
                for name, _, value in (line.partition(":") for line in head.decode().split("\r\n")[1:])
            }
            size = int(fields["content-length"])
            while len(data) < size:
                data += await stream.receive_some(65_536)
            body, data = data[:size], data[size:]
            path, asked = head.split()[1].decode(), json.loads(body)
            self.asked.append((path, asked))
            self.signed.append((fields["tasktree-signature"], body))
            if asked.get("subject") in self.hanging:
                await trio.sleep_forever()
            status, said = self.answer(path, asked)
            answer = b"HTTP/1.1 %d OK\r\nContent-Length: %d\r\n\r\n%b" % (status, len(said), said)
            with suppress(trio.BrokenResourceError):  # the hub reads no more of it than it has to
                await stream.send_all(answer)

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]


def allows(**more: Any) -> tuple[int, bytes]:
    return 200, json.dumps({"allow": True, **more}).encode()


REFUSES: Final = (200, b'{"allow": false}')


@asynccontextmanager
async def hooked(*urls: str, secret: str = "s" * 32, **auth: Any) -> AsyncIterator[tuple[RealHub, Service]]:
    """A hub that asks a service at these URLs (``connect``, …)."""
    service = Service()
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, service.handle, 0, host="127.0.0.1"))
        service.url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        auth |= {f"{name}_url": f"{service.url}/{name}" for name in urls}
        chosen = Auth(secret=secret, hook_secret=KEY, **auth)
        async with open_hooks(chosen) as hooks, hub_with(small(auth=chosen), hooks) as running:
            yield running, service
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def hub_with(settings: Settings, hooks: Hooks) -> AsyncIterator[RealHub]:
    metrics, stop = Metrics(), trio.Event()
    async with open_hub(MemoryBroker(), settings, meter=metrics, access=hooks) as hub:
        app = create_app(settings, hub, metrics, compat=foreign_systems())

        async def run(task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED) -> None:
            await serve(app, hub, settings, shutdown=stop.wait, meter=metrics, task_status=task_status)

        async with trio.open_nursery() as nursery:
            urls = await nursery.start(run)
            yield RealHub(urls[0], hub, app, settings, stop)
            nursery.cancel_scope.cancel()


def caller(running: RealHub, subject: str = "ada", **allowed: Any) -> httpx.AsyncClient:
    return running.http(headers={"Authorization": f"Bearer {token(subject=subject, **allowed)}"})


# --- what it is asked -----------------------------------------------------------------------------


async def test_a_question_names_the_caller_and_is_signed() -> None:
    async with hooked("subscribe") as (running, service), caller(running) as http:
        await running.publish("build", node_update("n"))
        assert (await http.get(f"{API}/projects/build/state")).status_code == 200
        assert service.asked == [("/subscribe", BUILD)]
        ((header, body),) = service.signed
        now, _, sent = header.removeprefix("t=").partition(",v1=")
        expected = hmac.new(KEY.encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
        assert sent == expected
        assert signature(KEY.encode(), int(now), body) == header


async def test_what_the_grants_allow_is_not_asked() -> None:
    async with (
        hooked("subscribe", "publish") as (running, service),
        caller(running, watch=["b*"], push=["b*"]) as http,
    ):
        assert (await http.post(f"{API}/projects/build/events", json=node_update("n"))).is_success
        assert (await http.get(f"{API}/projects/build/state")).is_success
        assert not service.asked


async def test_a_refusal_is_that_of_the_grants() -> None:
    async with hooked("subscribe", "publish") as (running, service), caller(running) as http:
        service.answer = lambda path, asked: REFUSES
        await running.publish("build", node_update("n"))
        for name in ("build", "absent"):
            answer = await http.get(f"{API}/projects/{name}/state")
            assert (answer.status_code, answer.json()["detail"]) == (403, f"you may not watch {name!r}")
        assert (await http.post(f"{API}/projects/build/events", json=node_update("n"))).status_code == 403


async def test_verbs_that_no_service_decides_about_are_by_grants_alone() -> None:
    async with hooked("subscribe", "publish") as (running, service), caller(running) as http:
        await running.publish("build", node_update("n"))
        assert (await http.delete(f"{API}/projects/build")).status_code == 403
        assert (await http.post(f"{API}/projects/build/commands", json={"name": "x"})).status_code == 403
        assert (await http.get(f"{API}/stats")).status_code == 403
        assert (await http.get(f"{API}/users/bob/notifications")).status_code == 403
        assert (await http.get(f"{API}/projects")).json()["projects"] == []
        assert not service.asked


# --- every surface ----------------------------------------------------------------------------------

SURFACES: Final[dict[str, tuple[str, str, Json | None, str, str]]] = {
    "state": ("GET", "projects/build/state", None, "watch", "build"),
    "past state": ("GET", "projects/build/state?at=1", None, "history", "build"),
    "events": ("GET", "projects/build/events", None, "history", "build"),
    "snapshots": ("GET", "projects/build/snapshots", None, "history", "build"),
    "snapshot": ("POST", "projects/build/snapshots", {}, "push", "build"),
    "publish": ("POST", "projects/build/events", node_update("n"), "push", "build"),
    "prompt": ("POST", "prompts", {"project_id": "build", "message": "?"}, "push", "build"),
    "execution": ("GET", "executions/e", None, "watch", "execution:e"),
    "claim": ("POST", "executions/e/claim", {}, "push", "execution:e"),
    "change": ("PATCH", "executions/e", {"progress": 1}, "push", "execution:e"),
}


@pytest.mark.parametrize("name", sorted(SURFACES))
async def test_a_route_asks_the_service_and_does_what_it_says(name: str) -> None:
    method, path, body, verb, project = SURFACES[name]
    async with hooked("subscribe", "publish") as (running, service), caller(running) as http:
        await running.publish("build", node_update("n"))
        await running.publish("execution:e", {"type": "state_transition", "data": {"to": "draft"}})
        answer = await http.request(method, f"{API}/{path}", json=body)
        assert answer.is_success, answer.text
        hook = "/publish" if verb == "push" else "/subscribe"
        assert service.asked == [(hook, {**BUILD, "verb": verb, "project_id": project})]


@pytest.mark.parametrize("path", ["project_id=build", "project_id=build&since=:0"])
@pytest.mark.parametrize("native", [True, False])
async def test_a_handshakes_subscription_asks(path: str, native: bool) -> None:
    async with hooked("subscribe") as (running, service):
        await running.publish("build", node_update("n"))
        query = f"{path}&token={token(subject='ada')}"
        async with running.socket(f"/ws/updates?{query}", native=native) as socket:
            while not service.asked:
                await trio.lowlevel.checkpoint()
            if native:
                assert (await heard(socket))["type"] == "welcome"
                assert (await heard(socket))["type"] == "subscribed"
            else:
                while "build" not in running.hub.index.named():
                    await trio.lowlevel.checkpoint()
            await running.publish("build", node_update("m"))
            while (said := await heard(socket))["data"]["node_id"] != "m":
                assert said["seq"] == 1
        assert service.asked == [("/subscribe", BUILD)]


async def test_a_stream_and_an_executions_stream_ask() -> None:
    async with hooked("subscribe") as (running, service), caller(running) as http:
        await running.publish("build", node_update("n"))
        await running.publish("execution:e", {"type": "state_transition", "data": {"to": "running"}})
        async with http.stream("GET", f"{API}/projects/build/stream") as answer:
            assert answer.status_code == 200
        path = f"{API}/ws/executions/e?token={token(subject='ada')}"
        async with running.socket(path, native=False) as socket:
            assert (await heard(socket))["execution_id"] == "e"
        assert [one["project_id"] for _, one in service.asked] == ["build", "execution:e"]


async def test_a_producer_asks_once_for_each_project_and_keeps_its_order() -> None:
    async with hooked("publish") as (running, service):
        service.answer = lambda path, asked: REFUSES if asked["project_id"] == "no" else allows()
        query = f"producer_id=p&commands=build&token={token(subject='ada')}"
        async with running.socket(f"/ws/orchestrator?{query}") as producer:
            for number, name in enumerate(("build", "no", "build", "other", "build")):
                event = {**node_update("n"), "project_id": name}
                await say(producer, {"type": "publish", "id": number, "events": [event]})
            said = [await heard(producer) for _ in range(5)]
        assert [(one["id"], one["type"]) for one in said] == [
            (0, "ack"),
            (1, "error"),
            (2, "ack"),
            (3, "ack"),
            (4, "ack"),
        ]
        assert [one["project_id"] for _, one in service.asked] == ["build", "no", "other"]


# --- ends -------------------------------------------------------------------------------------------


async def test_a_subscription_ends_when_the_services_answer_does_and_a_new_one_asks_again() -> None:
    async with hooked("subscribe", hook_cache=0.0) as (running, service):
        await running.publish("build", node_update("n"))
        start = running.hub.wall()
        running.hub.context.wall = lambda: start
        service.answer = lambda path, asked: allows(expires=start / 1_000_000 + 60)
        async with running.socket(f"/ws/updates?project_id=build&token={token()}") as socket:
            assert [(await heard(socket))["type"] for _ in range(2)] == ["welcome", "subscribed"]
            running.hub.context.wall = lambda: start + 61_000_000
            said = await heard(socket)
            assert said == {"type": "unsubscribed", "project_id": "build", "reason": "expired"}
            service.answer = lambda path, asked: allows()
            await say(socket, {"type": "subscribe", "project_id": "build"})
            assert (await heard(socket))["type"] == "subscribed"


# --- failures ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        (500, b'{"allow": true}'),
        (302, b'{"allow": true}'),
        (204, b""),
        (200, b""),
        (200, b"true"),
        (200, b'{"allow": 1}'),
        (200, b'{"allow": "true"}'),
        (200, b'{"ok": true}'),
        (200, b'{"allow": true, "expires": "soon"}'),
        (200, b'{"allow": true, "expires": true}'),
        (200, b'{"allow": true, "x": "' + b"y" * 70_000 + b'"}'),
    ],
)
async def test_another_answer_refuses_and_says_that_it_is_not_the_callers_fault(
    answer: tuple[int, bytes],
) -> None:
    async with hooked("subscribe", "publish", "connect") as (running, service), caller(running) as http:
        service.answer = lambda path, asked: answer
        await running.publish("build", node_update("n"))
        for method, path, body in (
            ("GET", "projects/build/state", None),
            ("POST", "projects/build/events", node_update("n")),
        ):
            refused = await http.request(method, f"{API}/{path}", json=body)
            assert (refused.status_code, refused.json()["code"]) == (503, "access_unavailable")
            assert refused.headers["Retry-After"] == "1"
        headers = {"Authorization": "Bearer of another kind"}
        assert (await http.get(f"{API}/projects", headers=headers)).status_code == 503


async def test_a_service_that_is_not_there_refuses() -> None:
    chosen = Auth(secret="s" * 32, hook_secret=KEY, subscribe_url="http://127.0.0.1:9/x")
    async with (
        open_hooks(chosen) as hooks,
        hub_with(small(auth=chosen), hooks) as running,
        caller(running) as http,
    ):
        assert (await http.get(f"{API}/projects/build/state")).status_code == 503


async def test_a_question_that_hangs_holds_up_its_own_caller_only() -> None:
    async with (
        hooked("subscribe", "publish", hook_timeout=30.0) as (running, service),
        caller(running, "ada") as ada,
        caller(running, "bob") as bob,
    ):
        service.hanging = {"ada"}
        await running.publish("build", node_update("n"))
        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(ada.get, f"{API}/projects/p{number}/state")
            while len(service.asked) < 4:
                await trio.lowlevel.checkpoint()
            assert (await bob.get(f"{API}/projects/build/state")).status_code == 200
            assert (await bob.post(f"{API}/projects/build/events", json=node_update("m"))).is_success
            query = f"project_id=build&token={token(subject='bob')}"
            async with running.socket(f"/ws/updates?{query}") as socket:
                assert [(await heard(socket))["type"] for _ in range(2)] == ["welcome", "subscribed"]
            nursery.cancel_scope.cancel()


# --- credentials ------------------------------------------------------------------------------------


async def test_the_service_tells_the_grants_of_a_credential_that_is_no_token_of_the_hubs() -> None:
    async with hooked("connect") as (running, service), running.http() as http:
        await running.publish("build", node_update("n"))
        service.answer = lambda path, asked: (
            allows(subject="ada", grants={"watch": ["build"]}) if asked["credential"] == "cookie" else REFUSES
        )
        headers = {"Authorization": "Bearer cookie"}
        for _ in range(2):
            assert (await http.get(f"{API}/projects/build/state", headers=headers)).status_code == 200
        assert (await http.get(f"{API}/projects/other/state", headers=headers)).status_code == 403
        assert (await http.get(f"{API}/users/ada/notifications", headers=headers)).status_code == 200
        assert (await http.get(f"{API}/projects/build/state?token=other")).status_code == 401
        assert (await http.get(f"{API}/projects/build/state")).status_code == 401
        assert service.asked == [
            ("/connect", {"credential": "cookie"}),
            ("/connect", {"credential": "other"}),
        ]
        own = {"Authorization": f"Bearer {token(watch=['build'])}"}
        assert (await http.get(f"{API}/projects/build/state", headers=own)).status_code == 200
        assert len(service.asked) == 2


async def test_without_a_key_of_its_own_the_hub_asks_about_every_credential() -> None:
    async with hooked("connect", secret="") as (running, service), running.http() as http:
        service.answer = lambda path, asked: REFUSES
        forged = {"Authorization": f"Bearer {token(watch=['*'])}"}
        assert (await http.get(f"{API}/projects", headers=forged)).status_code == 401
        assert (await http.get(f"{API}/projects")).status_code == 401
        assert service.paths() == ["/connect"]


async def test_a_connection_ends_when_its_credential_does() -> None:
    async with hooked("connect") as (running, service):
        start = running.hub.wall()
        running.hub.context.wall = lambda: start
        service.answer = lambda path, asked: allows(expires=start / 1_000_000 + 60, grants={"watch": ["*"]})
        async with running.socket("/ws/updates?token=cookie") as socket:
            assert (await heard(socket))["type"] == "welcome"
            running.hub.context.wall = lambda: start + 61_000_000
            with trio.fail_after(30):
                while socket.closed is None:
                    await trio.lowlevel.checkpoint()
            assert socket.closed.code == 4003


async def test_a_service_that_fails_closes_a_handshake_with_1013() -> None:
    async with hooked("connect") as (running, service):
        service.answer = lambda path, asked: (500, b"")
        for path in ("/ws/updates", "/ws/orchestrator"):
            async with running.socket(f"{path}?token=cookie") as socket:
                with trio.fail_after(30):
                    while socket.closed is None:
                        await trio.lowlevel.checkpoint()
                assert socket.closed.code == 1013


# --- embedded ----------------------------------------------------------------------------------------


async def test_an_embedding_program_decides_by_callables() -> None:
    asked: list[Question] = []

    async def decide(question: Question) -> Verdict:
        asked.append(question)
        return Verdict(question.project_id == "mine")

    async def connect(credential: str) -> Grants | None:
        return Grants(credential, watch=Scope(("seen",))) if credential == "ada" else None

    hooks = Hooks(connect=connect, subscribe=decide, publish=decide)
    async with hub_with(small(auth=Auth(required=True)), hooks) as running, running.http() as http:
        headers = {"Authorization": "Bearer ada"}
        assert (await http.get(f"{API}/projects/seen/state", headers=headers)).status_code == 404
        assert (await http.get(f"{API}/projects/mine/state", headers=headers)).status_code == 404
        assert (await http.get(f"{API}/projects/other/state", headers=headers)).status_code == 403
        event = node_update("n")
        assert (await http.post(f"{API}/projects/mine/events", json=event, headers=headers)).is_success
        assert (await http.get(f"{API}/projects", headers={"Authorization": "Bearer bob"})).status_code == 401
        assert [(one.verb, one.project_id, one.subject) for one in asked] == [
            (Verb.WATCH, "mine", "ada"),
            (Verb.WATCH, "other", "ada"),
            (Verb.PUSH, "mine", "ada"),
        ]


@pytest.mark.parametrize(("keep", "status"), [(0.0, 200), (60.0, 401)])
async def test_after_a_revocation_the_service_decides_anew_and_what_it_said_before_is_void(
    keep: float, status: int
) -> None:
    async def connect(credential: str) -> Grants | None:
        return Grants(credential)

    hooks = Hooks(connect=connect, keep=keep)
    async with hub_with(small(auth=Auth(required=True)), hooks) as running, running.http() as http:
        headers = {"Authorization": "Bearer ada"}
        assert (await http.get(f"{API}/projects", headers=headers)).status_code == 200
        await running.hub.administration.revoke_user(Grants("root", admin=True), "ada")
        assert (await http.get(f"{API}/projects", headers=headers)).status_code == status


async def test_a_callable_that_verifies_credentials_needs_the_setting_that_demands_them() -> None:
    async def connect(credential: str) -> Grants | None:
        return None

    settings = small()
    async with open_hub(MemoryBroker(), settings, access=Hooks(connect=connect)) as hub:
        with pytest.raises(SettingsError, match=r"auth\.required"):
            create_app(settings, hub)


@pytest.mark.parametrize("name", ["connect_url", "subscribe_url", "publish_url"])
def test_a_url_needs_the_secret_that_signs(name: str) -> None:
    given: dict[str, Any] = {name: "https://team.example/hook"}
    with pytest.raises(UnfitSetting, match=r"auth\.hook_secret"):
        Auth(**given)


@given(
    st.binary(max_size=200)
    | st.from_regex(rb'\{"allow": ?(true|1|null)(, ?"(expires|grants|subject)": ?.{0,9})?\}')
)
def test_any_answer_is_read_or_is_a_failure(body: bytes) -> None:
    for read in (read_verdict, read_connection):
        with suppress(HookFailure):
            read(body)
