"""``POST /v1/traces``, ``/v1/logs`` and ``/v1/metrics``: OpenTelemetry's protocol over HTTP."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import trio
from quart import Blueprint, Response, request
from structlog import get_logger

from tasktree_rt.dialects.base import decode_json
from tasktree_rt.dialects.otlp import json_records, protobuf_records
from tasktree_rt.dialects.otlp.answers import JSON, PROTOBUF, accepted, refused
from tasktree_rt.dialects.otlp.attributes import Showing
from tasktree_rt.dialects.otlp.records import Malformed
from tasktree_rt.dialects.otlp.redaction import Redaction
from tasktree_rt.errors import InvalidInput, Refused
from tasktree_rt.hub.hub import Hub
from tasktree_rt.settings import Settings
from tasktree_rt.web.otlp.body import RETRY_AFTER, Room, encoding, read
from tasktree_rt.web.otlp.caller import RequestCaller
from tasktree_rt.web.otlp.intake import Batch, SpanIntake
from tasktree_rt.web.otlp.locks import Locks
from tasktree_rt.web.otlp.log_intake import LogIntake
from tasktree_rt.web.otlp.outcome import Outcome
from tasktree_rt.web.otlp.upkeep import Upkeep

log = get_logger("tasktree_rt.otlp")

LARGE: Final = 256 * 1024
"""Bytes of a body whose hash a thread computes."""
Body = bytes | bytearray
Take = Callable[[Body, Batch], Awaitable[Outcome]]
_MEMBER: Final = {"spans": "rejectedSpans", "logs": "rejectedLogRecords"}


class OtlpRoutes:
    """The views; `routes` registers them. The caller's grants are in ``g.grants``."""

    def __init__(self, hub: Hub, settings: Settings) -> None:
        self._hub = hub
        self._settings = settings.otlp
        self._room = Room(settings.otlp)
        self._turns = Locks()
        showing = Showing(settings.otlp_content, Redaction(settings.otlp.redact), settings.otlp.internal)
        traces = hub.extensions.get(Upkeep, partial(Upkeep, hub)).traces
        self._spans = SpanIntake(hub, traces, showing)
        self._logs = LogIntake(hub, traces, showing)

    def routes(self) -> Blueprint:
        """Make the routes, under ``/v1``."""
        found = Blueprint("otlp", __name__)
        found.post("/traces")(self.traces)
        found.post("/logs")(self.logs)
        found.post("/metrics")(self.metrics)
        found.after_request(_as_status)
        return found

    async def traces(self) -> Response:
        """Take spans: each becomes a node."""
        kind = encoding()
        reader = json_records if kind == JSON else protobuf_records
        return await self._taken(
            kind, "spans", lambda body, batch: self._spans.take(reader.read_spans(body), batch)
        )

    async def logs(self) -> Response:
        """Take log records: those of a span become lines of its node."""
        kind = encoding()
        reader = json_records if kind == JSON else protobuf_records
        return await self._taken(
            kind, "logs", lambda body, batch: self._logs.take(reader.read_logs(body), batch)
        )

    async def metrics(self) -> Response:
        """Read metrics and drop them: a program's SDK sends them to the same address, and would complain."""
        kind = encoding()
        caller = RequestCaller()
        with self._room.take(caller.owner, self._announced()) as held:
            await read(held, self._settings, kind)
        return Response(accepted(kind), content_type=kind)

    def _announced(self) -> int:
        size = request.content_length
        most = self._settings.max_request
        return most if size is None else min(size, most)

    async def _taken(self, kind: str, signal: str, take: Take) -> Response:
        caller = RequestCaller()
        with self._room.take(caller.owner, self._announced()) as held:
            body = await read(held, self._settings, kind)
            digest = await _digest(body)
            async with self._turns.of(caller.owner):  # one request of a caller at a time
                try:
                    outcome = await take(body, Batch(caller, digest, signal))
                except Malformed as error:
                    raise InvalidInput(f"the body is no OTLP request: {error}") from None
        return self._answer(kind, signal, outcome)

    def _answer(self, kind: str, signal: str, outcome: Outcome) -> Response:
        self._hub.meter.otlp_taken(signal, outcome.taken)
        for code, number in outcome.refused.items():
            self._hub.meter.otlp_rejected(code, number)
        if not outcome.rejected:
            return Response(accepted(kind), content_type=kind)
        log.warning("refused", signal=signal, number=outcome.rejected, reason=outcome.message)
        if not outcome.taken and set(outcome.refused) == {"forbidden"}:
            raise Refused(outcome.message)  # exporters show no partial success
        body = accepted(kind, rejected=outcome.rejected, message=outcome.message, member=_MEMBER[signal])
        return Response(body, content_type=kind)


async def _digest(body: Body) -> bytes:
    if len(body) < LARGE:
        return hashlib.sha256(body).digest()
    return await trio.to_thread.run_sync(lambda: hashlib.sha256(body).digest())


async def _as_status(response: Response) -> Response:
    """Answer an error as the protocol wants it: a ``google.rpc.Status`` in the request's encoding."""
    if response.status_code < 400:
        return response
    kind = JSON if (request.mimetype or "").lower() == JSON else PROTOBUF
    problem = decode_json(await response.get_data(as_text=False))
    detail = problem.get("detail") if isinstance(problem, dict) else None
    response.set_data(refused(kind, response.status_code, detail if isinstance(detail, str) else ""))
    response.content_type = kind
    if response.status_code in (429, 503):
        response.headers.setdefault("Retry-After", str(round(RETRY_AFTER)))
    return response
