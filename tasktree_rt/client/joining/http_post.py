"""One request to the hub with the standard library alone, and what its answer means."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from tasktree_rt.client.urls import events_url

if TYPE_CHECKING:
    from http.client import HTTPConnection, HTTPResponse

RETRIED: Final = frozenset({408, 425, 429})
HOPELESS: Final = frozenset({401, 403, 404, 405, 407})
"""Refusals of the caller or the address: every part of the batch would meet the same."""
MAX_ANSWER: Final = 64 * 1024
MAX_ADVISED: Final = 300.0
"""Seconds that a hub can advise at most."""

_LEFT: Final[list[HTTPConnection]] = []
"""Connections of the parents of this process."""


@dataclass(frozen=True)
class Answer:
    """What became of a request.

    Attributes:
        why: None if the hub has the events; else what went wrong.
        code: the hub's word for it.
        again: the same may be sent again, after `retry_after` seconds if given.
        splittable: a part of it may be fine, and nothing of it was kept.
    """

    why: str | None = None
    code: str = ""
    again: bool = False
    splittable: bool = False
    retry_after: float | None = None


class Poster:
    """Posts the events of one project, on one connection that is kept.

    Attributes:
        headers: those of every request.

    Raises:
        ValueError: `hub` is no http, https, ws or wss address.
    """

    def __init__(self, hub: str, project_id: str, token: str | None, headers: dict[str, str]) -> None:
        # Not in the thread that sends: a child that is forked meanwhile would have half a module for ever.
        import encodings.idna  # noqa: F401 - what getaddrinfo imports
        import http.client

        self._http = http.client
        parts = urlsplit(events_url(hub, project_id))
        self._secure = parts.scheme == "https"
        self._host, self._port, self._path = parts.hostname or "", parts.port, parts.path
        self.headers = {"Content-Type": "application/json", **headers}
        if token:
            self.headers["Authorization"] = f"Bearer {token}"
        self._connection: HTTPConnection | None = None

    def post(self, key: str, body: bytes, timeout: float) -> Answer:
        """Post a batch, a JSON array, under an idempotency key; `timeout`: seconds of each step."""
        fresh = self._connection is None
        try:
            return self._post(key, body, timeout)
        except Exception as error:
            self.close()
            if not fresh and not isinstance(error, TimeoutError):
                return self.post(key, body, timeout)  # the hub had closed the connection meanwhile
            return Answer(f"{type(error).__name__}: {error}", again=True)

    def _post(self, key: str, body: bytes, timeout: float) -> Answer:
        connection = self._connection = self._connection or self._made()
        connection.timeout = timeout
        if connection.sock is not None:
            connection.sock.settimeout(timeout)
        connection.request("POST", self._path, body, {**self.headers, "Idempotency-Key": key})
        response = connection.getresponse()
        text = response.read(MAX_ANSWER)
        if not response.isclosed():
            self.close()
        return _read(response, text)

    def _made(self) -> HTTPConnection:
        if not self._secure:
            return self._http.HTTPConnection(self._host, self._port)
        return self._http.HTTPSConnection(self._host, self._port, context=_tls())

    def abort(self) -> None:
        """From any thread: end the request that is on its way."""
        connection = self._connection
        sock = None if connection is None else connection.sock
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def after_fork(self) -> None:
        """Leave the parent's connection alone, in a forked child; the next request makes another.

        A response that the parent's thread was reading has a lock that is held here for ever: to close it, or
        to free its memory, would wait for that lock.
        """
        connection, self._connection = self._connection, None
        if connection is not None:
            _LEFT.append(connection)
            if connection.sock is not None:
                with suppress(OSError):
                    os.close(connection.sock.detach())

    def close(self) -> None:
        """Close the connection; the next request makes another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()


def _tls() -> Any:  # noqa: ANN401 - ssl.SSLContext; http.client has imported ssl
    import ssl

    context = ssl.create_default_context(cafile=os.environ.get("TASKTREE_RT_CAFILE") or None)
    if certificate := os.environ.get("TASKTREE_RT_CLIENT_CERT"):
        context.load_cert_chain(certificate, os.environ.get("TASKTREE_RT_CLIENT_KEY") or None)
    return context


def _read(response: HTTPResponse, text: bytes) -> Answer:
    status = response.status
    if 200 <= status < 300:
        return Answer()
    code, why = _problem(text)
    why = f"HTTP {status}: {why}" if why else f"HTTP {status}"
    if status >= 500 or status in RETRIED:
        return Answer(why, code, again=True, retry_after=_seconds(response.getheader("Retry-After")))
    return Answer(why, code or f"http_{status}", splittable=status not in HOPELESS)


def _problem(text: bytes) -> tuple[str, str]:
    try:
        found = json.loads(text)
        return str(found.get("code") or ""), str(found.get("detail") or found.get("title") or "")
    except (ValueError, AttributeError, RecursionError):
        return "", ""


def _seconds(value: str | None) -> float | None:
    return min(float(value), MAX_ADVISED) if value and value.isascii() and value.isdigit() else None
