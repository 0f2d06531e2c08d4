"""Opens the publisher that fits a plan."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

from msgspec.json import encode

from tasktree_rt.core.events import Json
from tasktree_rt.load.foreign_publishers import command_publisher, http_publisher, socket_publisher
from tasktree_rt.load.http import api
from tasktree_rt.load.languages.aiecs import shout
from tasktree_rt.load.languages.autogpt import node_event, user_of
from tasktree_rt.load.languages.execution import status_event
from tasktree_rt.load.layout import project_names
from tasktree_rt.load.plan import Plan
from tasktree_rt.load.publishing import Acknowledged, Publisher, hub_publisher, prime
from tasktree_rt.load.target import Target, split
from tasktree_rt.load.workload import Workload

_SOCKETS: Final = {"http": "ws", "https": "wss"}


@asynccontextmanager
async def open_publisher(
    plan: Plan, target: Target, run: str, noted: Acknowledged
) -> AsyncIterator[Publisher]:
    """Open a publisher; afterwards every topic exists, and `noted` has its head.

    Raises:
        ClientError: the server refuses the first events.
    """
    opening: AbstractAsyncContextManager[Publisher]
    match plan.only:
        case "execution":
            opening = _executions(plan, target, run, noted)
        case "autogpt" | "aiecs":
            opening = _posted(plan, target, run, noted)
        case "broadcast":
            opening = _written(plan, target, noted)
        case _:
            opening = _projects(plan, target, run, noted)
    async with opening as publisher:
        yield publisher


@asynccontextmanager
async def _projects(plan: Plan, target: Target, run: str, noted: Acknowledged) -> AsyncIterator[Publisher]:
    workload, names = Workload(plan.nodes, plan.size), project_names(plan, run)

    def event(topic: int, number: int, due: int) -> Json:
        return workload.event(names[topic], number, due)

    async with hub_publisher(target, event, noted, epochs=True, producer=f"load-{run}") as publisher:
        await prime(publisher, noted.heads)
        yield publisher


@asynccontextmanager
async def _executions(plan: Plan, target: Target, run: str, noted: Acknowledged) -> AsyncIterator[Publisher]:
    names = project_names(plan, run)

    def event(topic: int, number: int, due: int) -> Json:
        return status_event(names[topic], number, due, plan.size)

    async with hub_publisher(target, event, noted, epochs=False, producer=f"load-{run}") as publisher:
        await prime(publisher, noted.heads)
        yield publisher


def _posted(
    plan: Plan, target: Target, run: str, noted: Acknowledged
) -> AbstractAsyncContextManager[Publisher]:
    names, user = project_names(plan, run), user_of(target.token(0))
    noted.begin_at_zero()

    def event(topic: int, number: int, due: int) -> tuple[str, bytes]:
        if plan.only == "aiecs":
            return api(target, "/aiecs/broadcast"), encode(shout(number, due, plan.size))
        body = node_event(user, names[topic], number, due, plan.size)
        return api(target, "/autogpt/events"), encode(body)

    return http_publisher(target, event, noted)


def _written(plan: Plan, target: Target, noted: Acknowledged) -> AbstractAsyncContextManager[Publisher]:
    noted.begin_at_zero()

    def text(number: int, due: int) -> str:
        bare = plan.message.replace("{n}", str(number)).replace("{t}", str(due))
        return bare.replace("{pad}", "x" * max(0, plan.size - len(bare)))

    def request(topic: int, number: int, due: int) -> tuple[str, bytes]:
        return plan.publish_url, text(number, due).encode()

    if plan.publish_command:
        return command_publisher(plan.publish_command, text, noted)
    url = plan.publish_url or target.url
    if split(url, "publish_url").scheme in ("http", "https") and plan.publish_url:
        return http_publisher(target, request, noted)
    scheme, _, rest = url.partition(":")
    return socket_publisher(target, f"{_SOCKETS.get(scheme, scheme)}:{rest}", text, noted)
