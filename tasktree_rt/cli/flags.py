"""Define the flags of every command that runs a hub, and convert them to settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from tasktree_rt.cli.running import Failed
from tasktree_rt.cli.setting_options import BY_PATH, parse_text
from tasktree_rt.cli.settings_sources import Flag, Loaded, assignment, load
from tasktree_rt.errors import SettingsError

F = TypeVar("F", bound=Callable[..., Any])

_PATH: Final = click.Path(path_type=Path)
_OPTIONS: Final = (
    click.option(
        "--config", type=_PATH, envvar="TASKTREE_RT_CONFIG", metavar="PATH", help="Settings file (TOML)."
    ),
    click.option("--bind", metavar="HOST:PORT", help="Address to listen on; default 127.0.0.1:8000."),
    click.option(
        "--store",
        metavar="STORE",
        help="sqlite:PATH, memory: or redis://HOST:PORT/DB; default: a SQLite file in the state folder.",
    ),
    click.option(
        "--certfile", "tls__certfile", metavar="PATH", help="Speak TLS with this certificate (PEM)."
    ),
    click.option(
        "--keyfile", "tls__keyfile", metavar="PATH", help="Its private key (PEM); default: in --certfile."
    ),
    click.option(
        "--insecure/--no-insecure",
        default=None,
        help="Allow a public address without authentication.",
    ),
    click.option(
        "--log-format", "log__format", type=click.Choice(["console", "json"]), help="How the log looks."
    ),
    click.option(
        "--log-level",
        "log__level",
        type=click.Choice(["debug", "info", "warning", "error"]),
        help="The least that is logged.",
    ),
    click.option(
        "--set",
        "assignments",
        multiple=True,
        metavar="SETTING=VALUE",
        help="Any other setting, e.g. limits.max_nodes=5000; `tasktree-rt settings` lists them. Repeatable.",
    ),
)


def hub_flags(command: F) -> F:
    """Add the flags; the command gets them as keyword arguments for `load_flags`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def load_flags(*, config: Path | None, assignments: tuple[str, ...], **given: str | bool | None) -> Loaded:
    """Settings from file, environment and these flags.

    Raises:
        Failed: a setting is invalid; one line that names its source.
    """
    try:
        flags = [_flag(path.replace("__", "."), value) for path, value in given.items() if value is not None]
        return load([*flags, *map(assignment, assignments)], config=config)
    except SettingsError as error:
        raise Failed(str(error)) from None


def _flag(path: str, value: str | bool) -> Flag:
    name = "--" + path.removeprefix("tls.").replace(".", "-")
    return Flag(name, path, value if isinstance(value, bool) else parse_text(BY_PATH[path], value, name))
