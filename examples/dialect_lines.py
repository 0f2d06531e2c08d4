"""A dialect of your own: a project as lines of text, for a terminal.  python dialect_lines.py [HOST:PORT]

    websocat ws://127.0.0.1:8000/ws/lines
    watch build-7
    = compile running 40 %
    node_update compile running
    log compile: 12 files

docs/dialects.md explains it step by step.
"""

import sys
from collections.abc import Iterator, Sequence
from functools import partial

import trio
from quart import Blueprint

from tasktree_rt.brokers.memory import MemoryBroker
from tasktree_rt.core.events import Json, Record, project_id
from tasktree_rt.core.nodes import wholes
from tasktree_rt.core.protocol import (
    Command,
    Conflated,
    Failure,
    Message,
    Ping,
    Policy,
    Pong,
    StatePart,
    Subscribe,
    Unsubscribe,
    Unsubscribed,
)
from tasktree_rt.dialects.base import Encoding, decode_body, join, text_frame
from tasktree_rt.errors import InvalidInput, PeerError
from tasktree_rt.hub.hub import Hub, open_hub
from tasktree_rt.hub.sessions.rejected import RejectedSession
from tasktree_rt.hub.sessions.watcher import NativeSession
from tasktree_rt.hub.transport import Session
from tasktree_rt.settings import Settings
from tasktree_rt.web.app import create_app
from tasktree_rt.web.server.server import serve
from tasktree_rt.web.socket_blueprint import Answer, SocketBlueprint
from tasktree_rt.web.socket_request import SocketRequest
from tasktree_rt.web.sockets import accept_session, closing


# 1. The words: text to commands, messages and records to frames. It never waits and stores nothing.
class Lines:
    """Requests: ``watch <project>``, ``forget <project>``, ``ping``. Messages: one line a node or event."""

    name = "lines"

    def decode(self, message: str | bytes) -> Command | None:
        """Read one request.

        Raises:
            InvalidInput: the line is none of the three requests.
        """
        try:
            line = message if isinstance(message, str) else message.decode()
        except UnicodeDecodeError:
            raise InvalidInput("expected UTF-8") from None
        word, _, rest = line.strip().partition(" ")
        match word:
            case "":
                return None
            case "ping":
                return Ping()
            case "watch":
                return Subscribe(project_id(rest), state=True)
            case "forget":
                return Unsubscribe(project_id(rest))
        raise InvalidInput("expected watch, forget or ping")

    def encode(self, message: Message) -> bytes | None:
        """Write a message as lines in one frame; None for a message that this language does not have."""
        match message:
            case StatePart() | Conflated():
                return frame("\n".join(tree_lines(message)) or "= nothing new")
            case Failure():
                return frame(f"! {message.message}")
            case Pong():
                return frame("pong")
            case Unsubscribed():
                return frame(f"forgotten {message.project_id}")
        return None

    def encode_events(self, records: Sequence[Record], epoch: str) -> Encoding:
        """Write exactly one frame for each record, of any type: the hub counts them."""
        return join(frame(event_line(record)) for record in records)


def frame(text: str) -> bytes:
    return text_frame(text.encode(errors="replace"))


def tree_lines(message: StatePart | Conflated) -> Iterator[str]:
    if isinstance(message, Conflated):
        yield from (f"- {node_id}" for node_id in message.removed)
    yield from (f"= {node_line(node)}" for node in wholes(message.nodes))


def node_line(node: Json) -> str:
    progress = node.get("progress")
    shown = "" if progress is None else f"{progress} %"
    return " ".join(filter(None, (node["node_id"], str(node.get("status") or ""), shown)))


def event_line(record: Record) -> str:
    data = decode_body(record.body).data
    if record.type == "log":
        return f"log {record.node_id or '-'}: {data.get('message')}"
    changes = data.get("changes")
    found = changes.get("status") if isinstance(changes, dict) else data.get("to")
    return " ".join(filter(None, (record.type, record.node_id or "", str(found or ""))))


# 2. The route: it authenticates, chooses a session, and hands it to the server.
LINES = Lines()


def lines_routes(hub: Hub, settings: Settings) -> Blueprint:
    """Serve the language at ``/ws/lines``."""
    routes = SocketBlueprint("lines", settings)

    async def lines(asked: SocketRequest) -> Answer:
        session: Session
        try:
            grants = await asked.authenticate(asked.token)
        except PeerError as error:
            session = RejectedSession(hub, LINES, closing(error), asked.address)
        else:
            session = NativeSession(
                hub,
                LINES,
                (),
                grants=grants,
                policy=Policy.CONFLATE,
                authenticate=asked.authenticator.at(asked.address),
                address=asked.address,
            )
        await accept_session(asked, hub, session)
        return None

    routes.add("/ws/lines", "lines", lines)
    return routes.blueprint


# 3. The hub, with the route in its app.
async def main(bind: str = "127.0.0.1:8000") -> None:
    settings = Settings(bind=bind)
    async with open_hub(MemoryBroker(), settings) as hub, trio.open_nursery() as nursery:
        app = create_app(settings, hub)
        app.register_blueprint(lines_routes(hub, settings))
        (url,) = await nursery.start(partial(serve, app, hub, settings))
        print(url, flush=True)


if __name__ == "__main__":
    trio.run(main, *sys.argv[1:])
