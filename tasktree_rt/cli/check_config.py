"""The command ``tasktree-rt check-config``: check a settings file without starting a hub."""

from __future__ import annotations

from pathlib import Path

import click

from tasktree_rt.cli.flags import load_flags


@click.command("check-config")
@click.argument("file", type=click.Path(path_type=Path))
def check_config_command(file: Path) -> None:
    """Check the settings in FILE as `serve --config FILE` would, without opening a store or a port.

    Exit code 0 and one line if a hub would take them. Otherwise exit code 2, and one line with the file, the
    setting and what was expected of it. Variables (TASKTREE_RT_…) count as for `serve`: a rule between two
    settings may need one from there. `tasktree-rt doctor --config FILE` also looks at what the settings name.

    \b
    Examples:
      tasktree-rt check-config tasktree-rt.toml
    """
    loaded = load_flags(config=file, assignments=())
    changed = sum(1 for origin in loaded.origins.values() if origin == str(file))
    click.echo(f"tasktree-rt: {file}: valid; it sets {changed} of {len(loaded.origins)} settings")
