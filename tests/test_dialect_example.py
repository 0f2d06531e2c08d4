"""The worked example of docs/dialects.md: a language of one's own, in a hub of one's own."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio_websocket import WebSocketConnection, wrap_client_stream

from tasktree_rt.core.events import Event, ProjectId, Record
from tasktree_rt.core.protocol import Ping, Subscribe, Unsubscribe
from tasktree_rt.dialects.base import Dialect, encode_body
from tasktree_rt.errors import InvalidInput
from tests.cli.processes import PATIENCE
from tests.test_examples import DOCS, ENVIRONMENT, EXAMPLES
from tests.web.realhub import auth, node_update, real_hub, token

SCRIPT: Final = EXAMPLES / "dialect_lines.py"


def module() -> Any:
    spec = importlib.util.spec_from_file_location("dialect_lines", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


EXAMPLE = module()
LINES: Final[Dialect] = EXAMPLE.LINES


async def heard(socket: WebSocketConnection) -> str:
    with trio.fail_after(PATIENCE):
        return str(await socket.get_message())


@asynccontextmanager
async def socket_at(url: str, path: str) -> AsyncIterator[WebSocketConnection]:
    authority = url.removeprefix("http://")
    host, _, port = authority.partition(":")
    async with await trio.open_tcp_stream(host, int(port)) as stream, trio.open_nursery() as nursery:
        yield await wrap_client_stream(nursery, stream, authority, path)
        nursery.cancel_scope.cancel()


# --- its words --------------------------------------------------------------------------------------------


@given(st.binary() | st.text() | st.sampled_from(["watch p", "forget p", "ping", "watch", " ping\n", ""]))
def test_whatever_is_said_is_one_of_its_words_or_refused(said: str | bytes) -> None:
    try:
        found = LINES.decode(said)
    except InvalidInput:
        return
    assert found is None or isinstance(found, Ping | Subscribe | Unsubscribe)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["node_update", "log", "state_transition", "x"]),
            st.dictionaries(st.sampled_from(["node_id", "changes", "message", "to"]), st.none() | st.text()),
        )
    )
)
def test_every_event_is_one_message(events: list[tuple[str, Any]]) -> None:
    bodies = [
        encode_body(Event(kind, ProjectId("p"), data, "t"))
        for kind, data in events
        if all(value is None or value.isprintable() for value in data.values())
    ]
    records = [Record(seq, "log", None, 0, body) for seq, body in enumerate(bodies, 1)]
    encoding = LINES.encode_events(records, "e")
    assert len(encoding.ends) == len(records)
    assert sorted(set(encoding.ends)) == list(encoding.ends)


# --- in a hub ---------------------------------------------------------------------------------------------


async def test_the_program_says_what_its_first_lines_promise() -> None:
    process = await trio.lowlevel.open_process(
        [sys.executable, str(SCRIPT), "127.0.0.1:0"], stdout=subprocess.PIPE, env=ENVIRONMENT
    )
    assert process.stdout is not None
    try:
        with trio.fail_after(PATIENCE):
            url = (await process.stdout.receive_some()).decode().strip()
        async with httpx.AsyncClient(base_url=url) as http, socket_at(url, "/ws/lines") as socket:
            events = f"{url}/api/v1/projects/build-7/events"
            await http.post(events, json=node_update("compile", status="running", progress=40))
            await socket.send_message("watch build-7")
            said = [await heard(socket)]
            await http.post(events, json=node_update("compile", status="running"))
            line = {"type": "log", "data": {"node_id": "compile", "level": "info", "message": "12 files"}}
            await http.post(events, json=line)
            said += [await heard(socket), await heard(socket)]
            promised = SCRIPT.read_text(encoding="utf-8").split("watch build-7\n")[1].split("\n\n")[0]
            assert said == [one.strip() for one in promised.splitlines()]
            for word, answer in (("ping", "pong"), ("dance", "! expected watch, forget or ping")):
                await socket.send_message(word)
                assert await heard(socket) == answer
            await socket.send_message("forget build-7")
            assert await heard(socket) == "forgotten build-7"
    finally:
        process.kill()
        await process.wait()
        await process.stdout.aclose()


async def test_a_slow_reader_of_it_is_conflated_like_any_other() -> None:
    async with real_hub(delivery={"outbox_messages": 16}) as running:
        running.app.register_blueprint(EXAMPLE.lines_routes(running.hub, running.settings))
        await running.publish("p", node_update("a", status="ready"))
        async with running.socket("/ws/lines", native=False) as socket:
            await socket.send_message("watch p")
            assert await heard(socket) == "= a ready"
            (subscriber,) = running.hub.connections.values()
            last, number = "", 0
            while not subscriber.sheds:
                number += 1
                last = f"n{number % 3}{'x' * 500} s{number}"
                name, _, status = last.partition(" ")
                await running.publish("p", *(node_update(name, status=status) for _ in range(50)))
            told: set[str] = set()
            while last not in told:
                told.update(line.partition(" ")[2] for line in (await heard(socket)).splitlines())


async def test_it_is_behind_the_same_door() -> None:
    async with real_hub(auth=auth()) as running:
        running.app.register_blueprint(EXAMPLE.lines_routes(running.hub, running.settings))
        async with running.socket("/ws/lines", native=False) as nobody:
            with pytest.raises(Exception, match="4001"):
                await nobody.get_message()
        ada = token(watch=["mine-*"])
        async with running.socket(f"/ws/lines?token={ada}", native=False) as socket:
            await socket.send_message("watch theirs")
            assert await heard(socket) == "! you may not watch 'theirs'"


# --- the document -----------------------------------------------------------------------------------------


def test_the_document_shows_the_example_as_it_is() -> None:
    text = (DOCS / "dialects.md").read_text(encoding="utf-8")
    code = SCRIPT.read_text(encoding="utf-8")
    pieces = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(pieces) >= 3
    for piece in pieces:
        assert piece in code, piece


def test_the_document_names_the_module_of_each_language() -> None:
    text = (DOCS / "dialects.md").read_text(encoding="utf-8")
    package = Path(sys.modules["tasktree_rt"].__path__[0])
    named = re.findall(r"^\| `((?:dialects|compat)/[\w/.]+)`", text, re.MULTILINE)
    for name in named:
        assert (package / name).exists(), name
    ours = {
        one.stem
        for one in (package / "dialects").iterdir()
        if one.stem not in ("__init__", "base", "deflate", "otlp", "__pycache__")
    }
    foreign = {one.parent.name for one in (package / "compat").glob("*/dialect.py")}
    assert {Path(name).stem for name in named} == ours | {"dialect"}
    assert {Path(name).parent.name for name in named} >= foreign
