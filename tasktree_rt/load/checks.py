"""What is checked before a test begins: descriptors, ports, the server, its answer to the token."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Final

import httpx

from tasktree_rt.errors import ClientError
from tasktree_rt.load.http import api, open_http
from tasktree_rt.load.plan import Plan
from tasktree_rt.load.readers import Readers
from tasktree_rt.load.target import LOOPBACK_SOURCES, Target

SPARE: Final = 64
"""Descriptors that the tool needs beside its connections."""
_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


def check_descriptors(plan: Plan) -> None:
    """Raise the limit of open files as far as the plan needs it.

    Raises:
        ClientError: it cannot be raised so far.
    """
    wanted = -(-plan.watchers // plan.processes) + SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted:
        return
    for most in (max(hard, wanted), hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, most), most))
        except (ValueError, OSError):
            continue
        if min(wanted, most) >= wanted:
            return
    raise ClientError(
        f"watchers: {plan.watchers} in {plan.processes} process(es) need {wanted} open files each, and "
        f"{hard} are allowed: raise the limit (ulimit -n {wanted}, as root or in limits.conf), use "
        f"--processes {-(-plan.watchers // (hard - SPARE))}, or fewer watchers"
    )


def check_ports(plan: Plan, target: Target) -> None:
    """Check that there are enough source ports for the connections.

    Raises:
        ClientError: there are not.
    """
    try:
        first, last = map(int, _RANGE.read_text().split())
    except (OSError, ValueError):
        return
    sources = LOOPBACK_SOURCES if target.loopback else 1
    room = (last - first + 1) * sources
    if plan.watchers > room:
        raise ClientError(
            f"watchers: {plan.watchers} connections to {target.authority} need as many source ports, and "
            f"this machine has {room} (net.ipv4.ip_local_port_range {first}–{last}, {sources} source "
            "address(es)): widen the range, or run the test on several machines"
        )


async def check_reachable(plan: Plan, target: Target) -> None:
    """Ask a hub whether it is ready and accepts the token. Another server is asked by the first watcher.

    Raises:
        ClientError: it is not there, not ready, or refuses the token.
    """
    if plan.only == "broadcast":
        return
    async with open_http(target) as client:
        try:
            answer = await client.get(api(target, "/projects?limit=1"))
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise ClientError(f"{target.url}: no answer: {reason}") from None
    if answer.status_code in (401, 403):
        raise ClientError(f"{target.url}: the hub refuses the token: {_message(answer)}")
    if answer.status_code != 200:
        raise ClientError(
            f"{target.url}: no hub that is ready: HTTP {answer.status_code}: {_message(answer)}"
        )


def _message(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:200].strip() or answer.reason_phrase


async def check_some_came(readers: Readers, plan: Plan) -> None:
    """Check that watchers got in at all.

    Raises:
        ClientError: none did; the message has the reasons.
    """
    progress = await readers.progress()
    if progress.live or not progress.tally.errors:
        return
    kinds = ", ".join(f"{kind} ({count} times)" for kind, count in progress.tally.errors.most_common(3))
    raise ClientError(f"none of {plan.watchers} watchers could connect: {kinds}")
