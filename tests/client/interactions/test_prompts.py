"""Questions: one prompt whatever is lost, and taken back when nobody waits for it any more."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import trio
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.client import (
    Answer,
    Backoff,
    ConnectionLost,
    Publisher,
    RequestRefused,
    open_api_client,
    open_orchestrator,
    open_run,
)
from tasktree_rt.client.interactions.prompts import ask_steps, make_question, read_answer
from tasktree_rt.client.transport.backoff import Retry
from tasktree_rt.client.transport.http_retry import Conversation, Pause, Request
from tests.cli.processes import PATIENCE
from tests.client.fakehub import Json
from tests.client.watching import prompted
from tests.web.realhub import RealHub, auth, real_hub, token

AT_ONCE = Backoff(base=0.0, cap=0.0)
SOON = Backoff(base=0.01, cap=0.05)


# --- the conversation, with every loss there is -----------------------------------------------------


@define
class Desk:
    """A hub that keeps prompts, and loses requests and answers as it is told."""

    fates: list[str]
    asked: dict[str, bytes] = field(factory=dict)
    looks: int = 0
    settled_at: int = 3

    def take(self, request: Request) -> httpx.Response | httpx.HTTPError:
        fate = self.fates.pop(0) if self.fates else "well"
        if fate == "unreached":
            return httpx.ConnectError("refused")
        if fate == "busy":
            return httpx.Response(503, json={"code": "draining"}, headers={"Retry-After": "1"})
        if fate == "forgotten":
            self.asked.clear()
        answer = self.answer(request)
        return httpx.ReadError("broken off") if fate == "lost" else answer

    def answer(self, request: Request) -> httpx.Response:
        if request.method == "POST":
            assert request.body is not None
            name = json.loads(request.body)["prompt_id"]
            known = name in self.asked
            assert self.asked.setdefault(name, request.body) == request.body
            return httpx.Response(200 if known else 201, json={"prompt_id": name})
        self.looks += 1
        if not self.asked:
            return httpx.Response(404, json={"code": "not_found", "detail": "no such prompt"})
        done = {"outcome": {"proceed": True, "value": 1}} if self.looks >= self.settled_at else {}
        return httpx.Response(200, json={"prompt_id": "x", **done})


def converse(desk: Desk, patience: float = 1e9) -> tuple[Answer, float]:
    """The answer, and how long was paused."""
    passed = 0.0
    steps = ask_steps(
        make_question("Deploy?", project_id="p"),
        Conversation(Retry(Backoff(), lambda: 1.0), patience, lambda: passed),
    )
    came: Any = None
    try:
        while True:
            step = steps.send(came)
            came = None
            if isinstance(step, Pause):
                passed += step.seconds
            else:
                came = desk.take(step)
    except StopIteration as end:
        return end.value, passed


@given(st.lists(st.sampled_from(["well", "lost", "unreached", "busy", "forgotten"]), max_size=12))
def test_whatever_is_lost_there_is_one_prompt_and_its_answer(fates: list[str]) -> None:
    desk = Desk(fates)
    answer, _ = converse(desk)
    assert answer == Answer(True, 1)
    assert len(desk.asked) == 1


def test_a_hub_that_stays_away_is_given_up() -> None:
    with pytest.raises(ConnectionLost, match="gave up after 5 s"):
        converse(Desk(["unreached"] * 1000), patience=5.0)


def test_a_refusal_for_now_is_waited_for_as_long_as_it_says() -> None:
    _, passed = converse(Desk(["busy"]))
    assert passed == pytest.approx(1.0 + 0.25)


def test_who_may_ask_but_not_look_asks_again_without_haste() -> None:
    class Blind(Desk):
        def answer(self, request: Request) -> httpx.Response:
            if request.method == "GET":
                return httpx.Response(404, json={"code": "not_found"})
            self.looks += 1
            found = super().answer(request)
            done = {"outcome": {"proceed": False, "how": "timeout"}} if self.looks > 4 else {}
            return httpx.Response(found.status_code, json={**found.json(), **done})

    answer, passed = converse(Blind([]))
    assert (answer.proceed, answer.how, passed) == (False, "timeout", 6.0)


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        (["a", "b"], [{"id": "a"}, {"id": "b"}]),
        ({"a": "Now"}, [{"id": "a", "label": "Now"}]),
        ([{"id": "a", "label": "A"}], [{"id": "a", "label": "A"}]),
    ],
)
def test_options_may_be_given_in_several_ways(options: Any, sent: list[Json]) -> None:
    assert json.loads(make_question("?", project_id="p", options=options).body)["options"] == sent


def test_what_cannot_be_asked_is_refused_at_once() -> None:
    with pytest.raises(RequestRefused, match="a project or a user"):
        make_question("?")
    with pytest.raises(RequestRefused, match="JSON"):
        make_question("?", project_id="p", default={"proceed": True, "value": object()})
    with pytest.raises(RequestRefused, match="not a hub"):
        read_answer({"proceed": "yes"})


def test_an_answer_is_a_condition() -> None:
    assert Answer(True)
    assert not Answer(False, value=1)


# --- against a hub --------------------------------------------------------------------------------


Ask = Callable[[RealHub], Any]


async def by_desk(running: RealHub) -> Answer:
    async with open_api_client(running.url) as desk:
        return await desk.ask("Deploy?", project_id="p", options=["now", "never"])


async def by_orchestrator(running: RealHub) -> Answer:
    async with open_orchestrator(running.url, "o") as orchestrator:
        return await orchestrator.ask("Deploy?", project_id="p", options=["now", "never"])


async def by_run(running: RealHub) -> Answer:
    async with open_run(running.url, "p") as run:
        return await run.ask("Deploy?", options=["now", "never"])


async def by_publisher(running: RealHub) -> Answer:
    def ask() -> Answer:
        with Publisher(running.url, "o") as publisher:
            return publisher.ask("Deploy?", project_id="p", options=["now", "never"])

    return await trio.to_thread.run_sync(ask)


@pytest.mark.parametrize("ask", [by_desk, by_orchestrator, by_run, by_publisher])
async def test_a_question_is_answered(ask: Ask) -> None:
    answers: list[Answer] = []
    async with real_hub() as running, trio.open_nursery() as nursery:

        async def wait() -> None:
            answers.append(await ask(running))

        nursery.start_soon(wait)
        prompt = await prompted(running.url)
        async with open_api_client(running.url) as desk:
            with pytest.raises(RequestRefused) as wrong:
                await desk.answer(prompt["prompt_id"], True, value="later")
            assert (wrong.value.code, wrong.value.field) == ("invalid_message", "value")
            given = await desk.answer(prompt["prompt_id"], True, value="now", feedback="go")
            with pytest.raises(RequestRefused) as late:
                await desk.answer(prompt["prompt_id"], False)
            assert late.value.code == "prompt_closed"
            assert late.value.outcome is not None
            assert late.value.outcome["value"] == "now"
    assert answers == [given] == [Answer(True, "now", "go", None, "answered")]


async def test_the_default_holds_at_the_deadline() -> None:
    async with real_hub() as running, open_api_client(running.url) as desk:
        answer = await desk.ask("Deploy?", user_id="anna", timeout=0.05, default=True)
        assert answer == Answer(True, how="timeout")
        [settled] = await desk.prompts(user_id="anna", status="settled")
        assert settled["status"] == "timeout"


@pytest.mark.parametrize("ask", [by_desk, by_orchestrator])
async def test_cancelling_takes_the_question_back(ask: Ask) -> None:
    async with real_hub() as running:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, running)
            prompt = await prompted(running.url)
            nursery.cancel_scope.cancel()
        async with open_api_client(running.url) as desk:
            found = await desk.prompt(prompt["prompt_id"])
    assert (found["status"], found["outcome"]["how"]) == ("cancelled", "cancelled")


async def test_the_same_prompt_id_finds_the_same_question_again() -> None:
    async with real_hub() as running, open_api_client(running.url) as desk:
        first = await desk.ask("Deploy?", project_id="p", prompt_id="once", timeout=0.01)
        assert await desk.ask("Deploy?", project_id="p", prompt_id="once", timeout=0.01) == first
        with pytest.raises(RequestRefused) as other:
            await desk.ask("Something else?", project_id="p", prompt_id="once", timeout=0.01)
        assert len(await desk.prompts()) == 1
    assert other.value.code in ("idempotency_conflict", "prompt_closed")


async def test_who_may_only_push_is_answered_too() -> None:
    async with real_hub(auth=auth()) as running:
        pusher, watcher = token(push=["p"]), token(watch=["p"], answer=["p"])
        async with open_api_client(running.url, token=pusher) as desk, trio.open_nursery() as nursery:
            answers: list[Answer] = []

            async def ask() -> None:
                answers.append(await desk.ask("?", project_id="p", prompt_id="x"))

            nursery.start_soon(ask)
            await prompted(running.url, token=watcher)
            async with open_api_client(running.url, token=watcher) as other:
                await other.answer("x", True)
        assert answers[0].by == "ada"


async def test_who_may_not_ask_is_told_so() -> None:
    async with (
        real_hub(auth=auth()) as running,
        open_api_client(running.url, token=token(watch=["*"])) as desk,
    ):
        with pytest.raises(RequestRefused) as refused:
            await desk.ask("?", project_id="p")
    assert refused.value.code == "forbidden"


# --- what must not be done twice --------------------------------------------------------------------


@define
class Losing:
    """Does what it is asked, and loses the first answer."""

    outcome: Json
    tries: int = 0

    async def handle(self, request: httpx.Request) -> httpx.Response:
        self.tries += 1
        if self.tries == 1:
            raise httpx.ReadError("broken off")
        return httpx.Response(409, json={"code": "prompt_closed", "outcome": self.outcome})


@pytest.mark.parametrize(("value", "ours"), [(None, True), ("other", False)])
async def test_an_answer_whose_reply_was_lost_is_known_again(
    value: str | None, ours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    losing = Losing({"proceed": True, "how": "answered", "by": "ada"} | ({"value": value} if value else {}))
    client = httpx.AsyncClient(transport=httpx.MockTransport(losing.handle))
    monkeypatch.setattr(httpx, "AsyncClient", lambda **_: client)
    async with open_api_client("http://hub", backoff=AT_ONCE) as desk:
        if ours:
            assert (await desk.answer("x", True)).by == "ada"
        else:
            with pytest.raises(RequestRefused, match="prompt_closed"):
                await desk.answer("x", True)


async def test_a_command_or_a_notification_whose_reply_was_lost_is_not_sent_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    losing = Losing({})
    client = httpx.AsyncClient(transport=httpx.MockTransport(losing.handle))
    monkeypatch.setattr(httpx, "AsyncClient", lambda **_: client)
    async with open_api_client("http://hub", backoff=AT_ONCE) as desk:
        with pytest.raises(ConnectionLost, match="may be done"):
            await desk.command("p", "cancel")
        losing.tries = 0
        with pytest.raises(ConnectionLost, match="may be done"):
            await desk.notify("anna", "hello")
    assert losing.tries == 1


async def test_notifications_are_read() -> None:
    async with real_hub() as running, open_api_client(running.url) as desk:
        await desk.notify("anna", "one", level="info", data={"n": 1})
        at = await desk.notify("anna", "two")
        page = await desk.notifications("anna", limit=1)
        assert (page.events[0]["data"]["title"], page.read) == ("one", 0)
        rest = await desk.notifications("anna", since=page.next)
        assert [one["data"]["title"] for one in rest.events] == ["two"]
        assert await desk.mark_read("anna", at.seq) == 2
        assert (await desk.notifications("anna")).read == 2


async def test_prompts_of_one_id_are_told_apart_by_their_project_or_user() -> None:
    async with real_hub() as running, open_api_client(running.url) as desk:
        places: dict[str, dict[str, Any]] = {
            "p": {"project_id": "p"},
            "q": {"project_id": "q"},
            "bob": {"user_id": "bob"},
        }
        answers: dict[str, Answer] = {}

        async def ask(name: str) -> None:
            answers[name] = await desk.ask(f"for {name}", prompt_id="deploy", **places[name])

        async with trio.open_nursery() as nursery:
            for name in places:
                nursery.start_soon(ask, name)
            with trio.fail_after(PATIENCE):
                while len(await desk.open_prompts()) < len(places):
                    await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(RequestRefused) as refused:
                await desk.answer("deploy", True)
            assert refused.value.code == "ambiguous"
            for name, place in places.items():
                assert (await desk.prompt("deploy", **place))["message"] == f"for {name}"
            await desk.answer("deploy", True, value="x", **places["p"])
            await desk.cancel_prompt("deploy", **places["q"])
            await desk.answer("deploy", False, **places["bob"])
        found = {name: (one.proceed, one.value, one.how) for name, one in answers.items()}
        assert found == {
            "p": (True, "x", "answered"),
            "q": (False, None, "cancelled"),
            "bob": (False, None, "answered"),
        }
