"""The HTTP API's behaviour where a schema cannot tell it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tasktree_rt.hub.projects import checkpoints, shared_snapshot
from tasktree_rt.hub.publish import publisher as publishing
from tasktree_rt.web import response as large
from tests.web.realhub import auth, heard, node_update, real_hub, token

P = "/api/v1/projects"


async def test_a_publish_is_all_or_nothing_and_names_the_field() -> None:
    async with real_hub() as running, running.http() as http:
        refused = await http.post(f"{P}/p/events", json=[node_update("a"), node_update("b", progress=101)])
        assert refused.status_code == 400
        assert refused.json()["field"] == "events[1].data.changes.progress"
        assert refused.json()["detail"] == "expected a number from 0 to 100, or null, got 101"
        assert (await http.get(f"{P}/p/state")).status_code == 404


async def test_the_same_key_is_kept_once_whatever_the_order_of_its_keys() -> None:
    async with real_hub() as running, running.http() as http:
        headers = {"Idempotency-Key": "k", "Content-Type": "application/json"}
        first = await http.post(
            f"{P}/p/events", content=b'{"type":"x","data":{"a":1,"b":2}}', headers=headers
        )
        again = await http.post(
            f"{P}/p/events", content=b'{"data":{"b":2,"a":1},"type":"x"}', headers=headers
        )
        assert first.json()["positions"] == again.json()["positions"]
        assert [first.json()["duplicate"], again.json()["duplicate"]] == [False, True]
        other = await http.post(
            f"{P}/p/events",
            json={"type": "x", "data": {"a": 1, "b": 2}},
            headers={**headers, "Producer-Id": "another"},
        )
        assert other.json()["duplicate"] is False


async def test_ndjson_names_the_line_that_is_wrong() -> None:
    async with real_hub() as running, running.http() as http:
        answer = await http.post(
            f"{P}/p/events",
            content=b'{"type":"x"}\n\n{"type":\n',
            headers={"Content-Type": "application/x-ndjson"},
        )
        assert (answer.json()["code"], answer.json()["field"]) == ("invalid_json", "events[1]")


async def test_the_state_is_what_it_was_at_any_position_kept() -> None:
    async with real_hub() as running, running.http() as http:
        for progress in range(1, 4):
            await running.publish("p", node_update("a", progress=progress))
        states = [(await http.get(f"{P}/p/state", params={"at": at})).json() for at in range(4)]
        assert [one["seq"] for one in states] == [0, 1, 2, 3]
        assert [[node["progress"] for node in one["data"]["nodes"]] for one in states] == [[], [1], [2], [3]]
        assert (await http.get(f"{P}/p/state")).json() == states[3]


@pytest.mark.parametrize("slices", [0, 1, 2, 3])
async def test_a_large_state_is_encoded_in_parts_and_is_all_there(
    slices: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (shared_snapshot, checkpoints):
        monkeypatch.setattr(module, "PART_BYTES", 64)
    monkeypatch.setattr(large, "PIECE", 1)
    async with real_hub() as running, running.http() as http:
        nodes: list[Any] = [{"node_id": f"n{number}", "progress": number} for number in range(2 * slices)]
        await running.publish("p", {"type": "anything"}, *(node_update(**node) for node in nodes))
        state = (await http.get(f"{P}/p/state")).json()
        assert state["data"]["nodes"] == nodes
        kept = (await http.post(f"{P}/p/snapshots", json={"name": "then"})).json()
        assert (await http.get(f"{P}/p/snapshots/{kept['snapshot_id']}")).json()["data"] == state["data"]


async def test_a_snapshot_stays_as_it_was() -> None:
    async with real_hub() as running, running.http() as http:
        await running.publish("p", node_update("a", title="first"))
        kept = (await http.post(f"{P}/p/snapshots", json={"name": "then"})).json()
        await running.publish(
            "p", node_update("a", title="second"), {"type": "state_transition", "data": {"to": "done"}}
        )
        found = (await http.get(f"{P}/p/snapshots/{kept['snapshot_id']}")).json()
        assert found["data"]["nodes"] == [{"node_id": "a", "title": "first"}]
        assert found["data"]["state"] is None
        assert {name: found[name] for name in kept} == kept
        assert (await http.get(f"{P}/p/snapshots")).json() == {"snapshots": [kept]}


async def test_history_is_read_page_by_page_without_loss() -> None:
    async with real_hub() as running, running.http() as http:
        await running.publish("p", *(node_update(f"n{number % 3}") for number in range(10)))
        seqs: list[int] = []
        since: str | None = ":0"
        while since is not None:
            page = (await http.get(f"{P}/p/events", params={"since": since, "limit": 3})).json()
            seqs += [event["seq"] for event in page["events"]]
            since = page["next"]
        assert seqs == list(range(1, 11))
        filtered = (await http.get(f"{P}/p/events", params={"node_id": "n1"})).json()["events"]
        assert [event["seq"] for event in filtered] == [2, 5, 8]


async def test_history_is_read_back_page_by_page_from_its_end() -> None:
    async with real_hub() as running, running.http() as http:
        await running.publish("p", *(node_update(f"n{number % 3}") for number in range(10)))
        pages: list[list[int]] = []
        before: str | None = "end"
        while before is not None:
            page = (await http.get(f"{P}/p/events", params={"before": before, "limit": 4})).json()
            pages.append([event["seq"] for event in page["events"]])
            before = page["next"]
        assert pages == [[7, 8, 9, 10], [3, 4, 5, 6], [1, 2]]
        asked = {"before": "end", "node_id": "n1", "limit": "2"}
        filtered = (await http.get(f"{P}/p/events", params=asked)).json()["events"]
        assert [event["seq"] for event in filtered] == [5, 8]


async def test_what_history_cannot_be_read_back_is_told() -> None:
    async with real_hub() as running, running.http() as http:
        nothing: dict[str, Any] = {"events": [], "next": None}
        assert (await http.get(f"{P}/p/events", params={"before": "end"})).json() == nothing
        await running.publish("p", node_update("a"))
        assert (await http.get(f"{P}/p/events", params={"before": ":0"})).json() == nothing
        wrong: tuple[tuple[dict[str, str], int, str], ...] = (
            ({"before": "other:1"}, 410, "gone"),
            ({"before": "start"}, 400, "invalid_position"),
            ({"before": "end", "since": ":0"}, 400, "invalid_message"),
        )
        for asked, status, code in wrong:
            answer = await http.get(f"{P}/p/events", params=asked)
            told = answer.json()
            assert (answer.status_code, told["code"], told["field"]) == (status, code, "before")


async def test_projects_are_read_page_by_page_and_only_those_one_may_watch() -> None:
    async with real_hub(auth=auth()) as running, running.http() as http:
        for name in ("a1", "a2", "b1", "a3"):
            await running.publish(name, node_update("x"))
        headers = {"Authorization": f"Bearer {token(watch=['a*'])}"}
        found: list[str] = []
        after: str | None = ""
        while after is not None:
            page = (await http.get(P, params={"limit": 2, "after": after}, headers=headers)).json()
            found += [project["project_id"] for project in page["projects"]]
            after = page["next"]
        assert found == ["a1", "a2", "a3"]
        assert (await http.get(f"{P}/b1/state", headers=headers)).json()["code"] == "forbidden"


async def test_deleting_ends_the_life_and_the_next_event_begins_another() -> None:
    async with real_hub() as running, running.http() as http:
        await running.publish("p", node_update("a"))
        before = (await http.get(f"{P}/p/state")).json()
        gone = (await http.delete(f"{P}/p")).json()["positions"]
        assert gone == [{"project_id": "p", "epoch": before["epoch"], "seq": 2}]
        assert (await http.get(f"{P}/p/state")).status_code == 404
        assert (await http.delete(f"{P}/p")).status_code == 404
        await running.publish("p", node_update("b"))
        after = (await http.get(f"{P}/p/state")).json()
        assert after["seq"] == 1
        assert after["epoch"] != before["epoch"]


async def test_a_limit_on_projects_answers_project_full() -> None:
    async with real_hub(limits={"max_projects": 1}) as running, running.http() as http:
        assert (await http.post(f"{P}/p/events", json={"type": "x"})).status_code == 200
        refused = await http.post(f"{P}/q/events", json={"type": "x"})
        assert (refused.status_code, refused.json()["code"]) == (409, "project_full")
        assert (await http.post(f"{P}/p/events", json={"type": "x"})).status_code == 200


async def test_project_deleted_must_be_the_last_of_its_publish() -> None:
    async with real_hub() as running, running.http() as http:
        refused = await http.post(f"{P}/p/events", json=[{"type": "project_deleted"}, {"type": "x"}])
        assert refused.json()["field"] == "events[0].type"
        assert (
            await http.post(f"{P}/p/events", json=[{"type": "x"}, {"type": "project_deleted"}])
        ).status_code == 200


async def test_a_method_that_is_not_there_says_which_are() -> None:
    async with real_hub() as running, running.http() as http:
        answer = await http.put(f"{P}/p/events", json={})
        assert answer.status_code == 405
        assert {"GET", "POST"} <= set(answer.headers["Allow"].replace(",", " ").split())
        assert answer.headers["Content-Type"] == "application/problem+json"


# --- who may ask, from where --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "localhost.evil.example"}, 403),
        ({"Host": "127.0.0.1", "Origin": "http://127.0.0.1"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://board.example.org"}, 200),
    ],
)
async def test_only_our_names_and_listed_origins_may_push(headers: dict[str, str], status: int) -> None:
    async with real_hub(cors_origins=("https://board.example.org",)) as running, running.http() as http:
        assert (await http.post(f"{P}/p/events", json={"type": "x"}, headers=headers)).status_code == status


async def test_a_listed_origin_may_read_and_any_other_is_not_told_so() -> None:
    async with real_hub(cors_origins=("https://board.example.org",)) as running, running.http() as http:
        listed = {"Origin": "https://board.example.org"}
        allowed = await http.get(P, headers=listed)
        assert allowed.headers["Access-Control-Allow-Origin"] == listed["Origin"]
        assert "Origin" in allowed.headers["Vary"]
        asked = await http.options(
            f"{P}/p/events", headers={**listed, "Access-Control-Request-Method": "POST"}
        )
        assert asked.status_code == 200
        assert "POST" in asked.headers["Access-Control-Allow-Methods"]
        other = await http.get(P, headers={"Origin": "https://evil.example"})
        assert "Access-Control-Allow-Origin" not in other.headers


@pytest.mark.parametrize(
    ("given", "detail"),
    [
        (None, "a token is needed"),
        ("nonsense", "the token is not valid"),
        (token(expires=1), "the token is not valid: Signature has expired"),
        (token(subject=None), "the token has no sub"),
    ],
)
async def test_a_token_that_is_none_says_why(given: str | None, detail: str) -> None:
    async with real_hub(auth=auth()) as running, running.http() as http:
        answer = await http.get(P, params={} if given is None else {"token": given})
        assert answer.status_code == 401
        assert answer.json()["detail"].startswith(detail)


async def test_what_a_token_allows_stands_in_its_claim() -> None:
    async with real_hub(auth=auth()) as running, running.http() as http:

        def bearer(**allowed: Any) -> dict[str, str]:
            return {"Authorization": f"Bearer {token(**allowed)}"}

        async def status(method: str, path: str, headers: dict[str, str]) -> int:
            return (await http.request(method, path, headers=headers, json={"type": "x"})).status_code

        builder = bearer(push=["build-*"], watch=["build-*"])
        assert await status("POST", f"{P}/build-1/events", builder) == 200
        assert await status("POST", f"{P}/other/events", builder) == 403
        assert await status("GET", f"{P}/build-1/state", builder) == 200
        assert await status("GET", "/api/v1/stats", builder) == 403
        assert await status("GET", "/api/v1/stats", bearer(admin=True)) == 200
        assert await status("GET", f"{P}/build-1/state", bearer()) == 403
        assert await status("DELETE", f"{P}/build-1", bearer(admin=True)) == 200


async def test_pages_and_health_are_there_for_everybody() -> None:
    async with real_hub(auth=auth()) as running, running.http() as http:
        for path in ("/", "/docs", "/static/docs.js", "/api/v1/openapi.json", "/healthz", "/readyz"):
            assert (await http.get(path)).status_code == 200, path
        assert (await http.get("/metrics")).status_code == 401


async def test_the_root_is_a_page_or_says_that_it_is_healthy() -> None:
    async with real_hub() as running, running.http() as http:
        for accept, kind in (
            ("*/*", "text/html"),
            ("text/html,*/*;q=0.1", "text/html"),
            ("application/json", "application/json"),
        ):
            answer = await http.get("/", headers={"Accept": accept})
            assert answer.headers["Content-Type"].startswith(kind), accept
            assert "Accept" in answer.headers["Vary"]


async def test_connections_say_who_is_there_and_how_far_behind() -> None:
    async with (
        real_hub() as running,
        running.http() as http,
        running.socket("/ws/updates?project_id=p") as watcher,
    ):
        await running.publish("p", node_update("a"))
        assert (await heard(watcher))["type"] == "welcome"
        await watcher.send_message(json.dumps({"type": "ack", "project_id": "p", "seq": 1}))
        await watcher.send_message(json.dumps({"type": "ping"}))
        with trio.fail_after(30):
            while (await heard(watcher))["type"] != "pong":
                pass
        (found,) = (await http.get("/api/v1/connections")).json()["connections"]
        assert (found["dialect"], found["subscriptions"], found["acked"]) == ("native", ["p"], {"p": 1})
        stats = (await http.get("/api/v1/stats")).json()
        assert (stats["connections"], stats["subscriptions"], stats["store"]) == (1, 1, "memory:")


@pytest.mark.parametrize(("late", "kept"), [(b"{}", True), (None, False)])
async def test_a_refusal_that_comes_before_the_body_ends_the_connection_unless_the_body_follows(
    late: bytes | None, kept: bool
) -> None:
    """Else the client sends its next request on a connection that the hub is about to close."""
    async with real_hub() as hub, await trio.open_tcp_stream("127.0.0.1", int(hub.url[17:])) as stream:
        head = b"POST /api/v1/projects/!/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\n"
        await stream.send_all(head)
        await wait_all_tasks_blocked()
        if late is not None:
            await stream.send_all(late)
        with trio.fail_after(20):
            answer = bytes(await stream.receive_some())
        assert answer.startswith(b"HTTP/1.1 400")
        assert (b"connection: close" not in answer.lower()) is kept


async def test_a_publish_encodes_and_decodes_no_event_a_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    again: list[object] = []

    def plain(value: object) -> object:
        again.append(value)
        return value

    monkeypatch.setattr(publishing, "plain", plain)
    async with real_hub() as running, running.http() as http:
        sent = [node_update("a"), node_update("b")]
        assert (await http.post("/api/v1/projects/p/events", json=sent)).status_code == 200
        assert not again
        await running.publish("p", node_update("c"))
        assert len(again) == 1, "what a program hands over goes through JSON once"


async def test_more_events_than_a_publish_may_have_are_refused_before_any_is_looked_at() -> None:
    async with real_hub(limits={"max_events_per_publish": 2}) as running, running.http() as http:
        found = await http.post("/api/v1/projects/p/events", json=[{}, {}, {}])
        assert (found.json()["code"], found.json()["field"]) == ("too_large", "events")
