"""The session of an orchestrator: pipelined, idempotent, atomic publishes, answered in order.

The session accepts a publish as it reads it, and answers when it is durable, applied and in every outbox. It
stops reading while too many are unanswered, and while its producer publishes faster than it may. Once the hub
refuses a publish because it cannot take it now, it refuses every later one on this connection too, so that a
producer that sends them again keeps their order.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import Final

import trio
from attrs import define

from tasktree_rt.brokers.base import Key
from tasktree_rt.core.access import Grants, Verb
from tasktree_rt.core.close_codes import OVERLOADED
from tasktree_rt.core.event_schema import wrong
from tasktree_rt.core.events import Event, Json, parse_events
from tasktree_rt.core.protocol import Acked, Instruction, Message, Policy, Pong, Reply, RequestId
from tasktree_rt.dialects.base import MAX_REQUEST_ID, Dialect, decode_object, digest, encode_json, read_id
from tasktree_rt.errors import InvalidInput, PeerError, Unavailable
from tasktree_rt.hub.access import policy as access
from tasktree_rt.hub.error_messages import failure
from tasktree_rt.hub.hub import Hub
from tasktree_rt.hub.interactions.registry import OpenInteraction
from tasktree_rt.hub.interactions.resolution import StagedOutcome
from tasktree_rt.hub.publish.pending_publish import PendingPublish, PublishReceipt, result
from tasktree_rt.hub.sessions.base import ConnectionSession
from tasktree_rt.hub.sessions.renewal import Authenticate, renewed

_REQUESTS: Final = frozenset({"announce", "command_result", "ping", "refresh"})
"""Types of requests other than a publish."""


@define(eq=False)
class _Answer:
    """The place of one answer in the order of requests. `wanted`: the request asks for more than errors."""

    request: RequestId
    size: int
    wanted: bool
    message: Message | None = None
    fatal: bool = False


class ProducerSession(ConnectionSession):
    """See the module's docstring. Without a `producer_id` publishes are not idempotent; the producer takes
    the commands of the projects in `serves`.
    """

    renewable = True
    __slots__ = ("_answers", "_authenticate", "_broken", "_producer", "_room", "_serves", "_unacked_bytes")

    def __init__(
        self,
        hub: Hub,
        dialect: Dialect,
        producer_id: str,
        *,
        grants: Grants,
        serves: tuple[str, ...] = (),
        authenticate: Authenticate | None = None,
        address: str = "",
    ) -> None:
        super().__init__(hub, dialect, grants=grants, policy=Policy.DISCONNECT, address=address)
        self._producer = producer_id
        self._serves = serves
        self._authenticate = authenticate
        self._answers: deque[_Answer] = deque()
        self._unacked_bytes = 0
        self._room: trio.Event | None = None
        self._broken: PeerError | None = None

    async def message(self, message: str | bytes) -> None:
        """Handle one request."""
        await self.pace(message)
        await self.hub.fair_turns.take(self, len(message))
        if self.hub.stopping.begun:
            await self.hub.stopping.over.wait()
            return
        await self._take(message)
        limits = self.hub.settings.limits
        while (
            len(self._answers) >= limits.max_unacked or self._unacked_bytes >= limits.max_unacked_bytes
        ) and not self.subscriber.closing:
            self._room = trio.Event()
            await self._room.wait()
        if self.subscriber.outbox.crowded:
            await self.subscriber.outbox.room()

    def begin(self) -> None:
        """Take the waiting commands of its projects."""
        self.hub.orchestrators.serve(self, self._serves)

    def give(self, pending: OpenInteraction) -> None:
        """See `orchestrators.Obedient`."""
        self.subscriber.reply(Instruction(pending.home, pending.data))

    def ended(self, code: int | None, reason: str) -> None:
        """See `transport.Session`."""
        super().ended(code, reason)
        self.hub.orchestrators.leave(self, self._serves)
        if self._room is not None:
            self._room.set()

    async def _take(self, message: str | bytes) -> None:
        answer = _Answer(None, len(message), True)
        try:
            value = _decoded(message, answer)
            answer.request = _request_id(value)
            kind = value.get("type")
            if kind == "publish" or _is_event(value, kind):
                raw = _raw_events(value)
                answer.wanted = kind == "publish" or answer.request is not None
                await self._publish(answer, raw)
                return
            if kind == "ping":
                answer.message = Pong(answer.request)
            elif kind == "refresh":
                answer.message = await self._refresh(value.get("token"), answer.request)
            elif kind == "command_result":
                answer.wanted = answer.request is not None
                found = await self.hub.commands.stage_report(self, value, grants=self.subscriber.grants)
                self._append(answer)
                found.publish.callbacks.append(lambda _: self._reported(answer, found))
                return
            else:
                await self._announce(answer, value)
        except PeerError as error:
            self._refuse(answer, error)
        self._append(answer)
        self._send_answers()

    async def _announce(self, answer: _Answer, value: Json) -> None:
        """Note the commands that the producer obeys in all projects whose commands it takes."""
        answer.wanted = answer.request is not None
        if not self._serves:
            raise InvalidInput("expected a connection that takes commands (?commands=)", field="type")
        owner = self.subscriber.grants.owner
        await self.hub.commands.announce(self, self._serves, value.get("commands"), owner=owner)
        answer.message = Reply(answer.request)

    async def _refresh(self, token: object, request: RequestId) -> Message:
        """Take a new token; after a failure the connection keeps the grants that it has."""
        try:
            if not isinstance(token, str):
                raise wrong("token", "a string", token, "invalid_message")
            if self._authenticate is not None:
                found = await renewed(self.subscriber.grants, token, self._authenticate)
                found = await self.hub.access.require(found, Verb.PUSH, self._serves, field="commands")
                self.hub.subscriptions.regrant(self.subscriber, found)
        except PeerError as error:
            self.hub.meter.refused(error.code)
            return failure(error, request)
        return Reply(request)

    async def _publish(self, answer: _Answer, raw: list[object]) -> None:
        """Accept a publish, and take its answer's place in the order in the same step."""
        try:
            if self._broken is not None:
                raise self._broken
            events = self._events(raw)
            if Verb.PUSH in self.hub.access.asked:
                await self._permit(events)
            else:
                access.require_push(self.subscriber.grants, map(_project, events))
            key, fingerprint = None, None
            if answer.request is not None and self._producer:
                key = Key(
                    self.subscriber.grants.subject, self._producer, encode_json(answer.request).decode()
                )
                fingerprint = digest(raw)
            wait = self.peer.pace_events(str(events[0].project_id), len(events)) if events else 0.0
            if wait:
                await self._pause(wait)
            owner = self.subscriber.grants.owner
            found = await self.hub.publisher.submit(
                events, key=key, fingerprint=fingerprint, owner=owner, producer=self, pause=self._pause
            )
        except PeerError as error:
            self._refuse(answer, error)
            self._append(answer)
            self._send_answers()
            return
        self._append(answer)
        if isinstance(found, PublishReceipt):
            self._acknowledge(answer, found)
            self._send_answers()
            return
        found.callbacks.append(partial(self._done, answer))

    async def _pause(self, seconds: float) -> None:
        """Do not read from the producer for so long.

        Raises:
            Unavailable: the connection closes.
        """
        await self.pause(seconds)
        if self.subscriber.closing:
            raise Unavailable("the connection closes", code="overloaded", retry_after=seconds)

    def _events(self, raw: list[object]) -> list[Event]:
        most = self.hub.settings.limits.max_events_per_publish
        return parse_events(raw, most=most, now=self.hub.timestamp())

    async def _permit(self, events: list[Event]) -> None:
        """Refuse events of a project that the producer may not push to, if the service is asked for that."""
        names = dict.fromkeys(map(_project, events))
        grants = await self.hub.access.extended(self.subscriber.grants, Verb.PUSH, *names)
        access.require_push(grants, names)

    # --- answers ----------------------------------------------------------------------------------

    def _append(self, answer: _Answer) -> None:
        self._answers.append(answer)
        self._unacked_bytes += answer.size

    def _refuse(self, answer: _Answer, error: PeerError) -> None:
        self.audit(error)
        self.hub.meter.refused(error.code)
        answer.message, answer.wanted = failure(error, answer.request), True
        if isinstance(error, Unavailable):
            self._broken = error
            answer.fatal = True

    def _acknowledge(self, answer: _Answer, found: PublishReceipt) -> None:
        answer.message = Acked(
            answer.request, found.project_id, found.epoch, found.first, found.last, found.duplicate
        )

    def _done(self, answer: _Answer, publish: PendingPublish) -> None:
        try:
            self._acknowledge(answer, result(publish))
        except PeerError as error:
            self._refuse(answer, error)
        self.hub.committer.afterwards[self._send_answers] = None

    def _reported(self, answer: _Answer, found: StagedOutcome) -> None:
        try:
            found.check()
            answer.message = Reply(answer.request)
        except PeerError as error:
            self._refuse(answer, error)
        self.hub.committer.afterwards[self._send_answers] = None

    def _send_answers(self) -> None:
        """Send the settled answers before the first open one, in one write."""
        messages: list[Message] = []
        fatal = False
        while self._answers and self._answers[0].message is not None:
            answer = self._answers.popleft()
            self._unacked_bytes -= answer.size
            fatal = fatal or answer.fatal
            if answer.wanted and answer.message is not None:
                messages.append(answer.message)
        self.subscriber.replies(messages)
        if self._room is not None:
            self._room.set()
            self._room = None
        if fatal and not self._answers:
            self.close(OVERLOADED)


def _decoded(message: str | bytes, answer: _Answer) -> Json:
    try:
        return decode_object(message)
    except InvalidInput:
        answer.request = read_id(message)
        raise


def _project(event: Event) -> str:
    return str(event.project_id)


def _request_id(value: Json) -> RequestId:
    found = value.get("id")
    if found is None or type(found) is int or (type(found) is str and len(found) <= MAX_REQUEST_ID):
        return found
    raise InvalidInput(f"expected a string of at most {MAX_REQUEST_ID} characters or an integer", field="id")


def _is_event(value: Json, kind: object) -> bool:
    """Return whether a message is an event by itself, and none of the requests."""
    return type(kind) is not str or kind not in _REQUESTS or "project_id" in value


def _raw_events(value: Json) -> list[object]:
    kind = value.get("type")
    if kind != "publish":
        if not isinstance(kind, str):
            raise InvalidInput('expected "publish" or an event\'s type', field="type")
        return [{key: item for key, item in value.items() if key != "id"}]
    events = value.get("events")
    if not isinstance(events, list):
        raise InvalidInput("expected an array", field="events")
    return events
