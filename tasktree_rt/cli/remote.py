"""The options of all commands that talk to a running hub: its address and the token."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, TypeVar

import click
from rich.console import Console

from tasktree_rt.cli.running import Failed
from tasktree_rt.client.interactions.api_client import ApiClient, open_api_client
from tasktree_rt.client.transport.tls import Cert, tls_context
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
DEFAULT_HUB: Final = "http://127.0.0.1:8000"
TOKEN_VARIABLE: Final = "TASKTREE_RT_TOKEN"  # noqa: S105 - a name, not a token


def _remember(context: click.Context, option: click.Parameter, value: object) -> None:
    context.meta[f"{__name__}.{option.name}"] = value


_TLS_OPTIONS: Final = (
    click.option(
        "--cafile",
        metavar="PATH",
        envvar="TASKTREE_RT_CAFILE",
        expose_value=False,
        callback=_remember,
        help="Trust the authorities in this PEM file, not the system's, for a hub with TLS.",
    ),
    click.option(
        "--insecure-tls",
        is_flag=True,
        envvar="TASKTREE_RT_INSECURE_TLS",
        expose_value=False,
        callback=_remember,
        help="Accept any certificate of the hub: for tests.",
    ),
    click.option(
        "--client-cert",
        metavar="PATH",
        envvar="TASKTREE_RT_CLIENT_CERT",
        expose_value=False,
        callback=_remember,
        help="This client's certificate (PEM), if the hub demands one.",
    ),
    click.option(
        "--client-key",
        metavar="PATH",
        envvar="TASKTREE_RT_CLIENT_KEY",
        expose_value=False,
        callback=_remember,
        help="Its private key (PEM); default: in --client-cert.",
    ),
)


_FLAGS: Final = {"verify": "--cafile", "cert": "--client-cert"}


def access() -> dict[str, Any]:
    """Return the token and TLS of the present command, as arguments of the client's functions.

    Raises:
        Failed: the options about TLS contradict each other, or a file cannot be used.
    """
    meta = click.get_current_context().meta
    cafile, insecure, cert, key = (
        meta.get(f"{__name__}.{name}") for name in ("cafile", "insecure_tls", "client_cert", "client_key")
    )
    if cafile and insecure:
        raise Failed("--insecure-tls: expected no --cafile beside it")
    if key and not cert:
        raise Failed("--client-key: expected --client-cert too")
    if not (cafile or insecure or cert):
        return {"token": token()}
    shown: Cert | None = (str(cert), str(key)) if cert and key else cert
    try:
        context = tls_context("https:", False if insecure else cafile or True, shown)
    except ValueError as error:
        option, _, problem = str(error).partition(": ")
        raise Failed(f"{_FLAGS[option]}: {problem}") from None
    return {"token": token(), "verify": context}


def tls_options(command: F) -> F:
    """Add the options about the hub's TLS; `access` reads them."""
    for option in reversed(_TLS_OPTIONS):
        command = option(command)
    return command


def hub_option(command: F) -> F:
    """Add the option ``--hub URL``, and those about its TLS."""
    command = tls_options(command)
    return click.option(
        "--hub",
        metavar="URL",
        default=DEFAULT_HUB,
        show_default=True,
        envvar="TASKTREE_RT_HUB",
        help=f"The hub's address. A token is taken from {TOKEN_VARIABLE} (a flag would be seen by `ps`).",
    )(command)


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


def token() -> str | None:
    """Return the token for the hub, if one is set."""
    return os.environ.get(TOKEN_VARIABLE) or None


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
        raise Failed(f"--hub {url}: expected an address like {DEFAULT_HUB} (http, https, ws or wss)")
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
