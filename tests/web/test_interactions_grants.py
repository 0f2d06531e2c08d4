"""Who may ask, see, answer and take back prompts, command, notify and read: what tokens allow."""

from __future__ import annotations

import pytest

from tasktree_rt.core.events import Json
from tests.web.interactions_calls import Caller
from tests.web.realhub import auth, real_hub


async def statuses(someone: Caller, prompt: str) -> list[int]:
    """What somebody is told who looks at a prompt, lists it, answers it badly, and takes it back."""
    found = [(await someone.call("GET", f"/prompts/{prompt}"))[0]]
    found.append(len((await someone.call("GET", "/prompts"))[1]["prompts"]))
    found.append((await someone.call("POST", f"/prompts/{prompt}/answer", {}))[0])
    return found


@pytest.mark.parametrize(
    ("subject", "allowed", "of_project", "of_user"),
    [
        ("asks", {"push": ["*"]}, [200, 2, 403], [200, 2, 403]),
        ("pushes", {"push": ["p"]}, [200, 1, 403], [404, 1, 404]),
        ("watches", {"watch": ["p"]}, [200, 2, 403], [200, 2, 403]),
        ("answers", {"answer": ["p"]}, [200, 1, 400], [404, 1, 404]),
        ("eve", {}, [404, 1, 404], [200, 1, 400]),
        ("admin", {"admin": True}, [404, 1, 404], [200, 1, 400]),
        ("stranger", {"watch": ["q"], "answer": ["q"], "push": ["q"]}, [404, 0, 404], [404, 0, 404]),
    ],
)
async def test_a_prompt_is_for_those_whom_it_concerns(
    subject: str, allowed: Json, of_project: list[int], of_user: list[int]
) -> None:
    async with real_hub(auth=auth()) as running:
        asker, someone = Caller(running, "asker", push=["*"]), Caller(running, subject, **allowed)
        async with asker.http, someone.http:
            project = (await asker.ask(project_id="p"))["prompt_id"]
            user = (await asker.ask(project_id="p", user_id="eve"))["prompt_id"]
            assert await statuses(someone, project) == of_project
            assert await statuses(someone, user) == of_user


async def test_only_who_may_ask_takes_back_and_only_whose_it_is_answers() -> None:
    async with real_hub(auth=auth()) as running:
        asker = Caller(running, "asker", push=["*"])
        watcher = Caller(running, "watcher", watch=["*"], answer=["*"])
        eve = Caller(running, "eve")
        async with asker.http, watcher.http, eve.http:
            prompt = (await asker.ask(project_id="p", user_id="eve"))["prompt_id"]
            assert (await watcher.call("DELETE", f"/prompts/{prompt}"))[0] == 403
            assert (await watcher.call("POST", f"/prompts/{prompt}/answer", {"proceed": True}))[0] == 403
            status, outcome = await eve.call("POST", f"/prompts/{prompt}/answer", {"proceed": True})
            assert (status, outcome["by"]) == (200, "eve")
            again = (await asker.ask(project_id="p", user_id="eve"))["prompt_id"]
            status, outcome = await asker.call("DELETE", f"/prompts/{again}")
            assert (status, outcome["by"], outcome["how"]) == (200, "asker", "cancelled")


MAY: list[tuple[str, Json, str, str, Json | None, int]] = [
    ("ada", {"push": ["p"]}, "POST", "/prompts", {"project_id": "p", "message": "?"}, 201),
    ("ada", {"push": ["q"]}, "POST", "/prompts", {"project_id": "p", "message": "?"}, 403),
    ("ada", {"push": ["p"]}, "POST", "/prompts", {"user_id": "eve", "message": "?"}, 403),
    ("ada", {}, "POST", "/prompts", {"user_id": "ada", "message": "?"}, 201),
    ("ada", {"command": ["p"]}, "POST", "/projects/p/commands", {"name": "x"}, 409),
    ("ada", {"watch": ["*"], "push": ["*"]}, "POST", "/projects/p/commands", {"name": "x"}, 403),
    ("ada", {"push": ["p*"]}, "POST", "/users/eve/notifications", {"title": "x"}, 403),
    ("ada", {"push": ["*"]}, "POST", "/users/eve/notifications", {"title": "x"}, 201),
    ("ada", {}, "POST", "/users/ada/notifications", {"title": "x"}, 201),
    ("ada", {"watch": ["*"], "push": ["*"]}, "GET", "/users/eve/notifications", None, 403),
    ("ada", {}, "GET", "/users/ada/notifications", None, 200),
    ("ada", {"admin": True}, "GET", "/users/eve/notifications", None, 200),
    ("ada", {"watch": ["*"], "push": ["*"]}, "POST", "/users/eve/read", {"seq": 1}, 403),
    ("ada", {"admin": True}, "POST", "/users/eve/read", {"seq": 1}, 200),
    ("ada", {"watch": ["*"]}, "GET", "/users/eve/stream", None, 403),
]


@pytest.mark.parametrize(("subject", "allowed", "method", "path", "body", "status"), MAY)
async def test_a_token_allows_what_it_says(
    subject: str, allowed: Json, method: str, path: str, body: Json | None, status: int
) -> None:
    async with real_hub(auth=auth()) as running:
        someone = Caller(running, subject, **allowed)
        async with someone.http:
            assert (await someone.call(method, path, body))[0] == status
