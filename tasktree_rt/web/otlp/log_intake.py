"""Publish the log records of a request as lines of their nodes, in slices."""

from __future__ import annotations

from typing import Final

from tasktree_rt.core.events import Event
from tasktree_rt.dialects.otlp.attributes import Showing
from tasktree_rt.dialects.otlp.lines import line_of
from tasktree_rt.dialects.otlp.plan import line_event
from tasktree_rt.dialects.otlp.records import LogRecord, Logs, Unread
from tasktree_rt.errors import PeerError
from tasktree_rt.hub.cooperative import yield_if_due
from tasktree_rt.hub.hub import Hub, PublishReceipt
from tasktree_rt.web.otlp.intake import PRODUCER, Batch
from tasktree_rt.web.otlp.outcome import RETRIED, Outcome
from tasktree_rt.web.otlp.routing import project_of_record
from tasktree_rt.web.otlp.traces import Traces

SLICE: Final = 64
"""Records of one publish at most."""


class LogIntake:
    """See the module's docstring. A record that names no span and no project is dropped."""

    def __init__(self, hub: Hub, traces: Traces, showing: Showing) -> None:
        self._hub = hub
        self._traces = traces
        self._showing = showing
        self._most = min(SLICE, hub.settings.limits.max_events_per_publish)

    async def take(self, found: Logs, batch: Batch) -> Outcome:
        """Publish the records of a request; returns when all are stored and sent to the watchers.

        Raises:
            Malformed: the body is no request. What came before the fault is stored.
            PeerError: the exporter has to repeat the request.
        """
        outcome, some, number = Outcome(), list[LogRecord](), 0
        for one in found:
            await yield_if_due()
            if isinstance(one, Unread):
                outcome.refuse("invalid_message", one.reason)
            elif one is not None:
                some.append(one)
            if len(some) >= self._most:
                await self._slice(some, batch, number, outcome)
                some, number = [], number + 1
        await self._slice(some, batch, number, outcome)
        return outcome

    async def _slice(self, records: list[LogRecord], batch: Batch, number: int, outcome: Outcome) -> None:
        lines: dict[str, list[Event]] = {}
        now = self._hub.timestamp()
        for record in records:
            name = project_of_record(self._traces, batch.caller.owner, record)
            if name is not None:
                line = line_event(name, line_of(record, self._showing), now)
                lines.setdefault(name, []).append(line)
        for name, events in lines.items():
            refusal = await batch.caller.refusal(name)
            if refusal is None:
                refusal = await self._publish(name, events, batch, number)
            if refusal is None:
                outcome.taken += len(events)
            else:
                outcome.refuse(refusal.code, str(refusal), len(events))

    async def _publish(self, name: str, events: list[Event], batch: Batch, number: int) -> PeerError | None:
        """Publish lines; return why the hub refused them for good."""
        batch.caller.admit(name, len(events))
        try:
            found = await self._hub.publisher.submit(
                events,
                key=batch.key(f"{name}-{number}"),
                fingerprint=batch.digest,
                owner=batch.caller.owner,
                producer=(PRODUCER, name),
            )
            if not isinstance(found, PublishReceipt):
                await found.wait()
        except PeerError as error:
            if error.code in RETRIED:
                raise
            return error
        return None
