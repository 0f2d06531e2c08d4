"""Any other WebSocket server that sends to all clients what it is given; a rule finds the number."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec
from attrs import field, frozen

from tasktree_rt.load.languages.base import NOISE, NUMBER, Event, Message, Opening, Seat, Traits

_decode: Final = msgspec.json.Decoder().decode
_STEP: Final = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_PATH: Final = re.compile(r"(?:[^.\[\]]+|\[\d+\])(?:\.[^.\[\]]+|\[\d+\])*")

Find = Callable[[bytes], int | None]
"""Finds a whole number in a message; None if there is none."""


def finder(rule: str) -> Find:
    """Make a finder of a path (``data.items[0].n``) or of a regular expression with a group (``/n=(\\d+)/``).

    Raises:
        ValueError: it is neither; the message says what was expected.
    """
    if len(rule) > 1 and rule.startswith("/") and rule.endswith("/"):
        try:
            pattern = re.compile(rule[1:-1].encode())
        except re.error as error:
            raise ValueError(
                f"expected a regular expression between slashes, got {rule!r}: {error}"
            ) from None
        if pattern.groups != 1:
            raise ValueError(f"expected a regular expression with one group, got {rule!r}")
        return lambda payload: _whole(hit[1]) if (hit := pattern.search(payload)) else None
    if not _PATH.fullmatch(rule.removeprefix("$.")):
        raise ValueError(
            f'expected a path like "data.n" or a regular expression like "/n=(\\d+)/", got {rule!r}'
        )
    steps = [name or int(index) for name, index in _STEP.findall(rule.removeprefix("$."))]
    return lambda payload: _at(payload, steps)


def _at(payload: bytes, steps: list[str | int]) -> int | None:
    try:
        found: Any = _decode(payload)
        for step in steps:
            found = found[step]
    except (msgspec.DecodeError, KeyError, IndexError, TypeError):
        return None
    return _whole(found)


def _whole(value: Any) -> int | None:  # noqa: ANN401 - any JSON
    if isinstance(value, bool) or not isinstance(value, (int, str, bytes)):
        return None
    try:
        return int(value)
    except ValueError:
        return None


@frozen
class Broadcast:
    """Watches one address.

    Attributes:
        path: with its query.
        first: what a watcher sends first; "" for nothing.
        number, time: rules of `finder`.
    """

    path: str
    first: str
    number: str
    time: str
    _find_number: Find = field(init=False)
    _find_time: Find = field(init=False)

    @_find_number.default
    def _make_number(self) -> Find:
        return finder(self.number)

    @_find_time.default
    def _make_time(self) -> Find:
        return finder(self.time)

    @property
    def traits(self) -> Traits:
        """By number; the handshake is all that is known of the server."""
        return Traits(NUMBER)

    def opening(self, seat: Seat) -> Opening:
        """Open the address."""
        return Opening(self.path)

    def hello(self, seat: Seat) -> bytes:
        """Send what the plan says."""
        return self.first.encode()

    def read(self, payload: bytes) -> Message:
        """Read a message; one without a number has no part in the test."""
        number = self._find_number(payload)
        return NOISE if number is None else Event(number, None, self._find_time(payload) or 0)
