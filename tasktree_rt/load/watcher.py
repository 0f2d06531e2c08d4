"""One watcher of a load test: its socket, its place in the shared stream, its account."""

from __future__ import annotations

import socket
import ssl
from enum import Enum, auto

from attrs import define, field

from tasktree_rt.core.events import Json
from tasktree_rt.load.account import Account
from tasktree_rt.load.languages.base import Language
from tasktree_rt.load.shared_stream import SharedStream


class Stage(Enum):
    """How far a watcher is."""

    AWAY = auto()
    CONNECTING = auto()
    SECURING = auto()
    ASKED = auto()
    GREETING = auto()
    LIVE = auto()


class Kind(Enum):
    """How a watcher reads."""

    NORMAL = "normal"
    SLOW = "slow"
    STALLED = "stalled"
    HALF_OPEN = "half_open"


@define(eq=False)
class Topic:
    """A project (execution, …) in one language.

    Attributes:
        name: as in the language.
        position, epoch, number: of the last event before the watchers came; position None: unknown.
        stream: what its watchers share; a new one begins where the newest frame does not continue the last.
    """

    name: str
    language: Language
    position: int | None
    number: int | None
    epoch: str
    stream: SharedStream


@define(eq=False)
class Watcher:
    """See the module's docstring.

    Attributes:
        stream, at: the shared stream that it follows, and its place there: it has the very bytes up to there.
            `at` -1: it follows none, and `rest` has the bytes of a message that is incomplete.
        body: server-sent events: the text of an event that is incomplete.
        parts: nodes of a state whose last part has not come.
        intended: when it should have connected (µs).
        live_since: when its subscription came into effect (µs).
        failures: attempts to connect that failed, in a row.
        address: the source address that it connects from, or "".
    """

    index: int
    topic: Topic
    kind: Kind
    account: Account
    address: str = ""
    stage: Stage = Stage.AWAY
    sock: socket.socket | ssl.SSLSocket | None = None
    stream: SharedStream = field(factory=lambda: SharedStream(True))
    at: int = -1
    rest: bytearray = field(factory=bytearray)
    body: bytearray = field(factory=bytearray)
    fragments: bytearray | None = None
    parts: dict[str, Json] | None = None
    key: str = ""
    intended: int = 0
    live_since: int = 0
    failures: int = 0
    budget: float = 0.0
    """Bytes that a slow reader may read now."""

    @property
    def since(self) -> str | None:
        """The position to continue after, if it has one."""
        following = self.account.next
        if following is None or not self.topic.language.traits.resumes:
            return None
        return f"{self.topic.epoch}:{following - 1}"
