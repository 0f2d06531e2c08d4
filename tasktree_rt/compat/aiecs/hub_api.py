"""Requests of AIECS' manager to the hub."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from typing import Any, Final

import httpx

from tasktree_rt.client.transport.tls import Cert, Verify, tls_context, tls_problem
from tasktree_rt.core.events import Json
from tasktree_rt.errors import ConnectionLost, RequestRefused

WAIT: Final = 50.0
"""Seconds for which the hub holds one request until there is an answer."""
READ: Final = 15.0
"""Seconds beyond `WAIT` after which a request counts as lost."""
PASSING: Final = frozenset({429, 502, 503})
"""HTTP statuses after which the same request may be sent again."""
EVERYWHERE: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1", "[::]": "::1"}  # noqa: S104
"""Addresses at which a server listens everywhere, and the one that a client connects to instead."""
_logger: Final = logging.getLogger("tasktree_rt.compat")


class HubApi:
    """HTTP requests to the hub at `url`, between `open` and `aclose`.

    Raises:
        ValueError: a file of `verify` or `cert` cannot be used.
    """

    def __init__(self, url: str, token: str | None, verify: Verify = True, cert: Cert | None = None) -> None:
        self._url = url.rstrip("/")
        self._tls = tls_context(url, verify, cert) or False
        self._token = token
        self._http: httpx.AsyncClient | None = None
        self._tasks: set[asyncio.Task[object]] = set()

    @property
    def is_open(self) -> bool:
        """Whether requests can be sent."""
        return self._http is not None

    def open(self) -> None:
        """Make the HTTP client; `call` may be used from now on."""
        headers = {} if self._token is None else {"Authorization": f"Bearer {self._token}"}
        timeout = WAIT + READ
        self._http = httpx.AsyncClient(base_url=self._url, headers=headers, timeout=timeout, verify=self._tls)

    async def aclose(self) -> None:
        """Close the connections; requests fail with `ConnectionLost` from now on."""
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    def in_background(self, work: Coroutine[Any, Any, object]) -> None:
        """Run `work` in a task of its own; `settle` waits for it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settle(self, timeout: float) -> None:  # noqa: ASYNC109 - of the tasks, which go on
        """Wait for the tasks of `in_background`, at most `timeout` seconds."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout)

    async def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Json:
        """Send one request; returns the JSON object of the response ({} if there is none).

        A 504 with ``acknowledged`` is a response like any other: no client acknowledged in time.

        Raises:
            ConnectionLost: no response, or one that says to try again later.
            RequestRefused: the hub refused it.
        """
        if self._http is None:
            raise ConnectionLost("this manager is not started")
        try:
            answer = await self._http.request(method, path, json=body, params=params)
        except (httpx.HTTPError, OSError, RuntimeError) as error:  # OSError: of TLS; RuntimeError: closed
            why = tls_problem(error) or error
            raise ConnectionLost(f"the hub at {self._url} cannot be reached: {why}") from error
        found = _object(answer)
        if answer.status_code in PASSING or (answer.status_code == 504 and "acknowledged" not in found):
            raise ConnectionLost(f"the hub at {self._url} answered {answer.status_code}")
        if answer.is_error and answer.status_code != 504:
            code, detail = str(found.get("code", answer.status_code)), str(found.get("detail", answer.text))
            raise RequestRefused(code, detail, found.get("field"))
        return found

    async def quietly(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Json:
        """As `call`, but an error is logged and {} returned."""
        try:
            return await self.call(method, path, body, params)
        except (ConnectionLost, RequestRefused) as error:
            _logger.error("%s %s: %s", method, path, error)
            return {}


def hub_address(host: str | None, port: int) -> str:
    """The hub's http address for a `host` and `port` as the original's server takes them."""
    name = EVERYWHERE.get(host or "", host)
    return f"http://[{name}]:{port}" if name and ":" in name and name[0] != "[" else f"http://{name}:{port}"


def _object(answer: httpx.Response) -> Json:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
