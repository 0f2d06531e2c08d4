"""asyncapi.json against what a real hub says and hears: every message of it, in a scripted conversation."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Final

import pytest
from attrs import evolve
from jsonschema import Draft202012Validator
from trio_websocket import ConnectionClosed, WebSocketConnection

from tasktree_rt.core import close_codes as closing
from tasktree_rt.core import reserved_names as reserved
from tasktree_rt.core.commands import ANSWERS, SETTLING
from tasktree_rt.core.event_schema import SHAPES
from tasktree_rt.core.events import Json
from tasktree_rt.core.reserved_names import RESERVED
from tasktree_rt.dialects.tasktree import requests
from tasktree_rt.errors import HTTP_STATUS
from tests.web.realhub import (
    RealHub,
    Schemas,
    document,
    heard,
    node_update,
    real_hub,
    references,
    resolve,
    say,
)

DOC: Final = document("asyncapi.json")
SCHEMAS: Final = Schemas(DOC)
MESSAGES: Final[Json] = DOC["components"]["messages"]
OF_HUB: Final = {
    MESSAGES[key]["name"]: key for key in MESSAGES if "Only the hub publishes it" in MESSAGES[key]["summary"]
}
OF_USERS: Final = {"notification", "notifications_read"}
EVENTS: Final = [
    key
    for key, one in MESSAGES.items()
    if one["title"].endswith("Event") and key not in {"bare_event", *OF_HUB.values(), *OF_USERS}
]
SAID_BY_HUB: Final = {
    "updates": "tellWatcher",
    "updatesPlain": "tellPlainWatcher",
    "orchestrator": "tellProducer",
}
HEARD_BY_HUB: Final = {"updates": "hearWatcher", "orchestrator": "hearProducer"}


def keys_of(operation: str) -> list[str]:
    return [one["$ref"].rpartition("/")[2] for one in DOC["operations"][operation]["messages"]]


def errors_of(key: str, value: object) -> list[str]:
    """What is wrong with a message as this one of the document."""
    return SCHEMAS.faults(MESSAGES[key]["payload"], value)


def key_of(message: Json, operation: str) -> str:
    """Which message of an operation this is: by its type, as a client tells it."""
    found = [
        key
        for key in keys_of(operation)
        if resolve(DOC, MESSAGES[key]["payload"]).get("properties", {}).get("type", {}).get("const")
        == message.get("type")
    ]
    if found and message.get("project_id", "") is not None:
        assert len(found) == 1, found
        return found[0]
    if message.get("project_id", "") is None:
        return "broadcast"
    if "seq" in message:
        return "any_other_event"
    assert message["type"] == "hello", f"not in the document: {message}"
    return "personal"


async def heard_or_closed(socket: WebSocketConnection) -> Json | None:
    """The next message; None when the hub has closed."""
    try:
        return await heard(socket)
    except ConnectionClosed:
        return None


class Transcript:
    """What was said on each channel; every message is held to the document when it is taken in."""

    def __init__(self) -> None:
        self.seen: dict[str, set[str]] = {channel: set() for channel in SAID_BY_HUB}
        self.heard: dict[str, set[str]] = {channel: set() for channel in HEARD_BY_HUB}

    def take(self, channel: str, message: Json) -> Json:
        operation = SAID_BY_HUB[channel]
        key = key_of(message, operation)
        assert key in keys_of(operation), f"{key} is not said on {channel}: {message}"
        assert not errors_of(key, message), (errors_of(key, message), message)
        self.seen[channel].add(key)
        return message

    async def until(self, socket: WebSocketConnection, channel: str, kind: str) -> Json:
        """Take in messages up to the first of a type."""
        while True:
            message = self.take(channel, await heard(socket))
            if message["type"] == kind:
                return message

    async def drained(self, socket: WebSocketConnection, channel: str) -> None:
        """Take in messages until the hub closes."""
        while (message := await heard_or_closed(socket)) is not None:
            self.take(channel, message)
        assert socket.closed is not None
        assert socket.closed.code == closing.RESTART.code

    async def say(self, socket: WebSocketConnection, channel: str, key: str, message: Json) -> None:
        assert key in keys_of(HEARD_BY_HUB[channel])
        assert not errors_of(key, message), errors_of(key, message)
        self.heard[channel].add(key)
        await say(socket, message)


# --- the document by itself ------------------------------------------------------------------------------


def test_is_asyncapi_3_with_what_it_must_have() -> None:
    assert DOC["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= DOC["info"].keys()
    assert DOC.keys() <= {
        "asyncapi",
        "id",
        "info",
        "servers",
        "defaultContentType",
        "channels",
        "operations",
        "components",
    }
    for server in DOC["servers"].values():
        assert {"host", "protocol"} <= server.keys()


def test_every_reference_leads_somewhere() -> None:
    for reference in references(DOC):
        assert resolve(DOC, {"$ref": reference}) is not None


def test_channels_refer_to_messages_and_servers() -> None:
    for channel in DOC["channels"].values():
        assert "?" not in channel["address"]
        assert all(one["$ref"].startswith("#/servers/") for one in channel["servers"])
        for key, one in channel["messages"].items():
            assert one == {"$ref": f"#/components/messages/{key}"}


def test_operations_refer_to_a_channel_and_to_its_messages() -> None:
    for operation in DOC["operations"].values():
        assert operation["action"] in ("send", "receive")
        channel = operation["channel"]["$ref"]
        assert channel.startswith("#/channels/")
        for one in operation["messages"]:
            assert one["$ref"].startswith(f"{channel}/messages/")


def test_every_message_belongs_to_an_operation_and_every_schema_is_used() -> None:
    used = {key for operation in DOC["operations"] for key in keys_of(operation)}
    assert used == MESSAGES.keys()
    unions = {"Event", "WatchMessage", "WatchRequest", "ProducerMessage", "ProducerRequest"}
    schemas = {f"#/components/schemas/{name}" for name in DOC["components"]["schemas"].keys() - unions}
    assert schemas <= set(references(DOC))


def test_schemas_are_schemas() -> None:
    for name, schema in DOC["components"]["schemas"].items():
        Draft202012Validator.check_schema(schema)
        assert schema.get("description"), name


@pytest.mark.parametrize("key", MESSAGES)
def test_every_example_is_what_it_stands_for_and_nothing_else(key: str) -> None:
    for example in MESSAGES[key]["examples"]:
        assert not errors_of(key, example["payload"])
        if key != "personal":
            told_by = ("type", "method", "action", "target_user_id", "code")
            without = {name: one for name, one in example["payload"].items() if name not in told_by}
            assert errors_of(key, without)


def test_messages_are_told_apart_by_their_type() -> None:
    for operation in DOC["operations"]:
        types: list[str] = []
        for key in keys_of(operation):
            if key not in ("any_other_event", "broadcast", "personal", "bare_event", "aiecs_message"):
                fields = resolve(DOC, MESSAGES[key]["payload"])["properties"]
                told_by = fields.get("type") or fields.get("method") or fields["action"]
                types += told_by.get("enum") or [told_by["const"]]
        assert len(types) == len(set(types)), operation


def test_knows_the_event_types_requests_codes_and_closes_that_the_code_knows() -> None:
    assert set(EVENTS) >= SHAPES.keys()
    assert OF_HUB.keys() | OF_USERS == RESERVED.keys() | {"notification"}
    assert set(DOC["components"]["schemas"]["BareEvent"]["properties"]["type"]["not"]["enum"]) == {
        "publish",
        *RESERVED,
        *reserved.MESSAGES,
    }
    assert (
        set(DOC["components"]["schemas"]["NewEvent"]["properties"]["type"]["not"]["enum"])
        >= reserved.MESSAGES
    )
    assert DOC["components"]["schemas"]["CommandResult"]["properties"]["status"]["enum"] == list(ANSWERS)
    assert set(DOC["components"]["schemas"]["CommandResultData"]["properties"]["status"]["enum"]) == {
        *ANSWERS,
        *SETTLING,
    }
    assert set(keys_of("hearWatcher")) == {*requests._READERS} - {"ack"} | {"watermark"}
    assert DOC["components"]["schemas"]["ErrorCode"]["enum"] == list(HTTP_STATUS)
    for channel in DOC["channels"].values():
        for close in channel["x-close-codes"]:
            known = closing.BY_CODE[close["code"]]
            assert close == {"code": known.code, "reason": known.reason, "advice": known.advice.value}
    told = {close["code"] for channel in DOC["channels"].values() for close in channel["x-close-codes"]}
    assert told == closing.BY_CODE.keys()


def required_of(value: Json) -> Iterator[tuple[str, ...]]:
    """The paths of the fields of a shape that must be there."""
    yield from ((name,) for name, field in value.items() if field.required)


def test_the_data_of_known_types_needs_what_the_hub_checks() -> None:
    for kind, shape in SHAPES.items():
        schema = DOC["components"]["schemas"][f"{''.join(word.capitalize() for word in kind.split('_'))}Data"]
        assert {(name,) for name in schema.get("required", [])} == set(required_of(shape.fields)), kind
        assert shape.fields.keys() <= schema["properties"].keys(), kind


# --- a conversation ---------------------------------------------------------------------------------------


def event(key: str) -> Json:
    """The example of an event, as its producer sent it."""
    example = copy.deepcopy(MESSAGES[key]["examples"][0]["payload"])
    return {name: value for name, value in example.items() if name in ("type", "data")}


def said(key: str, number: int = 0) -> Json:
    """An example of a message."""
    found: Json = copy.deepcopy(MESSAGES[key]["examples"][number]["payload"])
    return found


async def people(
    running: RealHub, native: WebSocketConnection, producer: WebSocketConnection, told: Transcript
) -> None:
    """Ask, answer, answer too late, command, obey, notify, read."""
    question = {name: value for name, value in said("prompt", 1)["data"].items() if name != "deadline"}
    async with running.http() as http:
        assert (await http.post("/api/v1/prompts", json=question)).status_code == 201
        await told.until(native, "updates", "prompt")
        await told.say(native, "updates", "subscribe", said("subscribe", 2))
        assert (await told.until(native, "updates", "project_state"))["user_id"] == "ada"
        await told.say(native, "updates", "answer", said("answer"))
        await told.until(native, "updates", "reply")
        await told.say(native, "updates", "answer", said("answer"))
        late = await told.until(native, "updates", "error")
        assert late["outcome"]["value"] == said("answer")["value"]
        await told.say(producer, "orchestrator", "announce", said("announce"))
        assert (await told.until(producer, "orchestrator", "reply"))["id"] == said("announce")["id"]
        await told.say(native, "updates", "command", said("command"))
        command_id = (await told.until(producer, "orchestrator", "command"))["command_id"]
        for number in (0, 1):
            result = {**said("command_result", number), "command_id": command_id}
            await told.say(producer, "orchestrator", "command_result", result)
            while (await told.until(native, "updates", "command_result"))["data"]["status"] != result[
                "status"
            ]:
                pass
        assert (await told.until(producer, "orchestrator", "reply"))["id"] == said("command_result", 1)["id"]
        note = said("notification")["data"]
        assert (await http.post("/api/v1/users/ada/notifications", json=note)).status_code == 201
    await told.until(native, "updates", "notification")
    await told.say(native, "updates", "watermark", said("watermark", 1))
    await told.until(native, "updates", "notifications_read")
    while not (await told.until(native, "updates", "heartbeat")).get("user_positions"):
        pass


async def produce(running: RealHub, socket: WebSocketConnection, told: Transcript) -> None:
    """Say everything that a producer can say; the last event ends the project."""
    ordered = sorted(EVENTS, key=lambda key: key == "project_deleted")
    message: Json = {}
    for number, key in enumerate(ordered):
        message = {"type": "publish", "id": f"e{number}", "events": [{"project_id": "build-7", **event(key)}]}
        await told.say(socket, "orchestrator", "publish", message)
        assert (await told.until(socket, "orchestrator", "ack"))["duplicate"] is False
    await told.say(socket, "orchestrator", "publish", message)
    assert (await told.until(socket, "orchestrator", "ack"))["duplicate"] is True
    for example in MESSAGES["bare_event"]["examples"]:
        await told.say(socket, "orchestrator", "bare_event", {**example["payload"], "project_id": "other"})
    assert (await told.until(socket, "orchestrator", "ack"))["id"] == 9
    await told.say(socket, "orchestrator", "ping", {"type": "ping"})
    await told.until(socket, "orchestrator", "pong")
    await say(
        socket, {"type": "publish", "id": "wrong", "events": [{"type": "log", "project_id": "p", "data": {}}]}
    )
    assert (await told.until(socket, "orchestrator", "error"))["field"] == "events[0].data.level"


async def watch(running: RealHub, socket: WebSocketConnection, told: Transcript) -> None:
    """Ask for everything that a watcher can ask for."""
    await told.until(socket, "updates", "project_deleted")
    await running.publish("big", *(node_update(f"n{i}", text="x" * 4096) for i in range(200)))
    for message in (
        example["payload"] for key in keys_of("hearWatcher") for example in MESSAGES[key]["examples"]
    ):
        key = {"ack": "watermark"}.get(message["type"], message["type"])
        await told.say(socket, "updates", key, message)
    replies = 0
    while replies < 4:  # to refresh, `*`, the command, and what the user has read
        replies += told.take("updates", await heard(socket))["type"] == "reply"
    await told.say(socket, "updates", "subscribe", {"type": "subscribe", "project_id": "big", "state": True})
    first = await told.until(socket, "updates", "project_state")
    assert first["parts"] > 1
    assert (await told.until(socket, "updates", "project_state"))["data"].keys() == {"nodes"}
    await told.say(
        socket, "updates", "unsubscribe", {"type": "unsubscribe", "id": "u", "project_id": "other"}
    )
    await told.until(socket, "updates", "unsubscribed")
    await say(socket, {"type": "answer", "id": 1})
    assert (await told.until(socket, "updates", "error"))["id"] == 1
    await told.until(socket, "updates", "heartbeat")


async def renew(running: RealHub, socket: WebSocketConnection, channel: str, told: Transcript) -> None:
    """Hear that the token expires, and give another."""
    for one in running.hub.connections.values():
        one.grants = evolve(one.grants, expires=time.time() + 30)
    await told.until(socket, channel, "token_expiring")
    await told.say(socket, channel, "refresh", said("refresh"))
    await told.until(socket, channel, "reply")


async def test_every_message_of_the_document_is_said_as_documented_and_no_other() -> None:
    told = Transcript()
    delivery = {"heartbeat_interval": 0.05, "outbox_messages": 16}
    async with real_hub(delivery=delivery, drain={"window": 0.0}) as running, AsyncExitStack() as stack:
        native = await stack.enter_async_context(running.socket("/ws/updates"))
        plain = await stack.enter_async_context(
            running.socket("/ws/updates?project_id=build-7", native=False)
        )
        producer = await stack.enter_async_context(
            running.socket("/ws/orchestrator?producer_id=me&commands=build-7")
        )
        await told.until(native, "updates", "welcome")
        await people(running, native, producer, told)
        await produce(running, producer, told)
        await watch(running, native, told)
        await fall_behind(running, stack, told)
        for channel, socket in (("updates", native), ("orchestrator", producer)):
            await renew(running, socket, channel, told)
        running.hub.broadcast({"type": "maintenance", "data": {"at": "noon"}})
        for one in list(running.hub.connections):
            assert running.hub.send_personal_message(one, {"type": "hello", "you": "there"})
        await told.until(plain, "updatesPlain", "hello")
        running.stop.set()
        for socket, channel in ((native, "updates"), (plain, "updatesPlain"), (producer, "orchestrator")):
            await told.drained(socket, channel)
    for channel, operation in SAID_BY_HUB.items():
        assert set(keys_of(operation)) - told.seen[channel] == set(), channel
    for channel, operation in HEARD_BY_HUB.items():
        assert set(keys_of(operation)) == told.heard[channel], channel


async def fall_behind(running: RealHub, stack: AsyncExitStack, told: Transcript) -> None:
    """A reader that does not read for a while gets one message for all that it missed."""
    slow = await stack.enter_async_context(running.socket("/ws/updates?project_id=big"))
    await told.until(slow, "updates", "subscribed")
    async with running.http() as http:
        for number in range(2000):
            await running.publish("big", *(node_update("slow", text=f"{number}" * 5000) for _ in range(4)))
            await running.publish("big", {"type": "log", "data": {"level": "info", "message": "m"}})
            connections = (await http.get("/api/v1/connections")).json()["connections"]
            if any(one["subscriptions"] == ["big"] and one["lagging"] for one in connections):
                break
        await told.until(slow, "updates", "conflated")


async def test_a_message_that_is_not_documented_is_noticed() -> None:
    told = Transcript()
    told.take("updates", {"type": "pong", "id": 1})
    for wrong in (
        {"type": "pong", "id": 1, "more": 2},
        {"type": "pong", "id": 1.5},
        {"type": "ack", "id": 1},
    ):
        with pytest.raises(AssertionError):
            told.take("updatesPlain" if wrong["type"] == "ack" else "updates", wrong)
