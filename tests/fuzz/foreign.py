"""The languages of other systems, and what is published on their Redis."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import trio
from trio.testing import wait_all_tasks_blocked

from tasktree_rt.compat.aiecs.dialect import Aiecs
from tasktree_rt.compat.autogpt.channels import channel
from tasktree_rt.compat.autogpt.client_requests import FORMAT, MISSING, SHAPE, UNPROCESSED
from tasktree_rt.compat.autogpt.dialect import AutoGpt
from tasktree_rt.compat.autogpt.redis_source import SYSTEM, RedisSource
from tasktree_rt.compat.autogpt.session import ViewSession
from tasktree_rt.core.log import BEGINNING
from tasktree_rt.core.protocol import (
    Answer,
    CancelTask,
    Command,
    Failure,
    Ping,
    Pong,
    Received,
    Subscribe,
    Subscribed,
    SubscribeTopic,
    TopicSubscribed,
    UnsubscribeTopic,
)
from tasktree_rt.core.topics import user_of
from tasktree_rt.dialects.base import Dialect
from tasktree_rt.errors import InvalidInput
from tasktree_rt.metrics import Metrics
from tests.dialects.execution_golden import read_frames
from tests.fuzz.stage import Stage
from tests.fuzz.target import json_of, text_of
from tests.fuzz.words import JSON_WORDS
from tests.hub.transport import Carried

USER: Final = "u"
REFUSAL: Final = {"method": "error", "data": None, "success": False, "channel": None}
MOST: Final = 1_000
AUTOGPT_WORDS: Final = (
    *JSON_WORDS,
    *(b'"method":', b'"heartbeat"', b'"unsubscribe"', b'"error"', b'"notification"', b'"success":'),
    *(b'"subscribe_graph_execution"', b'"subscribe_graph_executions"', b'"subscribe_graph_exec"'),
    *(b'"subscribe_graph_execs"', b'"graph_execution_event"', b'"graph_id":', b'"graph_exec_id":'),
)
AIECS_WORDS: Final = (
    *JSON_WORDS,
    *(b'"action":', b'"ping"', b'"subscribe"', b'"cancel"', b'"confirm"', b'"ack"', b'"user_id":'),
    *(b'"task_id":', b'"callback_id":', b'"proceed":', b'"feedback":', b'"message_id":'),
)
REDIS_WORDS: Final = (
    *JSON_WORDS,
    *(b"execution_event/u/g/e\n", b"notification_event/u\n", b"/", b"\n", b'{"payload":', b'"event_type":'),
    *(b'"graph_execution_update"', b'"node_execution_update"', b'"error_comms_update"', b'"user_id":"u"'),
    *(b'"graph_id":"g"', b'"graph_exec_id":"e"', b'"node_exec_id":"x"', b'"node_id":"n"', b'"id":"e"'),
    *(b'"status":"RUNNING"', b'"status":"FAILED"', b'"stats":', b'"error":"x"', b'"graph_version":'),
    *(b'"type":"t"', b'"event":"e"', b'"start_time":', b'"block_id":', b"x" * MOST),
)


def said(dialect: Dialect, message: Any) -> Any:
    """The one message that a dialect finishes for the wire."""
    (found,) = read_frames(dialect.encode(message) or b"")
    return found


def decoded(dialect: Dialect, form: str | bytes) -> Command | InvalidInput | None:
    """What the peer asks, or what is wrong with it."""
    try:
        return dialect.decode(form)
    except InvalidInput as error:
        return error


def told_of(dialect: Dialect, error: InvalidInput) -> Any:
    """An error as the peer is told it."""
    return said(dialect, Failure(error.code, error.message, field=error.field))


def run_autogpt(data: bytes) -> None:
    """A request of AutoGPT's client: a command whose answer says what was asked, or one of four errors."""
    dialect, text = AutoGpt(), text_of(data)
    for form in (data,) if text is None else (data, text):
        found = decoded(dialect, form)
        if isinstance(found, InvalidInput):
            assert found.message in (FORMAT, MISSING, SHAPE, UNPROCESSED)
            assert found.message == FORMAT or isinstance(form, str)
            told = {**REFUSAL, "error": found.message}
            assert told_of(dialect, found) == told
            continue
        given = json_of(data)
        match found:
            case None:
                assert given["method"] == "error"
            case Ping():
                assert given["method"] == "heartbeat"
            case SubscribeTopic():
                told = said(dialect, TopicSubscribed(found.method, USER, found.kind, found.name))
                assert told["method"] == given["method"]
                assert told["channel"] == channel(USER, found.kind, found.name)
            case _:
                assert isinstance(found, UnsubscribeTopic)
                assert given["method"] == "unsubscribe"


def run_aiecs(data: bytes) -> None:
    """An action of AIECS' client, text or binary: a command, nothing, or an error in its words."""
    dialect, text = Aiecs(lambda: 1.5), text_of(data)
    heard = [_heard(dialect, form) for form in ((data,) if text is None else (data, text))]
    assert heard[0] == heard[-1]


def _heard(dialect: Aiecs, form: str | bytes) -> Any:
    found = decoded(dialect, form)
    match found:
        case InvalidInput():
            told = told_of(dialect, found)
            assert told.keys() == {"type", "message", "timestamp"}
            assert told["type"] == "error"
            known = ("Invalid JSON format", "Unknown action: ", f"{found.field}: expected ")
            assert told["message"].startswith(known)
            assert len(told["message"]) < 500
            return told
        case Ping():
            return said(dialect, Pong(None, found.original))
        case Subscribe():
            told = said(dialect, Subscribed(found.project_id, BEGINNING, None))
            assert told["user_id"] == user_of(found.project_id)
            return told
    assert isinstance(found, Answer | CancelTask | Received | None)
    return found


# --- Redis ----------------------------------------------------------------------------------------


class _Counting(Metrics):
    """Metrics that keep the number of messages of each kind."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def bridge_message(self, system: str, kind: str) -> None:
        assert system == SYSTEM
        super().bridge_message(system, kind)
        self.counts[kind] += 1


def run_redis(data: bytes) -> None:
    """What is published: its first line is the channel. Counted once; who watches is told in good form."""
    Stage.shared().play(_redis, data)


async def _redis(stage: Stage, data: bytes) -> None:
    await stage.forget("autogpt:e")
    where, _, body = data.partition(b"\n")
    hub, meter = stage.hub, _Counting()
    bridge = RedisSource(hub, "redis://localhost", mirror=True, max_event_size=MOST, window=0.0, meter=meter)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bridge.keep)
        watcher = Carried(ViewSession(hub, AutoGpt(), USER), nursery)
        watcher.send({"method": "subscribe_graph_execution", "data": {"graph_exec_id": "e"}})
        watcher.send({"method": "subscribe_graph_executions", "data": {"graph_id": "g"}})
        await wait_all_tasks_blocked()
        watcher.received()
        bridge.received(where, body)
        assert sum(meter.counts.values()) == 1
        while not hub.write_behind.quiet:
            await trio.lowlevel.checkpoint()
        await wait_all_tasks_blocked()
        for message in watcher.received():
            assert list(message) == ["method", "data", "success", "channel", "error"]
            assert isinstance(message["data"], dict)
            assert message["channel"] in (None, "u|graph_exec#e", "u|graph#g|executions")
            assert (message["channel"] is None) is (meter.counts["notification"] == 1)
        watcher.end()
        nursery.cancel_scope.cancel()
