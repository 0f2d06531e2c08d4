"""The options about a command's token and TLS, and what they mean for the client's functions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from tasktree_rt.cli.running import Failed
from tasktree_rt.client.transport.errors import NoToken
from tasktree_rt.client.transport.tls import Cert, tls_context
from tasktree_rt.client.transport.tokens import TokenSource, TokenStore

F = TypeVar("F", bound=Callable[..., Any])
TOKEN_VARIABLE: Final = "TASKTREE_RT_TOKEN"  # noqa: S105 - a name, not a token
FILE_VARIABLE: Final = "TASKTREE_RT_TOKEN_FILE"


def _remember(context: click.Context, option: click.Parameter, value: object) -> None:
    context.meta[f"{__name__}.{option.name}"] = value


_TOKEN_OPTIONS: Final = (
    click.option(
        "--token",
        metavar="TOKEN",
        envvar=TOKEN_VARIABLE,
        expose_value=False,
        callback=_remember,
        help=f"The token or API key. Other users of this machine see flags: prefer {TOKEN_VARIABLE}.",
    ),
    click.option(
        "--token-file",
        metavar="PATH",
        envvar=FILE_VARIABLE,
        expose_value=False,
        callback=_remember,
        help="A file with the token. The command reads it again when the token expires or is refused.",
    ),
)
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
_COMMAND_LINE: Final = click.core.ParameterSource.COMMANDLINE


def access_options(command: F) -> F:
    """Add the options about the token and TLS; `access` reads them."""
    command = tls_options(command)
    for option in reversed(_TOKEN_OPTIONS):
        command = option(command)
    return command


def tls_options(command: F) -> F:
    """Add the options about TLS alone."""
    for option in reversed(_TLS_OPTIONS):
        command = option(command)
    return command


def access() -> dict[str, Any]:
    """Return the token and TLS of the present command, as arguments of the client's functions.

    Raises:
        Failed: the options contradict each other, or a file cannot be used.
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
        return {"token": _token()}
    shown: Cert | None = (str(cert), str(key)) if cert and key else cert
    try:
        context = tls_context("https:", False if insecure else cafile or True, shown)
    except ValueError as error:
        option, _, problem = str(error).partition(": ")
        raise Failed(f"{_FLAGS[option]}: {problem}") from None
    return {"token": _token(), "verify": context}


def _checked(token: str | None) -> str | None:
    """Check a token of the command line.

    Raises:
        Failed: a header cannot carry it.
    """
    try:
        return TokenStore(token).known
    except ValueError as error:
        raise Failed(f"--{error}") from None


def _token() -> TokenSource:
    """Return the token of the options: a flag counts before a variable, the token before the file.

    Raises:
        Failed: both flags are given, or the file has no token.
    """
    context = click.get_current_context()
    token, file = (context.meta.get(f"{__name__}.{name}") for name in ("token", "token_file"))
    by_flag, file_by_flag = (
        context.get_parameter_source(name) is _COMMAND_LINE for name in ("token", "token_file")
    )
    if by_flag and file_by_flag:
        raise Failed("--token: expected no --token-file beside it")
    if not file or (token and not file_by_flag):
        return _checked(token or None)
    path = Path(file)

    def read() -> str:
        try:
            return path.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "expected ASCII"
            raise NoToken(f"{path}: {reason}") from None

    try:
        if not _checked(read()):
            raise NoToken(f"{path}: the file is empty")
    except NoToken as error:
        raise Failed(f"--token-file: {error}") from None
    return read
