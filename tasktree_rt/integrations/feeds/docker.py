"""``docker build --progress=rawjson`` (BuildKit's ``SolveStatus``, an object a line): steps and output."""

from __future__ import annotations

import base64
import binascii
from typing import Final

from tasktree_rt.client.joining import Joined, Open
from tasktree_rt.integrations.feeds.base import Json, json_object, objects, text
from tasktree_rt.integrations.nodes import Nodes

_PARTS: Final = ("vertexes", "statuses", "logs", "warnings")


class DockerFeed:
    """See the module. Prints the steps' titles and what they print."""

    def __init__(self, joined: Joined, parent: str | None) -> None:
        self._nodes = Nodes(joined, parent)
        self._rest: dict[str, str] = {}
        self._well = True

    def line(self, line: str) -> str:
        """See `Feed.line`."""
        found = json_object(line)
        if found is None or not any(part in found for part in _PARTS):
            return line
        printed = [self._vertex(one) for one in objects(found, "vertexes")]
        for one in objects(found, "statuses"):
            self._status(one)
        printed += [self._log(one) for one in objects(found, "logs")]
        for one in objects(found, "warnings"):
            self._warn(one)
        return "".join(printed)

    def end(self) -> bool:
        """See `Feed.end`."""
        return not self._nodes.cancel_rest("the build ended before it did") and self._well

    def _vertex(self, vertex: Json) -> str:
        key, title = text(vertex, "digest"), text(vertex, "name")
        ended = bool(text(vertex, "completed"))
        known = self._nodes.known(key)
        if not key or (known and not self._nodes.is_open(key) and ended):
            return ""
        if not text(vertex, "started"):
            if not known:
                self._nodes.plan(key, title=title, kind="step", depends_on=self._inputs(vertex))
            return ""
        # A step may begin again after it was completed: BuildKit reports its parts one by one.
        self._nodes.begin(key, title=title, kind="step", depends_on=self._inputs(vertex))
        printed = "" if known else f"{title}\n"
        return printed + self._end(key, vertex, title) if ended else printed

    def _inputs(self, vertex: Json) -> list[str] | None:
        inputs = vertex.get("inputs")
        return [self._nodes.id(str(one)) for one in inputs] if isinstance(inputs, list) else None

    def _end(self, key: str, vertex: Json, title: str) -> str:
        rest = self._rest.pop(key, "")
        node = self._nodes.take(key)
        if node is None:
            return ""
        if rest:
            node.log(rest)
        error = text(vertex, "error")
        if error.endswith("context canceled"):
            node.cancel("the build was broken off")
        elif error:
            node.fail(error)
        else:
            node.complete(progress=100, cached=True if vertex.get("cached") is True else None)
            return ""
        self._well = False
        return f"{title}: {error}\n"

    def _status(self, status: Json) -> None:
        """Show the transfer of a layer as the step's progress."""
        node = self._nodes.get(text(status, "vertex"))
        total, current = status.get("total"), status.get("current")
        if node is None or not isinstance(total, int) or not isinstance(current, int) or total <= 0:
            return
        node.progress(100 * current / total, text(status, "name") or text(status, "id"))

    def _log(self, log: Json) -> str:
        key = text(log, "vertex")
        try:
            printed = base64.b64decode(text(log, "data")).decode("utf-8", "replace")
        except (binascii.Error, ValueError):
            return ""
        node = self._nodes.get(key)
        if node is not None:
            self._lines(key, node, printed, "stderr" if log.get("stream") == 2 else "stdout")
        return printed

    def _lines(self, key: str, node: Open, printed: str, stream: str) -> None:
        *lines, rest = (self._rest.pop(key, "") + printed).split("\n")
        for line in lines:
            node.log(line.rstrip("\r").rpartition("\r")[2], stream=stream)
        if rest:
            self._rest[key] = rest[-65536:]

    def _warn(self, warning: Json) -> None:
        node = self._nodes.get(text(warning, "vertex"))
        try:
            message = base64.b64decode(text(warning, "short")).decode("utf-8", "replace")
        except (binascii.Error, ValueError):
            return
        if node is not None and message:
            node.log(message, level="warning")
