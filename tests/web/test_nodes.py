"""What nodes have used, and their large values, over HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tasktree_rt.brokers.sqlite.broker import SqliteBroker
from tests.web.realhub import RealHub, auth, node_update, real_hub, token

P = "/api/v1/projects"


async def test_a_project_and_its_branches_say_what_they_have_used() -> None:
    async with real_hub() as running, running.http() as http:
        await running.publish(
            "p",
            node_update("top"),
            node_update("a/b", parent_id="top", usage={"input_tokens": 10, "output_tokens": 2}, cost_usd=0.1),
            node_update("c", usage={"total_tokens": 5}, cost_usd=0.2),
        )
        whole = (await http.get(f"{P}/p/usage")).json()
        assert whole["seq"] == 3
        assert whole["usage"] == {
            "input_tokens": 10,
            "output_tokens": 2,
            "total_tokens": 17,
            "cost_usd": 0.3,
        }
        for node_id in ("top", "a/b"):
            found = (await http.get(f"{P}/p/usage", params={"node_id": node_id})).json()
            assert found["node_id"] == node_id
            assert found["usage"]["cost_usd"] == 0.1
        assert (await http.get(f"{P}/p/usage", params={"node_id": "none"})).json()["usage"] == {}


async def test_the_list_of_projects_has_the_sums_of_those_that_used_anything() -> None:
    async with real_hub() as running, running.http() as http:
        await running.publish("p", node_update("a", cost_usd=0.25))
        await running.publish("q", node_update("a"))
        one, other = (await http.get(P)).json()["projects"]
        assert one["usage"] == {"cost_usd": 0.25}
        assert "usage" not in other


async def test_an_enforcing_hub_names_a_field_of_another_shape() -> None:
    async with real_hub(lifecycle="enforce") as running, running.http() as http:
        odd = node_update("a", usage={"input_tokens": "many"})
        refused = await http.post(f"{P}/p/events", json=[node_update("b"), odd])
        assert refused.status_code == 400
        assert refused.json()["code"] == "invalid_event"
        assert refused.json()["field"] == "events[1].data.changes.usage.input_tokens"


async def test_what_a_project_used_is_only_for_those_that_may_watch_it() -> None:
    async with real_hub(auth=auth()) as running, running.http() as http:
        await running.publish("p", node_update("a", cost_usd=0.25))
        for allowed, status in ((["p"], 200), (["q"], 403)):
            headers = {"Authorization": f"Bearer {token(watch=allowed)}"}
            assert (await http.get(f"{P}/p/usage", headers=headers)).status_code == status


PROMPT = [{"role": "user", "content": "é" * 2000}]


async def field(running: RealHub, node_id: str, name: str, **query: Any) -> Any:
    async with running.http() as http:
        answer = await http.get(f"{P}/p/field", params={"node_id": node_id, "name": name, **query})
        return answer.json() if answer.status_code == 200 else (answer.status_code, answer.json()["code"])


async def test_a_large_value_is_a_marker_everywhere_and_is_fetched_whole() -> None:
    async with real_hub() as running, running.http() as http:
        await running.publish("p", node_update("a/b", input=PROMPT, output="short", title="t" * 3000))
        (node,) = (await http.get(f"{P}/p/state")).json()["data"]["nodes"]
        marker = node["input"]["$large"]
        assert marker["bytes"] == len(json.dumps(PROMPT, ensure_ascii=False, separators=(",", ":")).encode())
        assert (node["output"], len(node["title"])) == ("short", 3000)
        (event,) = (await http.get(f"{P}/p/events")).json()["events"]
        assert event["data"]["changes"]["input"] == node["input"]
        assert (await http.get(f"{P}/p/state", params={"at": 1})).json()["data"]["nodes"] == [node]
        kept = (await http.post(f"{P}/p/snapshots", json={"name": "then"})).json()["snapshot_id"]
        assert (await http.get(f"{P}/p/snapshots/{kept}")).json()["data"]["nodes"] == [node]
        assert await field(running, "a/b", "input") == PROMPT
        assert await field(running, "a/b", "output") == "short"


async def test_a_value_of_the_past_is_fetched_by_its_position() -> None:
    async with real_hub() as running:
        await running.publish("p", node_update("a", input=PROMPT))
        await running.publish("p", node_update("a", input="x" * 5000), node_update("a", input=None))
        assert await field(running, "a", "input", at=1) == PROMPT
        assert await field(running, "a", "input", at=2) == "x" * 5000
        assert await field(running, "a", "input", at=3) == (404, "not_found")
        assert await field(running, "a", "input") == (404, "not_found")
        assert await field(running, "a", "input", at=4) == (400, "invalid_position")
        assert await field(running, "none", "input") == (404, "not_found")
        assert await field(running, "", "input") == (400, "invalid_message")


async def test_a_large_value_survives_a_restart_whole(tmp_path: Path) -> None:
    for checkpoint in (1, 1_000):
        path = tmp_path / f"{checkpoint}.db"
        async with real_hub(SqliteBroker(str(path))) as running, running.http() as http:
            await running.publish("p", node_update("a", input=PROMPT))
            before = (await http.get(f"{P}/p/state")).json()
            if checkpoint == 1:
                await running.hub.checkpoints.save(await running.hub.history.existing("p"))
        async with real_hub(SqliteBroker(str(path))) as running, running.http() as http:
            after = (await http.get(f"{P}/p/state")).json()
            assert after == before
            assert await field(running, "a", "input") == PROMPT
            assert await field(running, "a", "input", at=1) == PROMPT


@pytest.mark.parametrize("query", ["project_id=p", "project_id=p&state=1", "project_id=p&since=:0"])
async def test_every_reader_gets_the_marker(query: str) -> None:
    async with real_hub() as running:
        await running.publish("p", node_update("a", input=PROMPT))
        async with running.socket(f"/ws/updates?{query}") as socket:
            await running.publish("p", node_update("b", output=PROMPT))
            told: Any = ""
            while '"b"' not in told:
                told = await socket.get_message()
                assert "é" not in told
            assert '"$large"' in told


async def test_the_past_of_a_value_needs_the_grant_of_history() -> None:
    async with real_hub(auth=auth()) as running, running.http() as http:
        await running.publish("p", node_update("a", input=PROMPT))
        ask = {"node_id": "a", "name": "input"}
        cases: list[tuple[dict[str, Any], int, int]] = [
            ({"watch": ["p"]}, 200, 200),
            ({"watch": ["p"], "history": []}, 200, 403),
            ({"watch": ["q"]}, 403, 403),
        ]
        for claims, now, past in cases:
            http.headers["Authorization"] = f"Bearer {token(**claims)}"
            assert (await http.get(f"{P}/p/field", params=ask)).status_code == now
            assert (await http.get(f"{P}/p/field", params={**ask, "at": 1})).status_code == past
