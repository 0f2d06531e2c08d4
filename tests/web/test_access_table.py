"""Every route, asked by callers with one grant each: who is answered, and what a refused caller learns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx
import pytest
import trio

from tasktree_rt.brokers.memory import MemoryBroker
from tasktree_rt.composition.compose import foreign_systems
from tasktree_rt.hub.hub import open_hub
from tasktree_rt.metrics import Metrics
from tasktree_rt.web.app import create_app
from tasktree_rt.web.auth.authenticator import Admission, put_authenticator
from tests.web.access_table import ABSENT, CALLERS, EXECUTION, PROJECT, ROUTES, SOCKETS, Known, Route, prepare
from tests.web.realhub import RealHub, auth, real_hub
from tests.web.serving import small

HTTP: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
LOOKS: Final = ("get", "load", "find", "hold", "page")
REAL: Final = sorted(name for name, route in ROUTES.items() if not route.opened_by & {"open", "any"})


async def test_every_route_of_the_app_has_its_row() -> None:
    settings = small(auth=auth(), docs=True, metrics=True)
    async with open_hub(MemoryBroker(), settings) as hub:
        app = create_app(settings, hub, Metrics(), compat=foreign_systems())
        rules = list(app.url_map.iter_rules())
    http = {
        f"{method} {rule.rule}" for rule in rules if not rule.websocket for method in rule.methods or set()
    }
    assert {one for one in http if one.split()[0] in HTTP} == {name.split("?")[0] for name in ROUTES}
    assert {rule.rule for rule in rules if rule.websocket} == SOCKETS


@contextmanager
def no_look(running: RealHub) -> Iterator[None]:
    """Fail if anything looks for a project meanwhile."""
    cache: Any = running.hub.cache
    seen: list[str] = []

    def spied(name: str) -> Any:
        real = getattr(cache, name)

        def look(*given: Any) -> Any:
            seen.append(f"{name}{given}")
            return real(*given)

        return look

    for name in LOOKS:
        setattr(cache, name, spied(name))
    try:
        yield
    finally:
        for name in LOOKS:
            delattr(cache, name)
    assert not seen, "a refused caller's request looked for the project"


async def status_of(http: httpx.AsyncClient, name: str, route: Route, place: dict[str, str], by: str) -> Any:
    """The status and, unless it streams, the body of a request."""
    method, rule = name.split("?", maxsplit=1)[0].split()
    path = re.sub(r"<(?:path:)?(\w+)>", lambda found: place[found[1]], rule) + route.query
    headers = {"Authorization": f"Bearer {by}"} if by else {}
    body = route.body
    if body is not None and "project_id" in body:
        body = {**body, "project_id": place["project"]}
    with trio.fail_after(30):
        async with http.stream(method, path, headers=headers, json=body) as answer:
            if "event-stream" in answer.headers["Content-Type"]:
                return answer.status_code, ""
            return answer.status_code, (await answer.aread()).decode()


def places(project: str, prompt: str, snapshot: str) -> dict[str, str]:
    return {
        "project": project,
        "execution": project,
        "prompt_id": prompt,
        "snapshot_id": snapshot,
        "key": "unknown",
        "user": "ada",
    }


def expected(route: Route, caller: str) -> int | None:
    """The status of the refusal; None if the caller is not refused."""
    if caller in route.opened_by:
        return None
    return 404 if route.hidden and caller not in route.seen_by else 403


@pytest.mark.parametrize("name", REAL)
async def test_a_route_answers_whom_its_row_names_and_refuses_all_others(name: str) -> None:
    route = ROUTES[name]
    async with real_hub(auth=auth(), metrics=True) as running, running.http() as http:
        put_authenticator(running.app, Admission(Known(), running.hub.administration))
        snapshot = await prepare(running, "q0")
        for caller in CALLERS.keys() - route.opened_by:
            here = places(PROJECT, "q0", snapshot)
            if route.hidden or not route.named:
                status, text = await status_of(http, name, route, here, caller)
            else:
                with no_look(running):
                    status, text = await status_of(http, name, route, here, caller)
                absent = await status_of(http, name, route, places(ABSENT, "none", snapshot), caller)
                assert absent == (status, text.replace(PROJECT, ABSENT)), caller
            assert status == expected(route, caller), (caller, text)
            if status == 404:
                absent = await status_of(http, name, route, places(PROJECT, "none", snapshot), caller)
                assert absent == (404, text.replace("q0", "none")), caller
        for number, caller in enumerate(sorted(route.opened_by), 1):
            snapshot = await prepare(running, f"q{number}")
            status, text = await status_of(http, name, route, places(PROJECT, f"q{number}", snapshot), caller)
            assert status not in (401, 403), (caller, text)
            assert status != 404 or not route.hidden, (caller, text)


@pytest.mark.parametrize("name", sorted(ROUTES))
async def test_a_route_without_a_credential_answers_401_unless_its_row_is_open(name: str) -> None:
    route = ROUTES[name]
    async with real_hub(auth=auth(), metrics=True) as running, running.http() as http:
        put_authenticator(running.app, Admission(Known(), running.hub.administration))
        status, _ = await status_of(
            http, name, route, {**places(PROJECT, "q", "s"), "name": "tv", "place": "x", "series_id": "x"}, ""
        )
        assert (status == 401) == ("open" not in route.opened_by)


@pytest.mark.parametrize("caller", sorted(CALLERS))
async def test_lists_hold_only_what_the_caller_may_see(caller: str) -> None:
    async with real_hub(auth=auth()) as running, running.http() as http:
        put_authenticator(running.app, Admission(Known(), running.hub.administration))
        await prepare(running, "q0")
        headers = {"Authorization": f"Bearer {caller}"}

        async def listed(path: str, field: str) -> list[str]:
            found = (await http.get(f"/api/v1/{path}", headers=headers)).json()
            return [one[field] for one in found[path]]

        watches = caller == "watch"
        assert await listed("projects", "project_id") == ([EXECUTION, PROJECT] if watches else [])
        assert await listed("executions", "id") == ([PROJECT] if watches else [])
        sees = caller in ("watch", "push", "push*", "answer")
        assert await listed("prompts", "prompt_id") == (["q0"] if sees else [])
