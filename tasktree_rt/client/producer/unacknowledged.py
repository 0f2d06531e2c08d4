"""A producer's publishes that have no answer yet: in the window, and in the spool file if there is one."""

from __future__ import annotations

import logging
from typing import Final

import trio

from tasktree_rt.client.producer.in_flight_window import Window
from tasktree_rt.client.producer.receipt import Acked, Lost, Receipt
from tasktree_rt.client.producer.spool import Place, Spool
from tasktree_rt.core.events import Json
from tasktree_rt.dialects.base import decode_object
from tasktree_rt.errors import ClientError, InvalidInput, PublishRefused

_logger: Final = logging.getLogger("tasktree_rt.client")


class Unacknowledged:
    """See the module. With a spool, what an earlier process left in it is outstanding from the beginning."""

    def __init__(self, window: Window[Receipt], spool: Spool | None) -> None:
        self.window = window
        self.spool = spool
        self._file = trio.Lock()
        """Held while the spool is written to: never while waiting for room, which rewriting it may make."""
        for place in spool.waiting.values() if spool is not None else ():
            window.add(Receipt(place.id, place.size, None, place))

    def room(self, size: int) -> bool:
        """Whether a publish of `size` bytes may be added now."""
        return self.window.room(size) if self.spool is None else self.spool.room(size)

    def same(self, publish_id: str, text: bytes) -> Receipt | None:
        """The receipt of the publish that is outstanding under this id.

        Raises:
            PublishRefused: ``idempotency_conflict``: it is another one.
        """
        known = self.window.get(publish_id)
        if known is not None and self.text(known) != text:
            raise PublishRefused("idempotency_conflict", f"another publish is unanswered under {known.id!r}")
        return known

    async def add(self, publish_id: str, text: bytes, lost: Lost | None) -> Receipt:
        """Keep a publish until it is settled; if cancelled, it was never added.

        Raises:
            ClientError: the spool cannot be written.
        """
        if self.spool is None:
            receipt = Receipt(publish_id, len(text), text, lost=lost)
        else:
            async with self._file:
                place = self.spool.append(publish_id, text)
                if self.spool.fsync:
                    await _synced(self.spool, place)
            receipt = Receipt(publish_id, len(text), None, place, lost)
        self.window.add(receipt)
        return receipt

    def text(self, receipt: Receipt) -> bytes:
        """The message of an outstanding publish.

        Raises:
            ClientError: the spool cannot be read.
        """
        if receipt.text is not None:
            return receipt.text
        assert self.spool is not None
        assert receipt.place is not None
        return self.spool.load(receipt.place)

    def events(self, receipt: Receipt) -> list[Json]:
        """The events of an outstanding publish; none if the spool cannot be read."""
        try:
            events: list[Json] = decode_object(self.text(receipt), ours=True)["events"]
        except (ClientError, InvalidInput) as error:
            _logger.warning("publish %s cannot be divided: %s", receipt.id, error)
            return []
        return events

    def settle(self, receipt: Receipt, outcome: Acked | ClientError) -> None:
        """A publish that left the window has its answer; with its last part, so has a divided batch."""
        if self.spool is not None and receipt.place is not None:
            self.spool.settle(receipt.place)
        receipt.settle(outcome)
        whole = receipt.whole
        if whole is not None:
            whole.parts -= 1
            if not whole.parts:  # until now it stayed in the spool: after a crash it is divided again alike
                self.settle(whole, outcome)

    async def compact(self) -> None:
        """Rewrite the spool when that pays. Only the task that settles may call it; `add` waits meanwhile."""
        spool = self.spool
        if spool is None or not spool.due():
            return
        async with self._file:
            try:
                fresh = await trio.to_thread.run_sync(spool.rewrite)
            except (OSError, ClientError) as error:
                _logger.warning("the spool cannot be rewritten: %s", error)
                spool.postpone()
            else:
                spool.swap(fresh)

    def fail(self, error: ClientError) -> None:
        """End every wait for an answer with `error`; a spool keeps the publishes for the next start."""
        for found in self.window:
            receipt: Receipt | None = found
            while receipt is not None and receipt.outcome is None:
                receipt.settle(error)
                receipt = receipt.whole


async def _synced(spool: Spool, place: Place) -> None:
    try:
        await trio.to_thread.run_sync(spool.sync)
    except BaseException:
        spool.settle(place)  # failed or cancelled: then it was never published
        raise
