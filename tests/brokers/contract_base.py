"""What the parts of the brokers' contract have in common."""

from __future__ import annotations

import sys
from contextlib import AbstractAsyncContextManager

from tasktree_rt.brokers.base import (
    Broker,
    Retention,
)
from tasktree_rt.core.log import Position

KEEP_ALL = Retention(sys.maxsize >> 1, 1e9)
E1 = Position("e1", 0)


def at(seq: int) -> Position:
    return Position("e1", seq)


class Suite:
    """What a part of the contract is written against."""

    def broker(self) -> AbstractAsyncContextManager[Broker]:
        """A new broker, open, empty."""
        raise NotImplementedError
