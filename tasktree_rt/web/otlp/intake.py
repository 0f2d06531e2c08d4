"""Publish the spans of a request in slices, between which others have their turn.

Spans are read until a *group* is full. Within it they go by their begin, so that most parents come first,
and in slices of `SLICE`. Of each project in a slice the hub makes one publish: it looks at the tree after
all accepted events and makes the events from that (`dialects.otlp.plan`). One request at a time does so for
a project. A repeated request has the same keys, so nothing is stored twice.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from attrs import define, frozen
from structlog import get_logger

from tasktree_rt.dialects.otlp.attributes import Showing
from tasktree_rt.dialects.otlp.nodes import node_of
from tasktree_rt.dialects.otlp.plan import Plan, plan
from tasktree_rt.dialects.otlp.records import Span, Spans, Unread
from tasktree_rt.dialects.otlp.statuses import is_pending
from tasktree_rt.errors import PeerError
from tasktree_rt.hub.cooperative import yield_if_due
from tasktree_rt.hub.hub import Hub, Key, PublishReceipt
from tasktree_rt.hub.projects.project import Project
from tasktree_rt.hub.publish.pending_publish import PendingPublish
from tasktree_rt.web.otlp.caller import Caller
from tasktree_rt.web.otlp.locks import Locks
from tasktree_rt.web.otlp.outcome import RETRIED, Outcome
from tasktree_rt.web.otlp.routing import declare, project_of
from tasktree_rt.web.otlp.traces import Traces

log = get_logger("tasktree_rt.otlp")

SLICE: Final = 32
"""Spans of one publish at most."""
GROUP: Final = 2_048
"""Spans that are in memory at once; those of one request know of each other only within it."""
GROUP_BYTES: Final = 4 * 1024 * 1024
"""Bytes that they had in the request."""
SPARE: Final = 4
"""Events that a span may become beside its lines: its node, its parent's, the project's fields and state."""
PRODUCER: Final = "otlp"


@frozen
class Batch:
    """A request: whose it is, and the hash of its body.

    Attributes:
        signal: ``spans`` or ``logs``; part of the keys.
    """

    caller: Caller
    digest: bytes
    signal: str

    def key(self, place: str) -> Key:
        """Return the key of one publish of the request."""
        return Key(self.caller.subject, PRODUCER, f'"{self.signal}-{self.digest.hex()[:40]}-{place}"')


class _Overtaken(Exception):
    """The tree is no longer the one for which the events were made."""


@define
class _Part:
    """The spans of one project in a slice, and what they became."""

    project: str
    spans: Sequence[Span]
    place: str
    pending: PendingPublish | None = None


class SpanIntake:
    """See the module's docstring."""

    def __init__(self, hub: Hub, traces: Traces, showing: Showing) -> None:
        self._hub = hub
        self._traces = traces
        self._showing = showing
        self._locks = Locks()
        self._most = hub.settings.limits.max_events_per_publish

    async def take(self, found: Spans, batch: Batch) -> Outcome:
        """Publish the spans of a request; returns when all are stored and sent to the watchers.

        Raises:
            Malformed: the body is no request. What came before the fault is stored.
            PeerError: the exporter has to repeat the request (a code of `RETRIED`).
        """
        outcome, group, size, number = Outcome(), list[Span](), 0, 0
        for one in found:
            await yield_if_due()
            if isinstance(one, Unread):
                outcome.refuse("invalid_message", one.reason)
            elif one is not None:
                group.append(one)
                size += one.size
            if len(group) >= GROUP or size >= GROUP_BYTES:
                await self._group(group, batch, number, outcome)
                group, size, number = [], 0, number + 1
        await self._group(group, batch, number, outcome)
        return outcome

    async def _group(self, group: list[Span], batch: Batch, number: int, outcome: Outcome) -> None:
        declare(self._traces, batch.caller.owner, group)
        coming = {node_of(one) for one in group}
        group.sort(key=lambda span: span.start)
        for index in range(0, len(group), SLICE):
            await self._slice(group[index : index + SLICE], batch, f"{number}-{index}", coming, outcome)

    async def _slice(
        self, spans: list[Span], batch: Batch, place: str, coming: Collection[str], outcome: Outcome
    ) -> None:
        by_project: dict[str, list[Span]] = {}
        for span in spans:
            name = project_of(self._traces, batch.caller.owner, span)
            by_project.setdefault(name, []).append(span)
        accepted: list[_Part] = []
        for name, members in by_project.items():
            refusal = await batch.caller.refusal(name)
            if refusal is not None:
                outcome.refuse(refusal.code, str(refusal), len(members))
                continue
            for number, some in enumerate(self._fitting(members)):
                part = _Part(name, some, f"{place}-{number}")
                await self._accept_or_refuse(part, batch, coming, outcome, accepted)
        for part in accepted:
            await self._stored(part, outcome)

    def _fitting(self, spans: Sequence[Span]) -> list[Sequence[Span]]:
        """Split spans so that none of the parts becomes more events than one publish may have."""
        parts: list[list[Span]] = [[]]
        events = 0
        for span in spans:
            more = SPARE + len(span.events)
            if more > self._most:
                del span.events[max(0, self._most - SPARE) :]
                more = self._most
            if parts[-1] and events + more > self._most:
                parts.append([])
                events = 0
            parts[-1].append(span)
            events += more
        return list(parts)

    async def _accept_or_refuse(
        self, part: _Part, batch: Batch, coming: Collection[str], outcome: Outcome, accepted: list[_Part]
    ) -> None:
        """Accept a part; if the hub refuses it, each of its spans alone, so that one spoils no other."""
        try:
            await self._accept(part, batch, coming)
            accepted.append(part)
            return
        except PeerError as error:
            if error.code in RETRIED:
                raise
            if len(part.spans) == 1:
                outcome.refuse(error.code, str(error))
                return
        for number, span in enumerate(part.spans):
            alone = _Part(part.project, [span], f"{part.place}-{number}")
            await self._accept_or_refuse(alone, batch, coming, outcome, accepted)

    async def _accept(self, part: _Part, batch: Batch, coming: Collection[str]) -> None:
        """Make the events of a part and have the hub accept them.

        Raises:
            PeerError: the hub refused them.
        """
        await self._hub.fair_turns.take(part.project, sum(one.size for one in part.spans))
        async with self._locks.of(part.project):
            counted = False
            while True:
                tree = (await self._hub.history.log(part.project)).staged
                now = self._hub.timestamp()
                made = plan(part.project, part.spans, tree, coming, self._showing, now)
                if not counted:
                    batch.caller.admit(part.project, len(made.events))
                    counted = True
                try:
                    part.pending = await self._submit(part, made, batch)
                except _Overtaken:
                    continue
                self._note(part, made)
                return

    async def _submit(self, part: _Part, made: Plan, batch: Batch) -> PendingPublish | None:
        if not made.events:
            return None

        def still_holds(project: Project) -> None:
            if not made.holds(project.staged):
                raise _Overtaken

        found = await self._hub.publisher.submit(
            made.events,
            key=batch.key(f"{part.project}-{part.place}"),
            fingerprint=batch.digest,
            precondition=still_holds,
            owner=batch.caller.owner,
            producer=(PRODUCER, part.project),
        )
        return None if isinstance(found, PublishReceipt) else found

    def _note(self, part: _Part, made: Plan) -> None:
        begun = {*made.provisional, *made.begun}
        for span in part.spans:
            open_nodes = tuple(one for one in (node_of(span), span.parent_id) if one in begun)
            self._traces.touch(part.project, span.trace_id, open_nodes)
            if not is_pending(span):
                self._traces.ended(part.project, span.trace_id, node_of(span))

    async def _stored(self, part: _Part, outcome: Outcome) -> None:
        """Wait until a part is stored.

        Raises:
            PeerError: it is not, and the exporter has to repeat the request.
        """
        if part.pending is not None:
            await part.pending.wait()
        outcome.taken += len(part.spans)
