"""Requests of a load test to the server, beside its watchers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import httpx

from tasktree_rt.client.urls import api_url
from tasktree_rt.load.target import Target

TIMEOUT: Final = 30.0
_SCHEMES: Final = {"ws": "http", "wss": "https"}


@asynccontextmanager
async def open_http(target: Target) -> AsyncIterator[httpx.AsyncClient]:
    """Open a client that shows the first token."""
    headers = dict(target.headers(0))
    async with httpx.AsyncClient(verify=target.context or True, headers=headers, timeout=TIMEOUT) as client:
        yield client


def api(target: Target, path: str) -> str:
    """Return the address of ``/api/v1`` and `path`."""
    return api_url(target.url, path)


def root(target: Target, path: str) -> str:
    """Return the address of `path` beside ``/api/v1``."""
    return api_url(target.url, "").removesuffix("/api/v1") + path


def http_url(url: str) -> str:
    """Return an address of a WebSocket as one of HTTP."""
    scheme, colon, rest = url.partition(":")
    return _SCHEMES.get(scheme, scheme) + colon + rest
