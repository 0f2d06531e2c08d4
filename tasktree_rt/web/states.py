"""A whole state as one answer, encoded in slices: however large it is, nobody else waits for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from quart import Response

from tasktree_rt.core.events import Json
from tasktree_rt.core.nodes import wholes
from tasktree_rt.core.tree import Snapshot
from tasktree_rt.dialects.base import decode_json, encode_json
from tasktree_rt.dialects.tasktree.messages import state_data
from tasktree_rt.hub.pace import breathe

SLICE: Final = 500
"""Nodes that are encoded between two yields to the loop: about a millisecond."""
END: Final = b"]}}"
JSON: Final = "application/json"


async def state_reply(
    head: Json, project: str, top: Mapping[str, Any], slices: Iterable[Sequence[Json]]
) -> Response:
    """``{…head, "data": {…top, "nodes": […]}}`` with the nodes of all slices."""
    body = encode_json({**head, "data": state_data(project, top, [])})
    assert body.endswith(b"[" + END), "a state ends with its nodes"
    pieces = [body[: -len(END)]]
    comma = b""
    for nodes in slices:
        if nodes:
            pieces += (comma, encode_json(nodes)[1:-1])
            comma = b","
        await breathe()
    pieces.append(END)
    return Response(b"".join(pieces), content_type=JSON)


def nodes_of(snapshot: Snapshot) -> Iterator[Sequence[Json]]:
    """The nodes of a state, whole, in slices."""
    for nodes in snapshot.slices(SLICE):
        yield list(wholes(nodes))


def nodes_in(parts: Iterable[bytes]) -> Iterator[Sequence[Json]]:
    """The same of what `hub.shelf.encode_parts` made of it, but for the first part."""
    for part in parts:
        yield [{"node_id": node_id, **fields} for node_id, fields in decode_json(part)]
