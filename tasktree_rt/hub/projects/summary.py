"""Encode a project's summary: title, group, labels, url, counts, and what its nodes have used.

One JSON object in bytes, bounded whatever a producer says, stored with every append, so that the list of
projects needs none of them in memory. It is made for every publish, so what seldom changes is kept encoded.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

from tasktree_rt.brokers.base import Summary
from tasktree_rt.core.event_schema import is_run, is_series
from tasktree_rt.core.events import Json, micros_to_time
from tasktree_rt.core.nodes import Nodes
from tasktree_rt.core.usage import NOTHING, as_json
from tasktree_rt.dialects.base import encode_json, measure

MAX_NAME: Final = 256
"""Characters of a title or a group; longer ones are cut."""
MAX_URL: Final = 2_048
"""Characters of an address; a longer one is left out."""
MAX_LABELS: Final = 2_048
"""Bytes of labels; longer ones are left out."""
MAX_STATUSES: Final = 32
"""Statuses that are counted by name."""
MAX_STATUS: Final = 64
"""Characters of one that is."""
OTHERS: Final = "*"
"""The name under which nodes of all other statuses count."""


class SummaryEncoder:
    """One tree's encoder. It keeps what it made: of the top fields, which are replaced and never mutated, and
    of the whole while no status and no usage changes.
    """

    __slots__ = ("_begin", "_recounted", "_top", "_whole")

    def __init__(self) -> None:
        self._top: dict[str, Any] | None = None
        self._begin = b""
        self._recounted = 0
        self._whole = b""

    def encode(self, nodes: Nodes) -> bytes:
        """Encode the summary of `nodes`."""
        if nodes.top is not self._top:
            self._top = nodes.top
            self._begin = encode_json(_told(nodes.top))[:-1] + b',"counts":'
        elif self._whole and nodes.recounted == self._recounted and nodes.used() is NOTHING:
            return self._whole
        used = nodes.used()
        end = b"}" if used == NOTHING else b',"usage":%b}' % encode_json(as_json(used))
        whole = self._begin + encode_json(counted(nodes)) + end
        self._recounted, self._whole = nodes.recounted, whole if used is NOTHING else b""
        return whole


def line(summary: Summary) -> bytes:
    """A summary with its `about` as the JSON object that peers get."""
    begin = encode_json(
        {
            "project_id": summary.project_id,
            "epoch": summary.epoch,
            "seq": summary.seq,
            "state": _text(summary.state, MAX_NAME),
            "nodes": summary.nodes,
            "updated_at": micros_to_time(summary.received),
        }
    )
    if summary.damaged:
        begin = begin[:-1] + b',"damaged":true}'
    return begin[:-1] + b"," + (summary.about or _NOTHING)[1:]


def counted(nodes: Nodes) -> Mapping[str, int]:
    """Count nodes by status; the statuses beyond the limits count together."""
    counts = nodes.counts()
    if len(counts) <= MAX_STATUSES and max(map(len, counts), default=0) <= MAX_STATUS:
        return counts
    found = {name: count for name, count in islice(counts.items(), MAX_STATUSES) if len(name) <= MAX_STATUS}
    rest = len(nodes) - sum(found.values())
    return {**found, OTHERS: found.get(OTHERS, 0) + rest} if rest else found


def _told(top: Json) -> Json:
    project, orchestrator = top["project"], top["orchestrator"]
    told: Json = {name: value for name, value in series_of(project).items() if value is not None}
    labels, url = project.get("labels"), _text(project.get("url"), MAX_URL + 1)
    return {
        "title": _text(project.get("title"), MAX_NAME),
        "group": _text(project.get("group"), MAX_NAME),
        "labels": labels if labels is not None and measure(labels) <= MAX_LABELS else None,
        "url": url if url is not None and len(url) <= MAX_URL else None,
        "prompts": len(top["prompts"]),
        "orchestrator": _text(orchestrator.get("status"), MAX_NAME) if orchestrator else None,
        **told,
    }


def series_of(project: Json) -> Json:
    """The series that a project's own fields name, and what the run is called in it; None if they do not."""
    series, run = project.get("series"), project.get("run")
    named = series if is_series(series) else None
    return {"series": named, "run": run if named is not None and is_run(run) else None}


def _text(value: object, most: int) -> str | None:
    return value[:most] if type(value) is str else None


_NOTHING: Final = SummaryEncoder().encode(Nodes())
"""The summary of an empty project."""
