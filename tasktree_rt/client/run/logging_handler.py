"""A `logging.Handler` that makes log records lines of output of the current node."""

from __future__ import annotations

import logging
from typing import Any

from tasktree_rt.client.joining import context
from tasktree_rt.client.joining.open_node import Open
from tasktree_rt.client.log_guard import muted
from tasktree_rt.client.run.base import BaseRun
from tasktree_rt.core.events import Json


class NodeHandler(logging.Handler):
    """Sends each record as a ``log`` event of the node within whose block it is logged.

    ::

        logging.getLogger().addHandler(NodeHandler())

    An event has `level` (``debug``, ``info``, ``warning`` …), `message` (as the handler's formatter makes it:
    with the exception's traceback by default) and `logger`. It never blocks: what is more than can be sent is
    left out and counted, and a line says how much (`OutflowStatistics.dropped`).

    Args:
        run: gets the records that are logged outside of every node; default: they are ignored.
    """

    def __init__(self, level: int | str = logging.NOTSET, *, run: BaseRun[Any] | None = None) -> None:
        super().__init__(level)
        self._run = run

    def emit(self, record: logging.LogRecord) -> None:
        """See the class. What the client itself logs while it sends is left out: it would never end."""
        if muted.get():
            return
        node = context.current()
        if not isinstance(node, Open) and self._run is None:
            return
        try:
            text = self.format(record)
        except Exception:  # as every handler: a bad record is reported on standard error and goes no further
            self.handleError(record)
            return
        extra: Json = {"logger": record.name}
        if isinstance(node, Open):
            node.line(text, record.levelname.lower(), extra)
        elif self._run is not None:
            self._run.line(text, level=record.levelname.lower(), node_id=None, extra=extra)
