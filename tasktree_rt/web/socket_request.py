"""A handshake for a WebSocket, as the hub's views see it: made of an ASGI scope, with or without Quart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import parse_qsl

from tasktree_rt.core.access import Grants
from tasktree_rt.errors import InvalidInput
from tasktree_rt.hub.transport import Session
from tasktree_rt.web.auth.authenticator import Admission, authenticator_of
from tasktree_rt.web.auth.presented import PREFIX, chosen_token
from tasktree_rt.web.request_rates import RequestRates, rates_of
from tasktree_rt.web.server.direct_views import Accept
from tasktree_rt.web.server.handshake import SUPPORTED
from tasktree_rt.web.server.handshake_request import SESSION

if TYPE_CHECKING:
    from hypercorn.typing import WebsocketScope
    from quart import Quart

FLAGS: Final = {"1": True, "true": True, "0": False, "false": False, "": False}
_NO_QUERY: Final[dict[str, list[str]]] = {}


class SocketRequest:
    """A handshake: what the client asks for, and the answer to accept it with.

    Attributes:
        app: the app whose route it is.
        path: the path, decoded.
        address: the client's IP address.
        offered: the subprotocols that the client offers.
    """

    __slots__ = ("_accept", "_headers", "_query", "_scope", "address", "app", "offered", "path")

    def __init__(self, app: Quart, scope: WebsocketScope, accept: Accept) -> None:
        client = scope["client"]
        self.app = app
        self.path = scope["path"]
        self.address: str = "<local>" if client is None else client[0]
        self.offered = list(scope["subprotocols"])
        self._scope = scope
        self._accept = accept
        self._headers: dict[str, str] | None = None
        self._query: dict[str, list[str]] | None = None

    def header(self, name: str) -> str | None:
        """Return the first value of a header, by its name in lower case; None without it."""
        if self._headers is None:
            pairs = reversed(list(self._scope["headers"]))
            self._headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in pairs}
        return self._headers.get(name)

    @property
    def query(self) -> dict[str, list[str]]:
        """The parameters of the query, each with its values in order."""
        if self._query is None:
            raw = self._scope["query_string"]
            self._query = _parsed(raw) if raw else _NO_QUERY
        return self._query

    def parameter(self, name: str) -> str | None:
        """Return the first value of a parameter; None without it."""
        found = self.query.get(name)
        return found[0] if found else None

    def parameters(self, name: str) -> list[str]:
        """Return the different values of a parameter, in order."""
        return list(dict.fromkeys(self.query.get(name, ())))

    def flag(self, name: str) -> bool:
        """Read a parameter that is 1 or 0; 0 if it is absent.

        Raises:
            InvalidInput: names the parameter.
        """
        value = self.parameter(name) or ""
        if value not in FLAGS:
            raise InvalidInput("expected 1 or 0", field=name)
        return FLAGS[value]

    @property
    def token(self) -> str | None:
        """The token that the handshake carries; None without one."""
        return chosen_token(self.header("authorization"), self.parameter("token"), self.offered)

    @property
    def supported(self) -> bool:
        """Whether the server runs the session that `accept` gets; stock Hypercorn does not."""
        return bool(cast("dict[str, Any]", self._scope).get(SUPPORTED))

    @property
    def authenticator(self) -> Admission:
        """The authenticator of the app's routes."""
        return authenticator_of(self.app)

    @property
    def rates(self) -> RequestRates:
        """The rates of the app's routes."""
        return rates_of(self.app)

    async def authenticate(self, credential: str | None) -> Grants:
        """Return the grants of a credential, as the `authenticator` does for this handshake."""
        return await self.authenticator.authenticate(credential, address=self.address, path=self.path)

    async def accept(self, session: Session, subprotocol: str | None = None) -> None:
        """Accept the handshake and hand `session` to the server.

        A browser ends the connection unless the hub selects a subprotocol that its page offers: if that is
        only the one with the token, it is the one.
        """
        offered = self.offered
        if subprotocol is None and offered and all(one.startswith(PREFIX) for one in offered):
            subprotocol = offered[0]
        await self._accept(subprotocol)
        cast("dict[str, Any]", self._scope)[SESSION] = session


def _parsed(raw: bytes) -> dict[str, list[str]]:
    """Parse a query as Quart does: bytes that are no UTF-8 stay percent-encoded."""
    found: dict[str, list[str]] = {}
    text = raw.decode("latin-1")
    for name, value in parse_qsl(text, keep_blank_values=True, errors="werkzeug.url_quote"):
        found.setdefault(name, []).append(value)
    return found
