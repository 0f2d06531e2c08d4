"""Foreign systems as the composition root hands them in: routes, and addresses with a fixed path."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
import trio
from quart import Blueprint, Response
from trio_websocket import ConnectionRejected

from tasktree_rt.brokers.memory import MemoryBroker
from tasktree_rt.composition.compose import foreign_systems
from tasktree_rt.core.access import OPEN
from tasktree_rt.core.protocol import Policy, Subscribe
from tasktree_rt.dialects.tasktree import Plain
from tasktree_rt.hub.hub import Hub, open_hub
from tasktree_rt.hub.sessions.watcher import PlainSession
from tasktree_rt.settings import Settings
from tasktree_rt.web.app import create_app
from tasktree_rt.web.foreign_routes import ForeignSystem
from tasktree_rt.web.response import reply
from tasktree_rt.web.server.listeners import FixedPath
from tasktree_rt.web.server.server import serve
from tasktree_rt.web.socket_blueprint import Answer, SocketBlueprint
from tasktree_rt.web.socket_request import SocketRequest
from tasktree_rt.web.sockets import accept_session
from tests.web.realhub import RealHub
from tests.web.serving import small


class Shouting:
    """A foreign system with a WebSocket, a route, and an address of its own."""

    def addresses(self, settings: Settings) -> Sequence[FixedPath]:
        return [FixedPath("127.0.0.1:0", "/ws/shouting")]

    def routes(self, hub: Hub, settings: Settings) -> Sequence[Blueprint]:
        sockets = SocketBlueprint("shouting_sockets", settings)
        routes = Blueprint("shouting", __name__, url_prefix="/shouting")

        async def listen(asked: SocketRequest) -> Answer:
            wish = (Subscribe("loud"),)
            session = PlainSession(hub, Plain(), wish, grants=OPEN, policy=Policy.DISCONNECT)
            await accept_session(asked, hub, session)
            return None

        sockets.add("/ws/shouting", "listen", listen)

        @routes.get("/")
        async def how() -> Response:
            return reply({"volume": 11})

        return [sockets.blueprint, routes]


@asynccontextmanager
async def serving(*systems: ForeignSystem) -> AsyncIterator[list[RealHub]]:
    """An app with these systems; a `RealHub` for each address."""
    settings, stop = small(), trio.Event()
    async with open_hub(MemoryBroker(), settings) as hub, trio.open_nursery() as nursery:
        app = create_app(settings, hub, compat=systems)

        async def run(task_status: trio.TaskStatus[list[str]]) -> None:
            await serve(app, hub, settings, shutdown=stop.wait, task_status=task_status)

        yield [RealHub(url, hub, app, settings, stop) for url in await nursery.start(run)]
        nursery.cancel_scope.cancel()


async def test_a_foreign_system_gets_its_routes_and_an_address_that_serves_its_socket_at_any_path() -> None:
    async with serving(Shouting()) as (main, own):
        async with main.http() as http:
            assert (await http.get("/shouting/")).json() == {"volume": 11}
        for at, path in ((main, "/ws/shouting"), (own, "/"), (own, "/anything"), (own, "/ws/updates")):
            async with at.socket(path, native=False) as socket:
                await main.hub.broadcast_to_project(
                    "loud", {"type": "project_update", "data": {"changes": {}}}
                )
                with trio.fail_after(30):
                    assert "loud" in await socket.get_message()


async def test_without_foreign_systems_an_app_serves_the_hubs_own_languages_only() -> None:
    async with serving() as (running,):
        for path in ("/ws/aiecs", "/ws"):
            with pytest.RaisesGroup(ConnectionRejected, flatten_subgroups=True):
                async with running.socket(path, native=False):
                    pass
        async with running.socket("/ws/updates"):
            pass


async def test_the_foreign_systems_of_the_command_are_served_beside_each_other() -> None:
    async with serving(*foreign_systems()) as (running,):
        for path in ("/ws/aiecs", "/ws", "/ws/updates"):
            async with running.socket(path, native=False):
                pass
