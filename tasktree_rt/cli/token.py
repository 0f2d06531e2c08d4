"""The command ``tasktree-rt token``: mint a token with the hub's secret, and explain one."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import click
import jwt

from tasktree_rt.cli.flags import hub_flags, load_flags
from tasktree_rt.cli.running import Failed, run
from tasktree_rt.cli.safe_text import printable
from tasktree_rt.cli.waiting import read_seconds
from tasktree_rt.core.access import Grants, Verb
from tasktree_rt.core.grant_claim import read_grants
from tasktree_rt.errors import InvalidInput, PeerError, SettingsError
from tasktree_rt.settings import Auth
from tasktree_rt.web.auth.keys import SYMMETRIC, VerificationKey
from tasktree_rt.web.auth.tokens import MAX_TOKEN, hub_tokens

STDIN: Final = "-"


@click.group("token")
def token_command() -> None:
    """Mint tokens for a hub, and explain them. Uses the hub's settings, not a running hub.

    \b
    Examples:
      tasktree-rt token mint ada --watch '*' --answer 'build-*' --expires 1h
      tasktree-rt token explain < token
    """


@token_command.command("mint")
@click.argument("subject")
@click.option("--watch", multiple=True, metavar="PATTERN", help="A project, or a prefix and *. Repeatable.")
@click.option("--history", multiple=True, metavar="PATTERN", help="Without it: what --watch names.")
@click.option("--push", multiple=True, metavar="PATTERN")
@click.option("--answer", multiple=True, metavar="PATTERN")
@click.option("--command", multiple=True, metavar="PATTERN")
@click.option("--delete", multiple=True, metavar="PATTERN", help="Without it: what --push names.")
@click.option("--admin", is_flag=True, help="Connections, statistics, and acting for any user.")
@click.option("--expires", default="1h", show_default=True, metavar="TIME", help="30s, 15m, 1h30m, 7d.")
@click.option("--kid", metavar="NAME", help="The secret of this name (auth.secrets); default: the first.")
@hub_flags
def mint_command(subject: str, expires: str, kid: str | None, admin: bool, **given: Any) -> None:
    """Print a token for SUBJECT, signed with the hub's secret (auth.secret, secret_file or secrets)."""
    verbs = {verb.value: list(given.pop(verb.value)) for verb in Verb if verb.value in given}
    auth = load_flags(**given).settings.auth
    seconds = _lifetime(expires, auth)
    table = {name: one for name, one in verbs.items() if one} | ({"admin": True} if admin else {})
    try:
        read_grants(table, "--grants")
    except InvalidInput as error:
        raise Failed(str(error).replace("--grants.", "--")) from None
    key = _signing_key(auth, kid)
    now = int(time.time())
    claims: dict[str, Any] = {"sub": subject, "iat": now, "exp": now + seconds, "jti": secrets.token_hex(8)}
    claims |= {"iss": auth.issuer} if auth.issuer else {}
    claims |= {"aud": auth.audience} if auth.audience else {}
    _put(claims, auth.claim, {auth.claim_names.get(name, name): one for name, one in table.items()})
    head = {} if key.id is None else {"kid": key.id}
    click.echo(jwt.encode(claims, key.key, SYMMETRIC, head))


@token_command.command("explain")
@click.argument("token", default=STDIN)
@hub_flags
def explain_command(token: str, **flags: Any) -> None:
    """Say whether TOKEN is valid for a hub with these settings, what it grants and when it ends.

    Without TOKEN it is read from standard input, where no list of processes shows it. Exit code 1: the token
    is not valid.
    """
    given = sys.stdin.read(MAX_TOKEN + 2).strip() if token == STDIN else token
    auth = load_flags(**flags).settings.auth
    if not auth.on:
        raise Failed("auth: no key is set; the hub accepts every request without a token")
    try:
        found: Grants = run(_verified, auth, given)
    except Failed as error:
        click.echo(f"not valid: {printable(error.message)}")
        raise SystemExit(1) from None
    for line in _explained(found):
        click.echo(printable(line))


async def _verified(auth: Auth, token: str) -> Grants:
    try:
        return await hub_tokens(auth).verify(token)
    except PeerError as error:
        raise Failed(error.message) from None


def _explained(grants: Grants) -> list[str]:
    lines = ["valid", f"subject: {grants.subject}"]
    lines += [f"{verb}: {', '.join(grants.scope(verb).patterns) or 'nothing'}" for verb in Verb]
    lines.append(f"admin: {'yes' if grants.admin else 'no'}")
    if grants.token_id:
        lines.append(f"id: {grants.token_id}")
    if grants.issued is not None:
        lines.append(f"issued: {_moment(grants.issued)}")
    if grants.expires is not None:
        left = max(0, round(grants.expires - time.time()))
        lines.append(f"accepted until: {_moment(grants.expires)} (in {left} s)")
    return lines


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _lifetime(text: str, auth: Auth) -> int:
    """Return the whole seconds of ``15m`` and the like."""
    seconds = read_seconds(text)
    if seconds is None or seconds < 1:
        raise Failed(f"--expires {text}: expected a time like 30s, 15m, 1h30m or 7d, at least 1s")
    if seconds > auth.max_lifetime:
        raise Failed(f"--expires {text}: expected at most {auth.max_lifetime:.0f}s (auth.max_lifetime)")
    return int(seconds)


def _signing_key(auth: Auth, kid: str | None) -> VerificationKey:
    """Return the secret to sign with: that named `kid`, else the first."""
    if not auth.has_secret:
        raise Failed("auth.secret: expected a secret here, in auth.secret_file or in auth.secrets")
    try:
        keys = hub_tokens(auth).ring.secrets()
    except SettingsError as error:
        raise Failed(str(error)) from None
    fit = keys if kid is None else [key for key in keys if key.id == kid]
    if not fit:
        known = ", ".join(sorted({key.id for key in keys if key.id is not None})) or "none"
        raise Failed(f"--kid {kid}: no such secret; named secrets: {known}")
    return fit[0]


def _put(claims: dict[str, Any], path: str, table: Mapping[str, Any]) -> None:
    """Put the grants where the hub reads them: at a name, or at a path with dots."""
    names = [path] if "://" in path else path.split(".")
    for name in names[:-1]:
        claims = claims.setdefault(name, {})
    claims[names[-1]] = dict(table)
