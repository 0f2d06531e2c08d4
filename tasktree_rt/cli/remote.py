"""What all commands share that talk to a running hub: its address, patience, refusals."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import click
from rich.console import Console

from tasktree_rt.cli.access import access, access_options
from tasktree_rt.cli.running import Failed
from tasktree_rt.client.interactions.api_client import ApiClient, open_api_client
from tasktree_rt.client.urls import DEFAULT_HUB
from tasktree_rt.client.watcher.messages import (
    ProjectDeleted,
    ProjectEvent,
    SubscriptionRefused,
    Unsubscribed,
    WatchMessage,
)
from tasktree_rt.core.events import Json, ProjectId, project_id
from tasktree_rt.errors import InvalidInput, RequestRefused

F = TypeVar("F", bound=Callable[..., Any])


def hub_option(command: F) -> F:
    """Add the option ``--hub URL``, and those about the token and TLS."""
    return click.option(
        "--hub",
        metavar="URL",
        default=DEFAULT_HUB,
        show_default=True,
        envvar="TASKTREE_RT_HUB",
        help="The hub's address.",
    )(access_options(command))


def patience_option(command: F) -> F:
    """Add the option ``--patience SECONDS``."""
    return click.option(
        "--patience",
        type=click.FloatRange(min=0.0),
        default=300.0,
        show_default=True,
        metavar="SECONDS",
        help="How long to wait for a hub that is away before giving up.",
    )(command)


@contextmanager
def outages_told(console: Console) -> Iterator[None]:
    """Print the client library's reports of the connection inside the block, each once in a row."""
    logger = logging.getLogger("tasktree_rt.client")
    handler = _Told(console)
    before, propagate = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
        logger.propagate = propagate


class _Told(logging.Handler):
    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._last = ""

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage().partition("; trying again")[0]
        if text != self._last:
            self._last = text
            self._console.print(f"tasktree-rt: {text}", style="yellow", markup=False, highlight=False)


def checked_project(name: str) -> ProjectId:
    """Check a project id of the command line.

    Raises:
        Failed: it is invalid.
    """
    try:
        return project_id(name, "PROJECT")
    except InvalidInput as error:
        raise Failed(str(error)) from None


def checked_hub(url: str) -> str:
    """Check the address of a hub on the command line.

    Raises:
        Failed: it is invalid.
    """
    scheme, separator, rest = url.partition("://")
    if scheme not in ("http", "https", "ws", "wss") or not separator or not rest.strip("/"):
        shown = url.partition("?")[0]  # a query may have a token
        raise Failed(f"--hub {shown}: expected an address like {DEFAULT_HUB} (http, https, ws or wss)")
    return url


def raise_if_refused(message: WatchMessage) -> None:
    """End the command if the hub refuses the subscription, or ended it.

    Raises:
        Failed: with the reason.
    """
    if isinstance(message, SubscriptionRefused):
        raise Failed(f"{message.project_id}: {message.code}: {message.message}")
    if isinstance(message, Unsubscribed):
        raise Failed(f"{message.project_id}: the hub ended the subscription")


def event_json(kind: str, message: ProjectEvent | ProjectDeleted) -> Json:
    """Return an event in its wire form."""
    return {
        "type": kind,
        "project_id": message.project_id,
        "data": message.data,
        "timestamp": message.timestamp,
        "seq": message.position.seq,
        "epoch": message.position.epoch,
    }


@asynccontextmanager
async def desk_at(hub: str, patience: float) -> AsyncIterator[ApiClient]:
    """Open a client for the hub's API. A request that the hub refuses for good ends the command.

    Raises:
        Failed: with the reason.
    """
    async with open_api_client(hub, patience=patience, **access()) as desk:
        try:
            yield desk
        except RequestRefused as error:
            raise Failed(refusal(error)) from None


def refusal(error: RequestRefused) -> str:
    """Return the reason of a refusal, in one line."""
    place = f"{error.field}: " if error.field else ""
    return f"{error.code}: {place}{error.message}"
