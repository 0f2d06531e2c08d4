"""Encode a whole state as one response, part by part as the socket takes them: a large one delays no other
task.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from tasktree_rt.core.events import Json
from tasktree_rt.core.nodes import wholes
from tasktree_rt.dialects.base import decode_json, encode_json
from tasktree_rt.dialects.tasktree.messages import state_data
from tasktree_rt.hub.projects.large_values import LargeValues
from tasktree_rt.hub.projects.shared_snapshot import SharedSnapshot

END: Final = b"]}}"
HTTP: Final = "http"


def state_pieces(head: Json, project: str, top: Mapping[str, Any], nodes: Iterable[bytes]) -> Iterator[bytes]:
    """``{…head, "data": {…top, "nodes": […]}}`` with the nodes of all arrays that `nodes` gives."""
    body = encode_json({**head, "data": state_data(project, top, [])})
    assert body.endswith(b"[" + END), "a state ends with its nodes"
    yield body[: -len(END)]
    comma = b""
    for array in nodes:
        if len(array) > 2:
            yield comma + array[1:-1]
            comma = b","
    yield END


def nodes_of(planned: SharedSnapshot) -> Iterator[bytes]:
    """Yield the nodes of a frozen state as JSON arrays. Responses share the encoded arrays."""
    for index in range(planned.parts):
        key = (HTTP, "", index)
        found = planned.recall(key)
        if found is None:
            found = encode_json(list(wholes(planned.part(index, "").nodes)))
            planned.remember(key, found)
        yield found


def nodes_in(parts: Iterable[bytes], large: LargeValues) -> Iterator[bytes]:
    """The same of what `hub.checkpoints.encode_parts` made of it, but for the first part."""
    for part in parts:
        nodes = decode_json(part, ours=True)
        yield encode_json([{"node_id": node_id, **large.fields(fields)} for node_id, fields in nodes])
