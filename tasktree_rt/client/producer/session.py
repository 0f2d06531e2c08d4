"""A producer's connection: sends what waits, takes the responses, notices when the hub is gone.

The hub's response to a publish decides what happens to it:

- an ack, or a refusal for good, settles it; the same goes for results of commands (`obeying`);
- a refusal for now (``overloaded``, ``store_unavailable``, ``draining`` …) leaves it where it is, and
  this connection sends nothing more: whatever the hub took behind it would be out of order. Answers
  that are still on their way are taken, then everything unanswered is sent again on a new connection,
  after the time the hub advised.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Final

import trio

from tasktree_rt.client.producer.command_inbox import AGAIN, CommandInbox
from tasktree_rt.client.producer.encode import encode_event, publish_text
from tasktree_rt.client.producer.receipt import Receipt, read_ack
from tasktree_rt.client.producer.split_batch import divided
from tasktree_rt.client.producer.unacknowledged import Unacknowledged
from tasktree_rt.client.transport.connection import Connection
from tasktree_rt.client.transport.errors import ConnectionEnded
from tasktree_rt.client.transport.nursery import background
from tasktree_rt.client.transport.refusals import is_transient, milliseconds
from tasktree_rt.client.transport.renewal import Renewal
from tasktree_rt.client.transport.tokens import TrioTokens
from tasktree_rt.core.close_codes import TOO_LARGE
from tasktree_rt.core.events import Json
from tasktree_rt.dialects.base import encode_json
from tasktree_rt.errors import PublishRefused, RequestRefused

PING_INTERVAL: Final = 20.0
PING_TIMEOUT: Final = 30.0
"""Generous: while 64 publishes are being committed the hub reads nothing, so it does not answer pings."""
LINGER: Final = 5.0
"""Seconds for answers to come in after a refusal for now."""
DRAIN: Final = 60.0
"""Seconds that the hub has to close after ``draining``."""

OnRefused = Callable[[Receipt, PublishRefused], None]
_logger: Final = logging.getLogger("tasktree_rt.client")


class ProducerSession:
    """See the module.

    Attributes:
        changed: wakes the tasks that wait for room, for work or for responses.
        inbox: the commands and their results.
    """

    def __init__(
        self,
        outstanding: Unacknowledged,
        on_refused: OnRefused | None,
        commands: Iterable[str],
        tokens: TrioTokens,
    ) -> None:
        self.changed = trio.lowlevel.ParkingLot()
        self._renewal = Renewal(tokens, self.changed.unpark_all)
        self.inbox = CommandInbox(commands, outstanding.window, self.changed)
        self.connection: Connection | None = None
        self.last_error: str | None = None
        self.connections = self.acked = self.duplicates = self.refused = self.resent = 0
        self._outstanding = outstanding
        self._window = outstanding.window
        self._on_refused = on_refused or _log_refusal
        self._halted = False
        self._refused_for_now: set[str] = set()
        self._retry_after: float | None = None

    async def serve(self, connection: Connection) -> None:
        """Use one connection to its end.

        Raises:
            ConnectionEnded: always.
        """
        self.resent += self._window.rewind()
        self.connections += 1
        self._halted, self._retry_after = False, None
        self._refused_for_now.clear()
        self.inbox.rewind()
        self._renewal.begin(connection)
        self.connection = connection
        try:
            async with background() as nursery:
                nursery.start_soon(self._send_all, connection)
                nursery.start_soon(_keep_alive, connection)
                nursery.start_soon(self._renewal.run, connection)
                if self.inbox.projects:
                    nursery.start_soon(self._try_again)
                await self._receive_all(connection)
        except ConnectionEnded as end:
            raise self._explained(end) from None
        finally:
            self.connection = None

    async def connection_ended(self, end: ConnectionEnded, delay: float) -> None:
        """A connection ended, or could not be made; the next try is in `delay` seconds."""
        self.last_error = str(end)
        _logger.info("%s; trying again in %.2f s", end, delay)

    def refuse(self, receipt: Receipt, error: PublishRefused) -> None:
        """The hub will never take this one; of a batch it may take the parts."""
        events = self._outstanding.events(receipt) if receipt.alone else []
        halves = divided(events, error.code)
        if halves:
            receipt.parts = len(halves)
            self._window.add_first([_part(receipt, n, half) for n, half in enumerate(halves)])
            return
        self._outstanding.settle(receipt, error)
        self.refused += 1
        if receipt.lost is not None:
            for event in events:
                receipt.lost(event, error)
        if receipt.lost is None or self._on_refused is not _log_refusal:
            self._on_refused(receipt, error)

    def _explained(self, end: ConnectionEnded) -> ConnectionEnded:
        """Explain the end of a connection by the messages received on it."""
        if end.code == TOO_LARGE.code:
            # The hub does not say which. One limit holds for all, so the largest in flight is above it.
            culprit = self._window.largest()
            if culprit is not None and self._window.settle(culprit.id) is not None:
                self.refuse(culprit, PublishRefused("too_large", f"{culprit.size} bytes are too many"))
                return ConnectionEnded(str(end), code=end.code)
        if end.retry_after is None:
            end.retry_after = self._retry_after
        return end

    async def _send_all(self, connection: Connection) -> None:
        try:
            while True:
                text = None if self._halted else self._next()
                if text is None:
                    await self.changed.park()
                else:
                    await connection.send(text)
        except ConnectionEnded:
            return  # the receiver learns of it too, after the answers that were on their way

    def _next(self) -> bytes | None:
        """The next message to send, a new token first; of a command once everything published before was
        sent.
        """
        renewal = self._renewal.next()
        if renewal is not None:
            return encode_json(renewal)
        result = self.inbox.next()
        if result is not None:
            return result
        receipt = self._window.next()
        return None if receipt is None else self._outstanding.text(receipt)

    async def _try_again(self) -> None:
        while True:
            await trio.sleep(AGAIN)
            self.inbox.release()
            self.changed.unpark_all()

    async def _receive_all(self, connection: Connection) -> None:
        with trio.CancelScope() as scope:
            while not self._all_refused_for_now():
                message = await connection.receive()
                patience = self._take(connection, message)
                if patience is not None:
                    self._halted = True
                    scope.deadline = min(scope.deadline, trio.current_time() + patience)
                self.changed.unpark_all()
                await self._outstanding.compact()
        raise ConnectionEnded(self.last_error or "the hub did not close after it said that it would")

    def _all_refused_for_now(self) -> bool:
        return bool(self._refused_for_now) and len(self._refused_for_now) >= self._window.flying

    def _take(self, connection: Connection, message: Json) -> float | None:
        """Take one message; returns how many seconds this connection still has, if it is to end."""
        kind = message.get("type")
        if self._renewal.take(message):
            return None
        if kind == "ack":
            self._take_ack(connection, message)
        elif kind == "error":
            return self._take_error(message)
        elif kind == "command":
            self._take_command(connection, message)
        elif kind == "reply":
            connection.good = self.inbox.replied(message.get("id")) or connection.good
        elif kind == "draining":
            self._advised(milliseconds(message.get("data"), "reconnect_after_ms"))
            return DRAIN
        return None

    def _take_ack(self, connection: Connection, message: Json) -> None:
        try:
            outcome = read_ack(message)
        except (KeyError, TypeError, ValueError) as error:
            raise ConnectionEnded(f"the peer is not a hub: an ack without {error}", final=True) from None
        receipt = self._window.settle(message.get("id"))
        if receipt is None:
            return
        connection.good = True
        self.acked += 1
        self.duplicates += outcome.duplicate
        self._outstanding.settle(receipt, outcome)

    def _take_command(self, connection: Connection, message: Json) -> None:
        try:
            self.inbox.take(message)
        except (KeyError, TypeError) as error:
            raise ConnectionEnded(f"the peer is not a hub: a command without {error}", final=True) from None
        connection.good = True

    def _take_error(self, message: Json) -> float | None:
        code, text, field = (message.get(key) for key in ("code", "message", "field"))
        publish_id = message.get("id")
        if is_transient(code):
            self.last_error = f"{code}: {text}"
            self._advised(milliseconds(message, "retry_after_ms"))
            if isinstance(publish_id, str):
                self._refused_for_now.add(publish_id)
            return LINGER
        place = field if isinstance(field, str) else None
        outcome = message.get("outcome")
        told = outcome if isinstance(outcome, dict) else None
        if self.inbox.refused(publish_id, RequestRefused(str(code), str(text), place, told)):
            return None
        receipt = self._window.settle(publish_id)
        if receipt is None:
            _logger.warning("the hub reports %s: %s", code, text)
            return None
        self.refuse(receipt, PublishRefused(str(code), str(text), place))
        return None

    def _advised(self, seconds: float | None) -> None:
        if seconds is not None:
            self._retry_after = max(self._retry_after or 0.0, seconds)


async def _keep_alive(connection: Connection) -> None:
    while True:
        await trio.sleep(PING_INTERVAL)
        with trio.move_on_after(PING_TIMEOUT) as waiting:
            await connection.ping()
        if waiting.cancelled_caught:
            await connection.abort(f"the hub gave no sign of life for {PING_TIMEOUT:g} s")
            return


def _part(whole: Receipt, number: int, events: list[Json]) -> Receipt:
    """A part of a refused batch, under an id that is the same whenever it is divided."""
    name = f"{whole.id}.{number}"
    text = publish_text(name, map(encode_event, events))
    return Receipt(name, len(text), text, lost=whole.lost, whole=whole)


def _log_refusal(receipt: Receipt, error: PublishRefused) -> None:
    _logger.warning("publish %s was refused for good: %s", receipt.id, error)
