"""The command ``tasktree-rt serve``: run a hub until a signal ends it."""

from __future__ import annotations

from typing import Any

import click
import trio

from tasktree_rt.cli.exposure import warn_of_exposure
from tasktree_rt.cli.flags import hub_flags, load_flags
from tasktree_rt.cli.logging_setup import configure_logging
from tasktree_rt.cli.running import run
from tasktree_rt.cli.settings_sources import Loaded
from tasktree_rt.cli.signals import stopping
from tasktree_rt.composition.compose import Running, run_hub
from tasktree_rt.composition.reloading import Reloads, reload_on_hangup


@click.command("serve")
@hub_flags
def serve_command(**flags: Any) -> None:
    """Run a hub until SIGTERM or SIGINT. SIGHUP reads its certificate and secrets again.

    Prints one line with its address and its store when it accepts connections. The first signal drains it
    (exit code 0), a second ends it at once (exit code 1). Address taken, store unusable, a wrong setting:
    one line on standard error, exit code 2.

    \b
    Examples:
      tasktree-rt serve
      tasktree-rt serve --bind 127.0.0.1:9000 --store sqlite:hub.db
      tasktree-rt serve --config /etc/tasktree-rt.toml --set drain.timeout=30
    """
    loaded = load_flags(**flags)
    configure_logging(loaded.settings.log)
    run(_serve, loaded)


async def _serve(loaded: Loaded) -> None:
    shutdown, reloads = trio.Event(), Reloads()

    def started(running: Running) -> None:
        warn_of_exposure(loaded)
        announce(running)

    async with trio.open_nursery() as nursery:
        await nursery.start(reload_on_hangup, reloads, shutdown)
        with stopping(shutdown):
            await run_hub(loaded.settings, shutdown=shutdown, started=started, reloads=reloads)
        nursery.cancel_scope.cancel()


def announce(running: Running) -> None:
    """Print the hub's address and its store in one line."""
    click.echo(f"tasktree-rt: listening on {' and '.join(running.addresses)}, store {running.store}")
