"""The hub's tree of each project at the end, compared with the tree that the published events make."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import httpx

from tasktree_rt.load.http import api, open_http
from tasktree_rt.load.plan import Plan
from tasktree_rt.load.publishing import Head
from tasktree_rt.load.target import Target
from tasktree_rt.load.workload import Workload, nodes_of, tree_hash


async def compare(
    plan: Plan, target: Target, names: Sequence[str], heads: Sequence[Head]
) -> list[dict[str, Any]]:
    """Return for each project ``{project, number, expected, found}``; without a tree `found` says why.

    Every event that a watcher took was compared with what was published. So a watcher that lacks nothing has
    the tree whose hash is `expected`.
    """
    workload, found = Workload(plan.nodes, plan.size), []
    async with open_http(target) as client:
        for name, head in zip(names, heads, strict=True):
            if head.number is None:
                continue
            expected = tree_hash(workload.tree(head.number))
            found.append(
                {
                    "project": name,
                    "number": head.number,
                    "expected": expected,
                    "found": await _hash(client, target, name),
                }
            )
    return found


async def _hash(client: httpx.AsyncClient, target: Target, name: str) -> str:
    try:
        response = await client.get(api(target, f"/projects/{name}/state"))
        if response.status_code != 200:
            return f"HTTP {response.status_code}"
        return tree_hash(nodes_of(response.json()["data"]["nodes"]))
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        return f"no state: {error!r}"


async def delete_projects(plan: Plan, target: Target, names: Iterable[str]) -> None:
    """Delete the projects of a run, as far as the token allows it."""
    if plan.only in ("broadcast", "aiecs", "autogpt"):
        return
    prefix = "execution:" if plan.only == "execution" else ""
    async with open_http(target) as client:
        for name in names:
            try:
                await client.delete(api(target, f"/projects/{prefix}{name}"))
            except httpx.HTTPError:
                return
