"""Opening an `Orchestrator`: its connection, its spool, its end."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

from tasktree_rt.client.interactions.api_client import open_api_client
from tasktree_rt.client.producer.checks import HubLimits
from tasktree_rt.client.producer.in_flight_window import Window
from tasktree_rt.client.producer.orchestrator import Connect, Orchestrator
from tasktree_rt.client.producer.session import OnRefused
from tasktree_rt.client.producer.spool import Spool
from tasktree_rt.client.producer.unacknowledged import Unacknowledged
from tasktree_rt.client.transport.backoff import Backoff, Retry
from tasktree_rt.client.transport.connection import Connection, ConnectionOptions
from tasktree_rt.client.transport.nursery import background
from tasktree_rt.client.transport.renewal import open_admitted
from tasktree_rt.client.transport.tls import Cert, Verify, tls_context
from tasktree_rt.client.transport.tokens import TokenSource, TrioTokens, without_token
from tasktree_rt.client.urls import socket_url
from tasktree_rt.core.default_limits import MAX_EVENTS_PER_PUBLISH, MAX_MESSAGE_SIZE, MAX_NODE_SIZE, MIB

PATH: Final = "/ws/orchestrator"
INBOUND_LIMIT: Final = 16 * MIB
"""Bytes of a message from the hub: an ack of 1,000 events is about 100 KB."""


@asynccontextmanager
async def open_orchestrator(
    url: str,
    producer_id: str,
    *,
    token: TokenSource = None,
    commands: str | Iterable[str] = (),
    spool: str | Path | None = None,
    spool_max_bytes: int = 64 * MIB,
    spool_fsync: bool = False,
    max_in_flight: int = 64,
    max_in_flight_bytes: int = 4 * MIB,
    max_message_size: int = MAX_MESSAGE_SIZE,
    max_node_size: int = MAX_NODE_SIZE,
    max_events: int = MAX_EVENTS_PER_PUBLISH,
    on_refused: OnRefused | None = None,
    connect_timeout: float = 10.0,
    flush_timeout: float = 10.0,
    close_timeout: float = 2.0,
    backoff: Backoff = Backoff(),  # noqa: B008 - frozen
    patience: float = math.inf,
    before_connect: Callable[[], Awaitable[None]] | None = None,
    verify: Verify = True,
    cert: Cert | None = None,
) -> AsyncIterator[Orchestrator]:
    """Push events to the hub at `url` (http, https, ws or wss) under the name `producer_id`.

    Entering does not wait for the hub: publishing may begin while it is away. It reconnects for ever,
    with full-jitter back-off and after the time the hub advises; a hub that says there is no use (no
    token that it accepts, an address that is not a hub's, a close that says stop) ends it with
    `ConnectionLost`, and so does its absence for more than `patience` seconds (default: never).

    Leaving flushes for at most `flush_timeout` seconds; if the body failed, its exception goes on;
    if it was cancelled, nothing is waited for.

    Args:
        token: the token or API key, or a function (sync or async) that gives one and is asked again before
            it expires, and when the hub refuses it.
        producer_id: names this producer over all its lives; the hub tells repeats by it.
        commands: a project, or several, whose commands this orchestrator takes (`Orchestrator.commands`). Of
            several that take those of one project, the one that connected first gets them.
        spool: a file that keeps unanswered publishes over the death of this process: they are sent
            again at the next start. It is this process's and this producer's alone. Publishing goes on
            into it while the hub is away and waits when `spool_max_bytes` are full. With `spool_fsync` it
            survives a power cut too, at the price of one disk write per publish.
        max_in_flight: publishes sent and unanswered; the hub reads no further than 64.
        max_message_size: of one publish, in bytes; the hub's own limit is 1 MiB by default. What a hub
            with a lower limit closes for (1009) is refused alone and the rest goes on.
        max_node_size: bytes of a node; the hub's own limit is 256 KiB by default.
        max_events: of one publish; the hub's own limit is 1,000 by default.
        on_refused: told of every final refusal; default: a warning in the log ``tasktree_rt.client``.
        before_connect: waited for before every connection.
        verify, cert: TLS (`tasktree_rt.client.transport.tls`).

    Raises:
        ConnectionLost: on leaving, if publishes are left without an answer and there is no spool.
        ClientError: the spool cannot be used.
        ValueError: not an address, or a file of `verify` or `cert` cannot be used.
    """
    context = tls_context(url, verify, cert)
    url, token = without_token(url, token)
    tokens = TrioTokens(token)
    served = [commands] if isinstance(commands, str) else list(commands)
    query = [("producer_id", producer_id), *(("commands", one) for one in served)]
    address = socket_url(url, PATH, query)
    file = None if spool is None else Spool(Path(spool), producer_id, spool_max_bytes, fsync=spool_fsync)
    asking = partial(
        open_api_client,
        url,
        token=tokens,
        timeout=connect_timeout,
        backoff=backoff,
        patience=patience,
        verify=context or True,
    )
    orchestrator = Orchestrator(
        Unacknowledged(Window(max_in_flight, max_in_flight_bytes), file),
        limits=HubLimits(max_message_size, max_node_size, max_events),
        on_refused=on_refused,
        commands=served,
        asking=asking,
        tokens=tokens,
    )
    options = ConnectionOptions(connect_timeout, close_timeout, INBOUND_LIMIT, context)
    try:
        async with background() as nursery:
            connect: Connect = partial(open_admitted, tokens, address, options)
            if before_connect is not None:
                connect = partial(_after, before_connect, connect)
            nursery.start_soon(orchestrator.run, connect, Retry(backoff), patience)
            try:
                yield orchestrator
            except Exception:
                await orchestrator.finish(flush_timeout, close_timeout)
                raise
            await orchestrator.finish(flush_timeout, close_timeout)
            nursery.cancel_scope.cancel()
    finally:
        left = orchestrator.close()
    if left is not None:
        raise left


@asynccontextmanager
async def _after(wait: Callable[[], Awaitable[None]], connect: Connect) -> AsyncIterator[Connection]:
    await wait()
    async with connect() as connection:
        yield connection
