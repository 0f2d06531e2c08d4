"""Series over HTTP, and after a restart of the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tasktree_rt.brokers.sqlite.broker import SqliteBroker
from tests.web.realhub import auth, node_update, real_hub, token

S = "/api/v1/series"


def of(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "project_update", "data": {"changes": {"series": name, **more}}}


async def test_the_runs_of_a_series_are_there_after_a_restart(tmp_path: Path) -> None:
    path = str(tmp_path / "hub.db")
    async with real_hub(SqliteBroker(path)) as running, running.http() as http:
        for number in range(3):
            failed = node_update("top", status="failed", message=f"no route {number}")
            await running.publish(f"run-{number}", of("a/b//c", run=number), failed)
        before = (await http.get(f"{S}/a/b//c")).json()
    async with real_hub(SqliteBroker(path)) as running, running.http() as http:
        assert (await http.get(S)).json()["series"] == [{"series": "a/b//c", "runs": 3, "newest": "run-2"}]
        after = (await http.get(f"{S}/a/b//c")).json()
        assert after == before
        assert [one["run"] for one in after["runs"]] == [2, 1, 0]
        assert after["runs"][0]["overview"]["failed"][0]["message"] == "no route 2"
        few = (await http.get(f"{S}/a%2Fb%2F%2Fc?limit=1")).json()
        assert (few["count"], [one["run"] for one in few["runs"]]) == (3, [2])


async def test_only_runs_that_a_caller_may_watch_are_shown() -> None:
    async with real_hub(auth=auth()) as running, running.http() as http:
        for name in ("a1", "b1"):
            await running.publish(name, of("nightly"))
        await running.publish("b2", of("hidden"))
        http.headers["Authorization"] = f"Bearer {token(watch=['a*'])}"
        assert (await http.get(S)).json()["series"] == [{"series": "nightly", "runs": 1, "newest": "a1"}]
        assert [one["project_id"] for one in (await http.get(f"{S}/nightly")).json()["runs"]] == ["a1"]
        hidden = await http.get(f"{S}/hidden")
        assert (hidden.status_code, hidden.json()["code"]) == (404, "not_found")


async def test_a_series_of_another_shape_is_no_series_and_an_enforcing_hub_refuses_it() -> None:
    async with real_hub() as running, running.http() as http:
        await running.publish("p", of("s" * 129), of("s", run="r" * 65))
        (row,) = (await http.get("/api/v1/projects")).json()["projects"]
        assert row["series"] == "s"
        assert "run" not in row
    async with real_hub(lifecycle="enforce") as running, running.http() as http:
        refused = await http.post("/api/v1/projects/p/events", json=of("s", run=[1]))
        assert refused.json()["field"] == "events[0].data.changes.run"
