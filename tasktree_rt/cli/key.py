"""The commands ``tasktree-rt key``: make, list and revoke API keys, on a running hub or on its store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, TypeVar

import click
from rich.console import Console

from tasktree_rt.brokers.base import Broker
from tasktree_rt.cli.access import access
from tasktree_rt.cli.flags import load_flags
from tasktree_rt.cli.remote import checked_hub, hub_option, outages_told, patience_option, refusal
from tasktree_rt.cli.running import Failed, run
from tasktree_rt.cli.safe_text import printable
from tasktree_rt.cli.waiting import say, seconds
from tasktree_rt.client.interactions.administration import open_administration
from tasktree_rt.core.access import Verb
from tasktree_rt.core.events import Json
from tasktree_rt.core.grant_claim import ADMIN
from tasktree_rt.dialects.base import decode_object, encode_json
from tasktree_rt.errors import InvalidInput, PeerError, RequestRefused

F = TypeVar("F", bound=Callable[..., Any])
VERBS: Final = tuple(verb.value for verb in Verb)
ADMINISTERS: Final = ("watch", "push", "answer", "command")
"""What an administrator's key may do with every project, unless the flags name others."""


class Keys(Protocol):
    """Where keys are: a running hub, or a store."""

    async def create_key(self, name: str, grants: Json, *, expires_in: int | None = None) -> Json:
        """Make a key; ``key`` in its description is the key itself."""

    async def keys(self) -> Any:  # noqa: ANN401 - a sequence of JSON objects
        """Return the descriptions of all keys."""

    async def revoke_key(self, key_id: str) -> int:
        """Revoke a key; returns how many connections ended."""


def _where(command: F) -> F:
    """Add the options that name the hub, or its store."""
    command = click.option(
        "--store",
        metavar="STORE",
        help="sqlite:PATH or a Redis' URL: work on the store itself, while no hub runs. Needs no token.",
    )(command)
    return hub_option(patience_option(command))


@click.group("key")
def key_command() -> None:
    """Make, list and revoke API keys: what servers and CI use in place of a token.

    The commands ask a running hub (--hub) with an administrator's token or API key (--token-file).
    With --store they work on the store's file while no hub runs: so the first key is made.

    \b
    Examples:
      tasktree-rt key create root --admin --store sqlite:/var/lib/tasktree-rt/hub.db
      tasktree-rt key create ci --push 'build-*' --watch 'build-*' --expires 90d
      tasktree-rt key list
      tasktree-rt key revoke 9f2c51d07ab3e684
    """


def _verb_options(command: F) -> F:
    for verb in reversed(VERBS):
        command = click.option(
            f"--{verb}",
            multiple=True,
            metavar="PROJECT",
            help=f"What it may {verb}: an id, or 'prefix-*'. Repeatable.",
        )(command)
    return command


@key_command.command("create")
@click.argument("name")
@click.option(
    "--grants", "table", metavar="JSON", help='All grants as JSON: {"watch": ["*"], "admin": true}.'
)
@_verb_options
@click.option("--admin", is_flag=True, help="An administrator; may do everything unless a verb says less.")
@click.option(
    "--expires", callback=seconds, metavar="TIME", help="Valid for so long: 90d, 12h; default: ever."
)
@click.option("--json", "as_json", is_flag=True, help="Print the key and its description as one JSON object.")
@_where
def create_command(
    name: str,
    table: str | None,
    admin: bool,
    expires: float | None,
    as_json: bool,
    hub: str,
    patience: float,
    store: str | None,
    **verbs: tuple[str, ...],
) -> None:
    """Make an API key called NAME and print it: this once, the hub keeps only a digest.

    Its subject is key:NAME. A new key of the same name is the same subject: switch to it, then revoke the
    old one.

    \b
    Examples:
      tasktree-rt key create ci --push 'build-*' --expires 90d
      tasktree-rt key create grafana --grants '{"admin": true}'
    """
    grants = _grants(table, verbs, admin)
    lifetime = None if expires is None else max(1, round(expires))

    async def create(keys: Keys) -> Json:
        return await keys.create_key(name, grants, expires_in=lifetime)

    made: Json = _do(create, hub, patience, store)
    if as_json:
        click.echo(encode_json(made))
        return
    click.echo(made["key"])
    say(f"key {made['id']} ({name}), valid {_until(made)}; it is not shown again")


