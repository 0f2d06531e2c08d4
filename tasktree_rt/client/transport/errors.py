"""Why a connection to a hub ended."""

from __future__ import annotations

from tasktree_rt.errors import ConnectionLost


class ConnectionEnded(ConnectionLost):
    """This connection ended, or never came to be.

    Attributes:
        code: the WebSocket close code; None if there was none.
        retry_after: seconds the hub asked to stay away.
        final: connecting again would end the same way.
    """

    def __init__(
        self, message: str, *, code: int | None = None, retry_after: float | None = None, final: bool = False
    ) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after = retry_after
        self.final = final
