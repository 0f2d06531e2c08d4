"""Whatever a backend of TaskTree broadcasts is told as TaskTree writes it, and never raises."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import json
import logging
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import attrs
import pydantic
import pydantic.v1
import pytest
import trio

from tasktree_rt.client.producer.checks import HubLimits
from tasktree_rt.compat.tasktree import WebSocketManager, WebSocketMessage
from tasktree_rt.compat.tasktree import stored_events as keeping
from tasktree_rt.compat.tasktree.message import event_of
from tests.server.process import hub_process

MOMENT = datetime(2026, 3, 1, 12, 0, 0, 5)  # noqa: DTZ001 - naive, as TaskTree's


class Two(pydantic.BaseModel):
    type: str
    project_id: str | None = None
    data: dict[str, Any]
    timestamp: datetime = MOMENT


class One(pydantic.v1.BaseModel):
    type: str
    project_id: str | None = None
    data: dict[str, Any]
    timestamp: datetime = MOMENT


@dataclasses.dataclass
class Plain:
    type: str
    data: dict[str, Any]
    project_id: str | None = None
    timestamp: datetime = MOMENT


@attrs.frozen
class Attrs:
    type: str
    data: dict[str, Any]
    project_id: str | None = None
    timestamp: datetime = MOMENT


class Tuple(NamedTuple):
    type: str
    data: dict[str, Any]
    project_id: str | None = None
    timestamp: datetime = MOMENT


class Thing:
    """Any object with the four fields."""

    def __init__(self, type: str, data: dict[str, Any], project_id: str | None) -> None:
        self.type, self.data, self.project_id, self.timestamp = type, data, project_id, MOMENT


class Colour(enum.Enum):
    RED = "red"


class Word(str, enum.Enum):  # noqa: UP042 - as there
    NEW = "new"


MAKERS: list[Callable[..., Any]] = [
    Two,
    One,
    Plain,
    Attrs,
    Tuple,
    Thing,
    lambda **fields: {**fields, "timestamp": MOMENT},
    lambda **fields: WebSocketMessage(**fields, timestamp=MOMENT),
]
LIMITS = HubLimits()


@pytest.fixture(params=["UTC", "Asia/Shanghai", "America/New_York"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("make", MAKERS)
def test_every_kind_of_message_is_taken(make: Callable[..., Any]) -> None:
    event = event_of(make(type="task_created", project_id="shop", data={"task_id": 1, "at": MOMENT}), LIMITS)
    assert {**event, "timestamp": ""} == {
        "type": "task_created",
        "project_id": "shop",
        "data": {"task_id": 1, "at": "2026-03-01 12:00:00.000005"},
        "timestamp": "",
    }


@pytest.mark.parametrize("make", [Two, One])
def test_data_are_as_tasktree_writes_them(make: Callable[..., Any]) -> None:
    identity = uuid.UUID(int=7)
    data = {
        "path": PurePosixPath("/a"),
        "id": identity,
        "colour": Colour.RED,
        "word": Word.NEW,
        "tuple": (1, 2),
        "by": {1: "one", None: "none"},
        "inner": make(type="x", data={"n": 1}),
    }
    message = make(type=Word.NEW.value, project_id="p", data=data)
    dumped = message.model_dump() if isinstance(message, pydantic.BaseModel) else message.dict()
    assert event_of(message, LIMITS)["data"] == json.loads(json.dumps(dumped, default=str))["data"]


def test_models_within_a_mapping_are_their_fields() -> None:
    inner = [kind(type="x", data={}, project_id="p") for kind in (Two, One, Plain, Attrs)]
    event = event_of({"type": "x", "project_id": "p", "data": {"inner": inner}}, LIMITS)
    assert [one["type"] for one in event["data"]["inner"]] == ["x"] * 4


def test_a_time_without_an_offset_is_local(zone: str) -> None:
    hours = {"UTC": 0, "Asia/Shanghai": -8, "America/New_York": 5}[zone]
    wanted = (MOMENT + timedelta(hours=hours)).isoformat() + "Z"
    for given in (MOMENT, MOMENT.isoformat(), str(MOMENT)):
        assert event_of({"type": "x", "data": {}, "timestamp": given}, LIMITS)["timestamp"] == wanted
    aware = datetime(2026, 3, 1, 12, tzinfo=UTC)
    others: list[object] = [aware, "2026-03-01T12:00:00Z", "2026-03-01T13:00:00+01:00", aware.timestamp()]
    for other in others:
        told = event_of({"type": "x", "data": {}, "timestamp": other}, LIMITS)["timestamp"]
        assert told == "2026-03-01T12:00:00.000000Z"


@pytest.mark.parametrize("given", [None, "yesterday", object(), float("inf"), 10**30, True])
def test_a_time_that_cannot_be_read_is_the_present_one(given: object) -> None:
    told = event_of({"type": "x", "data": {}, "timestamp": given}, LIMITS)["timestamp"]
    assert datetime.fromisoformat(told).year == datetime.now(UTC).year


class Broken:
    type = "x"
    project_id = "p"

    @property
    def data(self) -> Any:
        raise RuntimeError("no")


class Unwritable:
    def __str__(self) -> str:
        raise RuntimeError("no")


def circle() -> dict[str, Any]:
    made: dict[str, Any] = {}
    made["self"] = made
    return made


def deep(levels: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for _ in range(levels):
        made = {"a": made}
    return made


HOPELESS = [
    None,
    5,
    "text",
    {},
    {"type": "x", "data": [1], "project_id": "p"},
    {"type": 5, "data": {}},
    {"type": "welcome", "data": {}},
    {"type": "prompt", "data": {}, "project_id": "p"},
    {"type": "x" * 200, "data": {}, "project_id": "p"},
    {"type": "x", "data": circle(), "project_id": "p"},
    {"type": "x", "data": deep(70), "project_id": "p"},
    {"type": "x", "data": deep(5000), "project_id": "p"},
    {"type": "x", "data": {(): 1}},
    {"type": "x", "data": {"v": Unwritable()}, "project_id": "p"},
    {"type": "task_created", "data": {"task_id": 1, "v": "x" * 300_000}, "project_id": "p"},
    {"type": "x", "data": {"v": "x" * 2_000_000}, "project_id": "p"},
    {"type": "orchestrator_error", "data": {"error": 5}, "project_id": "p"},
    Broken(),
    Two,
]


def test_what_cannot_be_told_is_logged_and_never_raised(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        manager = WebSocketManager("http://127.0.0.1:9", spool=tmp_path / "spool", exit_timeout=0.1)
        for message in HOPELESS:
            caplog.clear()
            await manager.broadcast(message)
            await manager.broadcast_to_project("p", message)
            assert caplog.text.count("a message was not published") >= 1, message
        assert manager.statistics()["waiting"] <= 1  # an empty mapping has no type for any project
        await manager.aclose()

    asyncio.run(main())


def test_half_a_surrogate_pair_does_not_cost_the_event() -> None:
    event = event_of({"type": "x", "project_id": "p", "data": {"v": "file \udcff"}}, LIMITS)
    assert event["data"] == {"v": "file ?"}


async def test_a_full_spool_costs_events_that_are_counted_and_no_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keeping, "ROOM", 0.02)

    async def main(url: str) -> None:
        manager = WebSocketManager(url, spool=tmp_path / "spool", spool_max_bytes=2000, exit_timeout=0.0)
        for number in range(30):
            await manager.broadcast_to_project("p", {"type": "x", "data": {"n": number}})
        counts = manager.statistics()
        assert counts["lost"] + counts["waiting"] == 30
        assert counts["waiting"] > 5
        assert caplog.text.count("the spool is full") == counts["lost"] > 5
        await manager.aclose()
        again = WebSocketManager(url, spool=tmp_path / "spool")
        trio.from_thread.run(hub.start)
        while again.statistics()["waiting"] or not await numbers():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        assert await numbers() == list(range(counts["waiting"]))
        await again.aclose()

    async def numbers() -> list[int]:
        found = await asyncio.to_thread(lambda: trio.from_thread.run(hub.events, "p", trio_token=token))
        return [one["data"]["n"] for one in found]

    async with hub_process(tmp_path) as hub:
        await hub.kill()
        token = trio.lowlevel.current_trio_token()
        await trio.to_thread.run_sync(asyncio.run, main(hub.url))


def test_the_list_of_connections_may_be_looked_through_shortened_and_cleared() -> None:
    class Socket:
        async def accept(self) -> None: ...
        async def send_text(self, data: str) -> None: ...
        async def close(self, code: int = 1000) -> None: ...

    async def main() -> None:
        manager = WebSocketManager("http://127.0.0.1:9", spool="")
        one, two, three = Socket(), Socket(), Socket()
        for socket in (one, two, three):
            manager.active_connections.append(socket)
        assert len(manager.active_connections) == 3
        assert [socket is manager.active_connections[n] for n, socket in enumerate([one, two, three])]
        for found in manager.active_connections:
            if found is two:
                manager.active_connections.remove(found)
        with pytest.raises(ValueError, match="not connected"):
            manager.active_connections.remove(two)
        assert list(manager.active_connections) == [one, three]
        assert one in manager.active_connections
        manager.active_connections.clear()
        manager.disconnect(one)
        assert not manager.active_connections
        await manager.aclose()

    asyncio.run(main())


def test_without_arguments_the_environment_says_where_the_hub_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TASKTREE_RT_HUB", "TASKTREE_RT_TOKEN", "TASKTREE_RT_SPOOL"):
        monkeypatch.delenv(name, raising=False)
    assert WebSocketManager()._address.url == "http://127.0.0.1:8010"
    monkeypatch.setenv("TASKTREE_RT_HUB", "https://hub.example.org/")
    monkeypatch.setenv("TASKTREE_RT_TOKEN", "secret")
    monkeypatch.setenv("TASKTREE_RT_SPOOL", "")
    address = WebSocketManager()._address
    assert (address.url, address.token, address.spool) == ("https://hub.example.org", "secret", None)
    monkeypatch.setenv("TASKTREE_RT_HUB", "hub.example.org")
    with pytest.raises(ValueError, match="http"):
        WebSocketManager()


def test_a_spool_that_cannot_be_used_is_logged_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "foreign").write_text("no spool\n")

    async def main(place: Path) -> None:
        manager = WebSocketManager("http://127.0.0.1:9", spool=place, exit_timeout=0.0)
        await manager.broadcast_to_project("p", {"type": "x", "data": {}})
        assert manager.statistics()["waiting"] == 1
        await manager.aclose()

    for place in (tmp_path / "file" / "spool", tmp_path / "foreign"):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            asyncio.run(main(place))
        assert "does not outlive this process" in caplog.text
        assert "are lost" in caplog.text
