"""Default limits of a hub for one producer; the client checks them at the call.

Sizes in bytes of compact JSON. An operator may set others (`settings.Limits`).
"""

from __future__ import annotations

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

MAX_MESSAGE_SIZE: Final = 1 * MIB
"""Of one message, a publish among them, and of the body of an HTTP request."""
MAX_EVENTS_PER_PUBLISH: Final = 1_000
MAX_NODE_SIZE: Final = 256 * KIB
"""Of all fields of a node together, as the tree keeps them."""
