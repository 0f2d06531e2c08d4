"""A worker that finds waiting work, claims it, runs it and reports its progress.

    python execution_worker.py [URL] [--once]

Create work, and watch it:

    curl -d '{"workflow_id":"sum","input_data":{"numbers":[1,2,3]}}' http://127.0.0.1:8000/api/v1/executions
    websocat ws://127.0.0.1:8000/api/v1/ws/executions/ID

Run as many workers as you like: each execution goes to one of them. The token comes from TASKTREE_RT_TOKEN.
"""

import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx

WAIT = 30
Work = dict[str, Any]
Say = Callable[..., None]


class Hub:
    """The requests that a worker needs."""

    def __init__(self, url: str, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.http = httpx.Client(base_url=f"{url}/api/v1", headers=headers, timeout=WAIT + 30)
        self.worker_id = uuid.uuid4().hex

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request until the hub answers it; each request here may be repeated safely."""
        pause = 0.1
        while True:
            try:
                answer = self.http.request(method, path, **options)
                if answer.status_code != 503:
                    return answer
            except httpx.TransportError:
                pass
            time.sleep(pause)
            pause = min(2 * pause, 5)

    def work(self) -> Iterator[Work]:
        """Yield every execution that this worker gets, without end."""
        query = {"status": "pending", "wait": WAIT, "workflow_id": list(WORKFLOWS)}
        while True:
            waiting = self.ask("GET", "/executions", params=query).raise_for_status().json()
            for one in waiting["executions"]:
                if self.claim(one["id"]):
                    yield one

    def claim(self, execution: str) -> bool:
        """Claim an execution; False if another worker was faster."""
        answer = self.ask("POST", f"/executions/{execution}/claim", json={"worker_id": self.worker_id})
        if answer.status_code in (404, 409):
            return False
        answer.raise_for_status()
        return True

    def say(self, execution: str, **changes: Any) -> None:
        """Report progress or the end. Raises on 409: another worker has this execution now."""
        changes["worker_id"] = self.worker_id
        self.ask("PATCH", f"/executions/{execution}", json=changes).raise_for_status()


def total(say: Say, numbers: list[float]) -> float:
    found = 0.0
    for done, number in enumerate(numbers, 1):
        found += number
        say(progress=100 * done // len(numbers), message=f"{done} of {len(numbers)}")
    return found


WORKFLOWS: dict[str, Callable[..., Any]] = {"sum": total}


def run(hub: Hub, work: Work) -> str:
    """Run one execution to its end and return a line about it."""

    def say(**changes: Any) -> None:
        hub.say(work["id"], **changes)

    try:
        result = WORKFLOWS[work["workflow_id"]](say, **work["input_data"])
    except httpx.HTTPStatusError as error:
        return f"given up: {error.response.text}"
    except Exception as error:
        say(status="failed", error=f"{type(error).__name__}: {error}")
        return f"failed: {error}"
    say(status="completed", result=result)
    return f"done: {result}"


def main(url: str = "http://127.0.0.1:8000") -> None:
    hub = Hub(url, os.environ.get("TASKTREE_RT_TOKEN", ""))
    for work in hub.work():
        print(run(hub, work), flush=True)
        if "--once" in sys.argv:
            break


if __name__ == "__main__":
    main(*[one for one in sys.argv[1:] if one != "--once"])
