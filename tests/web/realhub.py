"""A whole hub behind a real server on a free port, for tests that look at it from outside."""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import jwt
import trio
from attrs import frozen
from jsonschema import Draft202012Validator
from quart_trio import QuartTrio
from referencing import Registry
from referencing.jsonschema import DRAFT202012
from trio_websocket import WebSocketConnection, wrap_client_stream

from tasktree_rt.brokers.base import Broker
from tasktree_rt.brokers.memory import MemoryBroker
from tasktree_rt.composition.compose import foreign_systems
from tasktree_rt.core.events import Json, parse_event
from tasktree_rt.hub.hub import Hub, open_hub
from tasktree_rt.metrics import Metrics
from tasktree_rt.settings import Auth, Settings
from tasktree_rt.web.app import create_app
from tasktree_rt.web.server.server import serve
from tests.web.serving import small

STATIC: Final = Path(__file__).parents[2] / "tasktree_rt" / "web" / "static"
SECRET: Final = "s" * 32
TOMORROW: Final = int(time.time()) + 86_400
"""When the tokens of the tests expire, in Unix time."""
SUBPROTOCOL: Final = "tasktree.v1"


def document(name: str) -> Json:
    """One of the package's two documents."""
    found: Json = json.loads((STATIC / name).read_text(encoding="utf-8"))
    return found


def token(*, subject: str | None = "ada", expires: float = TOMORROW, **allowed: Any) -> str:
    """A token of the hub that `auth` makes."""
    return signed({"exp": expires, "tasktree": allowed} | ({} if subject is None else {"sub": subject}))


def signed(claims: Json) -> str:
    """A token with these claims, valid until `TOMORROW` unless they name another end."""
    return jwt.encode({"exp": TOMORROW, **claims}, SECRET, "HS256")


def auth() -> Auth:
    """Settings of a hub that asks for tokens."""
    return Auth(secret=SECRET)


def node_update(node_id: str, **changes: Any) -> Json:
    """An event as a producer sends it, without its project."""
    return {"type": "node_update", "data": {"node_id": node_id, "changes": changes}}


@frozen
class RealHub:
    """A hub that takes connections at `url`."""

    url: str
    hub: Hub
    app: QuartTrio
    settings: Settings
    stop: trio.Event

    def http(self, **options: Any) -> httpx.AsyncClient:
        """A client with the hub's address."""
        return httpx.AsyncClient(base_url=self.url, timeout=30.0, **options)

    async def publish(self, project: str, *events: Json) -> None:
        """Publish from within."""
        now = self.hub.timestamp()
        parsed = [parse_event({"project_id": project, **one}, now=now) for one in events]
        await self.hub.publish(parsed)

    @asynccontextmanager
    async def socket(self, path: str, *, native: bool = True) -> AsyncIterator[WebSocketConnection]:
        """A WebSocket."""
        host, _, port = self.url.removeprefix("http://").partition(":")
        stream = await trio.open_tcp_stream(host, int(port))
        # trio-websocket leaves the stream open where the server closes first.
        async with stream, trio.open_nursery() as nursery:
            protocols = [SUBPROTOCOL] if native else None
            socket = await wrap_client_stream(
                nursery, stream, f"{host}:{port}", path, subprotocols=protocols, max_message_size=1 << 24
            )
            yield socket
            with trio.move_on_after(5):
                await socket.aclose()
            nursery.cancel_scope.cancel()


async def heard(socket: WebSocketConnection) -> Json:
    """The next message."""
    with trio.fail_after(30):
        found: Json = json.loads(await socket.get_message())
    return found


async def say(socket: WebSocketConnection, message: Json) -> None:
    """Send one message."""
    await socket.send_message(json.dumps(message))


@asynccontextmanager
async def real_hub(
    broker: Broker | None = None, *, built: Path | None = None, manual: Path | None = None, **settings: Any
) -> AsyncIterator[RealHub]:
    """Run one; `settings` as of `serving.small`, `built` and `manual` as of `create_app`."""
    chosen = small(**settings)
    metrics, stop = Metrics(), trio.Event()
    async with open_hub(broker or MemoryBroker(), chosen, meter=metrics) as hub:
        app = create_app(chosen, hub, metrics, built=built, manual=manual, compat=foreign_systems())

        async def run(task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED) -> None:
            await serve(app, hub, chosen, shutdown=stop.wait, meter=metrics, task_status=task_status)

        async with trio.open_nursery() as nursery:
            urls = await nursery.start(run)
            yield RealHub(urls[0], hub, app, chosen, stop)
            nursery.cancel_scope.cancel()


def references(value: object) -> list[str]:
    """Every `$ref` anywhere in a document."""
    if isinstance(value, list):
        return [found for one in value for found in references(one)]
    if not isinstance(value, dict):
        return []
    inner = [found for one in value.values() for found in references(one)]
    return [*inner, value["$ref"]] if isinstance(value.get("$ref"), str) else inner


def resolve(doc: Json, value: Any) -> Any:
    """What a value stands for, through any `$ref`. Raises KeyError where it leads nowhere."""
    while isinstance(value, dict) and "$ref" in value:
        target: Any = doc
        for name in re.sub("^#/", "", value["$ref"]).split("/"):
            target = target[name.replace("~1", "/").replace("~0", "~")]
        value = target
    return value


class Schemas:
    """The JSON Schemas of a document, which refer to each other."""

    def __init__(self, doc: Json) -> None:
        self._registry: Registry[Any] = Registry().with_resource("urn:doc", DRAFT202012.create_resource(doc))

    def faults(self, schema: Json, value: object) -> list[str]:
        """What is wrong with a value by one of them."""
        validator = Draft202012Validator(_absolute(schema), registry=self._registry)
        return [f"{'/'.join(map(str, one.path))}: {one.message}" for one in validator.iter_errors(value)]


def _absolute(value: Any) -> Any:
    if isinstance(value, list):
        return [_absolute(one) for one in value]
    if isinstance(value, dict):
        return {key: f"urn:doc{one}" if key == "$ref" else _absolute(one) for key, one in value.items()}
    return value
