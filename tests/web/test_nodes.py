"""What nodes have used, over HTTP."""

from __future__ import annotations

from tests.web.realhub import auth, node_update, real_hub, token

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
