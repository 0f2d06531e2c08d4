"""The command itself: run all checks, print them, and choose the exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, Final

import attrs
import click

from tasktree_rt.cli.doctor import network, secret_files, store_file, system
from tasktree_rt.cli.doctor.finding import HINT, OK, PROBLEM, Finding
from tasktree_rt.cli.flags import hub_flags, load_flags
from tasktree_rt.cli.running import UNUSABLE
from tasktree_rt.cli.settings_sources import DEFAULT, Loaded
from tasktree_rt.composition.stores import store_path
from tasktree_rt.dialects.base import encode_json
from tasktree_rt.settings import is_redis

_COLOURS: Final = {OK: "green", HINT: "yellow", PROBLEM: "red"}


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a line: level, subject, text, remedy.")
@hub_flags
def doctor_command(as_json: bool, **flags: Any) -> None:
    """Check what a hub with these settings needs here: store, ports, open files, clock, proxies, secrets.

    Takes serve's flags. Changes nothing: it opens the store only to read, and the ports for a moment. Each
    line begins with ok, hint (works, but perhaps not as you want) or problem (a hub does not start, or cannot
    keep its promises); below a hint or a problem stands what to do.

    \b
    Exit codes:
      0  no problem
      2  a problem, or an invalid setting

    \b
    Examples:
      tasktree-rt doctor
      tasktree-rt doctor --config /etc/tasktree-rt.toml
    """
    loaded = load_flags(**flags)
    worst = 0
    for finding in _all(loaded):
        worst = UNUSABLE if finding.level == PROBLEM else worst
        if as_json:
            click.echo(encode_json(attrs.asdict(finding)))
        else:
            _show(finding)
    sys.exit(worst)


def _all(loaded: Loaded) -> Iterator[Finding]:
    settings = loaded.settings
    changed = sum(1 for origin in loaded.origins.values() if origin != DEFAULT)
    where = f"file {loaded.file}" if loaded.file else "no file"
    yield Finding(OK, "settings", f"valid; {where}; {changed} of {len(loaded.origins)} set")
    yield from system.check_versions()
    yield from system.check_open_files(settings.limits)
    path = store_path(settings.store)
    if path is not None:
        yield from store_file.check_store(path)
    elif is_redis(settings.store):
        # Imported late: the Redis client takes a quarter of a hub's start time.
        from tasktree_rt.cli.doctor import redis_store

        yield from redis_store.check_redis(settings)
    else:
        yield Finding(
            HINT, "store", "in memory: all events end with the hub", "set store = sqlite:PATH to keep them"
        )
    yield from network.check_addresses(settings)
    yield from network.check_tls(settings)
    yield from network.check_proxies(settings)
    yield from system.check_clock()
    yield from secret_files.check_secrets(loaded)


def _show(finding: Finding) -> None:
    level = click.style(f"{finding.level:8}", fg=_COLOURS[finding.level])
    click.echo(f"{level} {finding.subject:10} {finding.text}")
    if finding.remedy:
        click.echo(f"{'':19} → {finding.remedy}")
