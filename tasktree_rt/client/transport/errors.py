"""Why a connection to a hub ended."""

from __future__ import annotations

from tasktree_rt.errors import ConnectionLost


class ConnectionEnded(ConnectionLost):
    """This connection ended, or never came to be.

    Attributes:
        code: the WebSocket close code; None if there was none.
        retry_after: seconds the hub asked to stay away.
        final: connecting again would end the same way.
        refused_token: the hub refused the token; with another one it may not.
    """

    def __init__(
        self,
        message: str,
        *,
        code: int | None = None,
        retry_after: float | None = None,
        final: bool = False,
        refused_token: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after = retry_after
        self.final = final
        self.refused_token = refused_token


class NoToken(ConnectionEnded):
    """The program's function gave no token that can be used."""

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(f"no token: {message}", final=final)
