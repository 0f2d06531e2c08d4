"""Requests to a hub's HTTP API, sent again until there is an answer for good.

A conversation is a generator that yields what to do next (a `Request` or a `Pause`) and is sent what came of
it, so that a Trio program and a thread have it in common: each drives it with its own client.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from typing import Final, TypeVar

import httpx
from attrs import define, frozen

from tasktree_rt.client.transport.backoff import Retry
from tasktree_rt.client.transport.errors import NoToken
from tasktree_rt.client.transport.refusal_text import plain_text
from tasktree_rt.client.transport.tls import tls_problem
from tasktree_rt.client.transport.tokens import TokenStore, bearer
from tasktree_rt.client.urls import api_url
from tasktree_rt.core.events import Json
from tasktree_rt.dialects.base import decode_object
from tasktree_rt.errors import ConnectionLost, InvalidInput, RequestRefused

RETRIED: Final = frozenset({408, 425, 429})
"""Refusals below 500 of something that may be sent again."""
_NOT_KEPT: Final = frozenset({429, 503})
"""Refusals after which it is sure that nothing was done."""
_NO_TOKEN: Final = 401
_logger: Final = logging.getLogger("tasktree_rt.client")


@frozen
class Request:
    """One request. `path` is below ``/api/v1`` and quoted; `wait` (seconds) is how long the hub may hold it.

    `repeatable`: doing it twice does no more than doing it once.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    wait: float = 0.0
    repeatable: bool = True


@frozen
class Pause:
    """Do nothing for so many seconds."""

    seconds: float


@frozen
class Reply:
    """A good answer. `repeated`: the request was sent before, and what came of that is not known."""

    status: int
    body: Json
    repeated: bool = False


T = TypeVar("T")
Came = httpx.Response | httpx.HTTPError | NoToken | None
Steps = Generator[Request | Pause, Came, T]


@define
class Conversation:
    """How requests are sent again: `retry` says when, `patience` for how long a hub may be away (seconds)."""

    retry: Retry
    patience: float
    now: Callable[[], float]

    def call(self, request: Request) -> Steps[Reply]:
        """Send `request` until the hub answers for good.

        Raises:
            RequestRefused: the hub refused it.
            ConnectionLost: the hub was away for more than `patience` seconds, or there was no token for so
                long; or its TLS is not what this client expects; or the answer to a request that is not
                repeatable was lost, so that it is not known whether the hub did it.
        """
        begun, unknown = self.now(), False
        while True:
            came = yield request
            if isinstance(came, httpx.Response) and came.is_success:
                self.retry.reset()
                return Reply(came.status_code, _object(came), unknown)
            advised = None
            if isinstance(came, httpx.Response):
                refusal = read_refusal(came)
                if not _transient(came.status_code, request):
                    refusal.repeated = unknown
                    raise refusal
                unknown = unknown or came.status_code not in _NOT_KEPT
                why, advised = str(refusal), retry_after(came)
            else:
                why, sent = _failure(came)
                if sent and not request.repeatable:
                    raise ConnectionLost(f"the answer was lost ({why}); its request may be done")
                unknown = unknown or sent
            if self.now() - begun >= self.patience:
                raise ConnectionLost(f"gave up after {self.patience:g} s: {why}")
            delay = self.retry.delay(advised)
            _logger.info("%s; trying again in %.2f s", why, delay)
            yield Pause(delay)


def _failure(came: httpx.HTTPError | NoToken | None) -> tuple[str, bool]:
    """Return why there is no response, and whether the hub may have the request.

    Raises:
        ConnectionLost: sending it again would end the same way.
    """
    if isinstance(came, NoToken):
        if came.final:
            raise ConnectionLost(str(came))
        return str(came), False
    if problem := tls_problem(came):
        raise ConnectionLost(problem)
    sent = not isinstance(came, (httpx.ConnectError, httpx.ConnectTimeout))
    return f"{type(came).__name__}: {came}".rstrip(": "), sent


def built(
    client: httpx.Client | httpx.AsyncClient, url: str, request: Request, timeout: float, token: str | None
) -> httpx.Request:
    """`request` as `client` sends it to the hub at `url`; `timeout` (seconds) comes on top of what the hub
    may hold it."""
    return client.build_request(
        request.method,
        api_url(url, request.path),
        params=list(request.query),
        content=request.body,
        headers=bearer(token),
        timeout=httpx.Timeout(timeout, read=timeout + request.wait),
    )


def needs_another(store: TokenStore, token: str | None, came: httpx.Response) -> bool:
    """Note what a response says about the request's token; return whether to send it again with another."""
    if came.is_success:
        store.accepted(token)
    return came.status_code == _NO_TOKEN and store.refused(token)


def read_refusal(response: httpx.Response) -> RequestRefused:
    """The problem document (RFC 9457) of the hub; of anything else its status."""
    try:
        problem = decode_object(response.content)
    except InvalidInput:
        problem = {}
    code, field, outcome = problem.get("code"), problem.get("field"), problem.get("outcome")
    status = f"HTTP {response.status_code}"
    text = problem.get("detail") or problem.get("title") or plain_text(response.content) or status
    return RequestRefused(
        code if isinstance(code, str) else f"http_{response.status_code}",
        str(text),
        field if isinstance(field, str) else None,
        outcome if isinstance(outcome, dict) else None,
    )


def _transient(status: int, request: Request) -> bool:
    if status in _NOT_KEPT:
        return True
    return request.repeatable and (status >= 500 or status in RETRIED)


def _object(response: httpx.Response) -> Json:
    try:
        return decode_object(response.content, ours=True)
    except InvalidInput as error:
        raise RequestRefused("invalid_json", f"the peer is not a hub: {error}") from None


def retry_after(response: httpx.Response) -> float | None:
    """Seconds after which the hub says to come again, if it says so."""
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() else None
