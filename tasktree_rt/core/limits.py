"""What a hub takes of one producer by default; the client says at the call what is beyond it.

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
