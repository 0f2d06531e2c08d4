"""``tasktree-rt settings``: print the effective settings and their origins."""

from __future__ import annotations

import sys
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table

from tasktree_rt.cli.flags import hub_flags, load_flags
from tasktree_rt.cli.setting_options import BY_PATH, is_secret
from tasktree_rt.cli.settings_sources import DEFAULT, Loaded
from tasktree_rt.dialects.base import encode_json
from tasktree_rt.settings import shown_value

MASK: Final = "********"


@click.command("settings")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: {setting: {value, origin}}.")
@hub_flags
def settings_command(as_json: bool, **flags: Any) -> None:
    """Print every effective setting and its origin.

    Values come from a TOML file (--config, else tasktree-rt.toml here or in the platform's folder for
    configuration; section [tasktree-rt]), from the environment (TASKTREE_RT_LIMITS_MAX_NODES=5000) and from
    flags; later sources win. Secrets are masked. Takes serve's flags, to show their effect.

    \b
    Examples:
      tasktree-rt settings
      TASKTREE_RT_BIND=127.0.0.1:9000 tasktree-rt settings --set keep.max_events=1000
    """
    loaded = load_flags(**flags)
    if as_json:
        shown = {path: {"value": _value(loaded, path), "origin": loaded.origins[path]} for path in BY_PATH}
        click.echo(encode_json(shown))
        return
    if sys.stdout.isatty():
        Console().print(_table(loaded))
        return
    for path in BY_PATH:
        click.echo(f"{path} = {shown_value(_value(loaded, path))}  # {loaded.origins[path]}")


def _table(loaded: Loaded) -> Table:
    table = Table("setting", "value", "origin", box=None, header_style="bold")
    for path in BY_PATH:
        origin = loaded.origins[path]
        style = "dim" if origin == DEFAULT else ""
        table.add_row(path, shown_value(_value(loaded, path)).replace("[", r"\["), origin, style=style)
    return table


def _value(loaded: Loaded, path: str) -> Any:  # noqa: ANN401 - a setting's value
    value: Any = loaded.settings
    for name in path.split("."):
        value = getattr(value, name)
    return MASK if value and is_secret(path) else value
