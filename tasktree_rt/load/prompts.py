"""Prompts of a test: opened in its projects and answered, between the events."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Final

import httpx
import trio

from tasktree_rt.load.http import api, open_http
from tasktree_rt.load.tally import Tally
from tasktree_rt.load.target import Target

PATIENCE: Final = 10.0
"""Seconds that a prompt may take."""


async def ask(rate: float, target: Target, names: Sequence[str], run: str, tally: Tally) -> None:
    """Open and answer so many prompts a second, until it is cancelled; those that are open are answered."""
    async with open_http(target) as client, trio.open_nursery() as nursery:
        begun = trio.current_time()
        for number in count():
            await trio.sleep_until(begun + number / rate)
            name = names[number % len(names)]
            nursery.start_soon(_one, client, target, name, f"load-{run}-{number}", tally)


async def _one(client: httpx.AsyncClient, target: Target, project: str, prompt: str, tally: Tally) -> None:
    question = {"prompt_id": prompt, "project_id": project, "message": "Go on?"}
    with trio.CancelScope(shield=True), trio.move_on_after(PATIENCE):
        try:
            for path, body in (("/prompts", question), (f"/prompts/{prompt}/answer", {"proceed": True})):
                answer = await client.post(api(target, path), json=body)
                answer.raise_for_status()
        except httpx.HTTPError as error:
            tally.errors[f"prompt: {type(error).__name__}"] += 1
        else:
            tally.counts["prompts"] += 1
