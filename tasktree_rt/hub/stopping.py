"""Whether the hub stops."""

from __future__ import annotations

import trio
from attrs import define, field


@define
class Stopping:
    """How far the hub's stop is.

    Attributes:
        begun: the hub accepts no publishes any more.
        over: set once the hub has told every connection when to reconnect.
    """

    begun: bool = False
    over: trio.Event = field(factory=trio.Event)
