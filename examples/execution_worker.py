"""A worker: finds work that waits, claims it, runs it, and says how it goes.

    python execution_worker.py [URL] [--once]

Make some work, and watch it:

    curl -d '{"workflow_id":"sum","input_data":{"numbers":[1,2,3]}}' http://127.0.0.1:8000/api/v1/executions
    websocat ws://127.0.0.1:8000/api/v1/ws/executions/ID

Run as many of these as you like: each piece of work goes to one. A token is taken from TASKTREE_RT_TOKEN.
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
        """One request, until the hub answers it: none of these does harm when it is made twice."""
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
        """Every execution that this worker gets, for ever."""
        query = {"status": "pending", "wait": WAIT, "workflow_id": list(WORKFLOWS)}
        while True:
            waiting = self.ask("GET", "/executions", params=query).raise_for_status().json()
            for one in waiting["executions"]:
                if self.claim(one["id"]):
                    yield one

    def claim(self, execution: str) -> bool:
        """Whether it is ours now; another worker may have been quicker."""
        answer = self.ask("POST", f"/executions/{execution}/claim", json={"worker_id": self.worker_id})
        if answer.status_code in (404, 409):
            return False
        answer.raise_for_status()
        return True

    def say(self, execution: str, **changes: Any) -> None:
        """How it goes. 409: it was given to another worker, who goes on with it."""
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
    """Run one piece of work to its end, whatever that is."""

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
