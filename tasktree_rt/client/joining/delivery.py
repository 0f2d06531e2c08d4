"""Gets one batch after another to the hub: retries, divides what was refused, and counts what is lost."""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from tasktree_rt.client.joining.http_post import Answer, Poster
from tasktree_rt.client.joining.plain_json import Json, encode, sound
from tasktree_rt.errors import ClientError, ConnectionLost, PublishRefused

OnError = Callable[[str, bytes, ClientError], None]
"""Called with the project, the events as a JSON array, and why they were not delivered."""
BASE: Final = 0.1
CAP: Final = 5.0
"""Seconds between two tries at most."""
ESSENTIAL: Final = ("status", "parent_id", "started_at", "ended_at", "attempt", "deleted")

_warned: set[str] = set()


def warn(message: str, *args: object) -> None:
    """Log a warning of the client; a program's logging may fail, and that costs the warning only."""
    with suppress(Exception):
        logging.getLogger("tasktree_rt.client").warning(message, *args)


def warn_once(key: str, message: str, *args: object) -> None:
    """Log a warning the first time in this process."""
    if key not in _warned and len(_warned) < 1_000:
        _warned.add(key)
        warn(message, *args)


class Delivery:
    """See the module; one thread at a time.

    Args:
        pause: waits so many seconds before another try; returns the seconds that it may take, or None where
            no time is left.

    Attributes:
        lost: events that were not delivered.
        why: the last reason.
    """

    TIMEOUT: Final = 10.0
    """Seconds for a step of a request."""

    def __init__(
        self,
        hub: str,
        project_id: str,
        poster: Poster,
        on_error: OnError | None,
        pause: Callable[[float], float | None],
    ) -> None:
        self._hub = hub
        self._project_id = project_id
        self._poster = poster
        self._on_error = on_error
        self._pause = pause
        self._prefix = os.urandom(8).hex()
        self._number = 0
        self._failures = 0
        self._unanswered = 0
        self._given_up = False
        self.lost = 0
        self.why: str | None = None

    def deliver(self, batch: list[Json]) -> None:
        """Send events until there is an answer for good, or no time."""
        self._unanswered = len(batch)
        self._deliver(batch)

    def give_up(self) -> int:
        """What has no answer now is lost, whatever becomes of it; returns how many were lost altogether."""
        self._given_up = True
        self.lost += self._unanswered
        self._unanswered = 0
        return self.lost

    def _deliver(self, batch: list[Json]) -> None:
        answer = self._answered(batch)
        if answer.why is None:
            self._unanswered -= len(batch)
        elif answer.splittable and len(batch) > 1:
            middle = len(batch) // 2
            self._deliver(batch[:middle])
            self._deliver(batch[middle:])
        elif answer.splittable and (least := _essential(batch[0])) is not None:
            self._unanswered -= 1
            self._note_lost(batch, answer)
            self._answered([least])  # its status at least
        else:
            self._unanswered -= len(batch)
            self._note_lost(batch, answer)

    def _answered(self, batch: list[Json]) -> Answer:
        self._number += 1
        key, body = f"{self._prefix}-{self._number}", encode_batch(batch)
        left = self._pause(0.0)
        while True:
            if left is None or self._given_up:
                return Answer(self.why or "there was no time left", code="no_time")
            answer = self._poster.post(key, body, min(left, self.TIMEOUT))
            if not answer.again:
                self._failures = 0
                return answer
            self.why = answer.why
            warn_once(
                f"hub {self._hub}",
                "the hub at %s cannot be reached (%s); the program goes on, and its events wait",
                self._hub,
                answer.why,
            )
            left = self._pause(self._delay(answer.retry_after))

    def _delay(self, advised: float | None) -> float:
        """Full jitter: a thousand programs that lost one hub do not come back in one instant."""
        bound = min(CAP, BASE * 2.0 ** min(self._failures, 20))
        self._failures += 1
        return (advised or 0.0) + bound * random.random()  # noqa: S311 - no secret

    def _note_lost(self, batch: list[Json], answer: Answer) -> None:
        if self._given_up:
            return
        why = answer.why or ""
        if answer.code != "no_time":
            warn_once(
                f"refused {self._hub} {answer.code}",
                "the hub at %s refused events of project %s: %s",
                self._hub,
                self._project_id,
                why,
            )
        self._lose(batch, why, answer.code)

    def failed(self, batch: list[Json], why: str) -> None:
        """A fault of ours ended the delivery of a batch."""
        self._unanswered = 0
        self._lose(batch, why)

    def _lose(self, batch: list[Json], why: str, code: str = "no_time") -> None:
        self.why = why
        self.lost += len(batch)
        if self._on_error is None:
            return
        error = ConnectionLost(why) if code == "no_time" else PublishRefused(code, why)
        with suppress(Exception):  # the callback's fault must not end what everything else waits for
            self._on_error(self._project_id, encode_batch(batch), error)


def encode_batch(batch: list[Json]) -> bytes:
    """A JSON array of events; what cannot be written in one is made so that it can."""
    try:
        return encode(batch)
    except (TypeError, ValueError, UnicodeError, RecursionError):
        return encode(sound(batch))


def _essential(event: Json) -> Json | None:
    """A node's event with what says how the node goes, and nothing else; None if nothing is left out."""
    changes = event["data"].get("changes")
    if event["type"] != "node_update" or not isinstance(changes, dict):
        return None
    least = {name: changes[name] for name in ESSENTIAL if name in changes}
    if not least or len(least) == len(changes):
        return None
    return {**event, "data": {**event["data"], "changes": least}}