@key_command.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@_where
def list_command(as_json: bool, hub: str, patience: float, store: str | None) -> None:
    """List all API keys: id, name, state, times, grants; revoked and expired ones for 30 days more."""

    async def listed(keys: Keys) -> Any:  # noqa: ANN401 - a sequence of JSON objects
        return await keys.keys()

    for one in _do(listed, hub, patience, store):
        click.echo(encode_json(one) if as_json else _line(one))


@key_command.command("revoke")
@click.argument("key_id", metavar="ID")
@_where
def revoke_command(key_id: str, hub: str, patience: float, store: str | None) -> None:
    """Revoke the API key with this ID: in force when the command ends, also on open connections.

    \b
    Examples:
      tasktree-rt key revoke 9f2c51d07ab3e684
    """

    async def revoke(keys: Keys) -> int:
        return await keys.revoke_key(key_id)

    say(f"key {printable(key_id)} is revoked; {_do(revoke, hub, patience, store)} connections ended")


def _grants(table: str | None, verbs: dict[str, tuple[str, ...]], admin: bool) -> Json:
    try:
        found = {} if table is None else decode_object(table.encode())
    except InvalidInput as error:
        raise Failed(f"--grants: {error}") from None
    found |= {verb: list(names) for verb, names in verbs.items() if names}
    if admin:
        found = {**({} if found else {verb: ["*"] for verb in ADMINISTERS}), **found, ADMIN: True}
    if not found:
        raise Failed("expected --admin, --grants, or what the key may do, as in --push 'build-*'")
    return found


def _until(key: Json) -> str:
    return "until it is revoked" if key["expires"] is None else f"until {key['expires']}"


def _line(key: Json) -> str:
    state = "revoked" if key["revoked"] else f"valid {_until(key)}"
    used = f"used {key['used']}" if key["used"] else "never used"
    parts = (
        key["id"],
        key["name"],
        f"made {key['created']}",
        used,
        state,
        encode_json(key["grants"]).decode(),
    )
    return printable("  ".join(parts))


# --- where ----------------------------------------------------------------------------------------


def _do(work: Callable[[Keys], Awaitable[Any]], hub: str, patience: float, store: str | None) -> Any:  # noqa: ANN401
    if store is None:
        with outages_told(Console(stderr=True)):
            return run(_at_hub, work, checked_hub(hub), patience)
    # Late: a hub is asked without a web app.
    from tasktree_rt.composition.stores import make_broker

    settings = load_flags(config=None, assignments=(), store=store).settings
    if settings.store == "memory:":
        raise Failed("--store memory: ends with its hub: expected sqlite:PATH or the URL of a Redis")
    return run(_at_store, work, make_broker(settings))


async def _at_hub(work: Callable[[Keys], Awaitable[Any]], hub: str, patience: float) -> Any:  # noqa: ANN401
    async with open_administration(hub, patience=patience, **access()) as desk:
        try:
            return await work(desk)
        except RequestRefused as error:
            raise Failed(refusal(error)) from None


async def _at_store(work: Callable[[Keys], Awaitable[Any]], broker: Broker) -> Any:  # noqa: ANN401
    # Late: a hub is asked without a broker and a web app.
    from tasktree_rt.cli.stored_keys import open_stored_keys

    try:
        async with open_stored_keys(broker) as keys:
            return await work(keys)
    except PeerError as error:
        raise Failed(f"{error.code}: {error}") from None
