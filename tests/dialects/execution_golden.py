"""The transcript of the execution status stream, and a hub of the simplest kind to play it through.

Each line is one exchange with the execution ``e1``: what was pushed or said, and what is heard by who only
wants the status (``hear``) and by who wants nodes and lines too (``full``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tasktree_rt.core.events import Event, Json, ProjectId, parse_event
from tasktree_rt.core.executions import ExecutionStatus, LogLine, NodeStatus, Tally, status_of
from tasktree_rt.core.protocol import Failure, Message, Ping, Pong
from tasktree_rt.core.reducer import reduce
from tasktree_rt.core.tree import Tree
from tasktree_rt.dialects.base import encode_body, measure
from tasktree_rt.dialects.execution import Execution
from tasktree_rt.errors import InvalidInput

NAME: Final = "e1"
PROJECT: Final = ProjectId(f"execution:{NAME}")
TRANSCRIPT: Final[list[Json]] = [
    json.loads(line) for line in (Path(__file__).parent / "golden/execution.jsonl").read_text().splitlines()
]


def read_frames(data: bytes) -> list[Any]:
    """What server frames say; unmasked text frames, as they must be."""
    found = []
    while data:
        assert data[0] == 0x81
        size, begin = data[1], 2
        if size >= 126:
            begin = 4 if size == 126 else 10
            size = int.from_bytes(data[2:begin], "big")
        found.append(json.loads(data[begin : begin + size]))
        data = data[begin + size :]
    return found


class Simplest:
    """A tree, and one who wants everything to be said of it."""

    def __init__(self) -> None:
        self.dialect = Execution()
        self.tree = Tree("x")
        self.tally = Tally()
        self.status: ExecutionStatus | None = None

    def push(self, events: list[Json]) -> list[Message]:
        """Lines, nodes, and the status if it is another."""
        before, said = self.tree.head, list[Message]()
        for one in events:
            event = parse_event(one, now="2026-11-21T12:00:00.000000Z", project=PROJECT)
            self.tree.advance(reduce(self.tree, event, len(encode_body(event)), measure))
            said += [self._line(event)] if event.type == "log" else []
        difference = self.tree.since(before, 1000)
        assert difference is not None
        said += [NodeStatus(NAME, node_id, None) for node_id in difference.removed]
        said += [NodeStatus(NAME, node_id, node.fields) for node_id, node in difference.nodes]
        self.tally.follow(self.tree)
        status = status_of(NAME, self.tree.top, lambda: self.tally, 0)
        if status != self.status:
            self.status = status
            said.append(status)
        return said

    def say(self, text: str | bytes) -> list[Message]:
        """The answer."""
        try:
            return [Pong(None)] if isinstance(self.dialect.decode(text), Ping) else []
        except InvalidInput as error:
            return [Failure(error.code, error.message, field=error.field)]

    def finish(self, messages: Sequence[Message]) -> list[Any]:
        """As they are read by a client."""
        return read_frames(b"".join(self.dialect.encode(one) or b"" for one in messages))

    @staticmethod
    def _line(event: Event) -> LogLine:
        data = event.data
        return LogLine(
            NAME, data["level"], data["message"], event.timestamp, data.get("node_id"), data.get("stream")
        )
