"""The pages: what they are allowed, and what a real browser shows."""

from __future__ import annotations

import json
import random
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tasktree_rt.core.access import OPEN
from tasktree_rt.core.closing import INTERNAL
from tasktree_rt.core.events import Json
from tests.browser import Page, open_page
from tests.web.realhub import STATIC, RealHub, auth, heard, node_update, real_hub, say, token

LIVE = "document.getElementById('connection').dataset.name === 'live'"
TITLES = """[...document.querySelectorAll('.row:not([hidden])')]
    .sort((a, b) => a.style.getPropertyValue('--index') - b.style.getPropertyValue('--index'))
    .map((row) => row.querySelector('.title').textContent)"""


# --- the files ---------------------------------------------------------------------------------------------


async def test_pages_allow_no_script_or_style_but_their_own_files() -> None:
    async with real_hub() as running, running.http() as http:
        for path in ("/", "/docs"):
            policy = (await http.get(path)).headers["Content-Security-Policy"]
            assert "default-src 'self'" in policy
            assert "connect-src 'self' ws: wss:" in policy
            assert "unsafe" not in policy
        script = await http.get("/static/page.js")
        assert script.headers["Content-Type"] == "text/javascript; charset=utf-8"
        assert script.headers["X-Content-Type-Options"] == "nosniff"
        assert script.headers["Content-Security-Policy"].startswith("default-src 'none'")


class Inline(HTMLParser):
    """Collects what a strict policy would block, and the files a page needs."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.files: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.faults += [name for name in given if name == "style" or name.startswith("on")]
        if tag in ("style", "base") or (tag == "script" and "src" not in given):
            self.faults.append(tag)
        if tag in ("script", "link", "img"):
            self.files.append(str(given.get("src") or given.get("href")))


@pytest.mark.parametrize("name", ["index.html", "docs.html"])
async def test_a_page_has_nothing_inline_and_every_file_it_needs(name: str) -> None:
    parser = Inline()
    parser.feed((STATIC / name).read_text(encoding="utf-8"))
    assert parser.faults == []
    async with real_hub() as running, running.http() as http:
        for path in parser.files:
            assert path.startswith("/static/")
            assert (await http.get(path)).status_code == 200, path


def test_no_script_makes_html_of_text_or_code_of_strings_or_looks_elsewhere() -> None:
    for path in STATIC.glob("*.js"):
        source = path.read_text(encoding="utf-8")
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("):
            assert word not in source, (path.name, word)
        for module in re.findall(r'from "([^"]+)"', source):
            assert (STATIC / module).is_file(), (path.name, module)
        assert not re.search(r"https?://", source), path.name
        assert len(source.splitlines()) <= 400, path.name


async def test_the_page_leads_to_the_documents_only_where_they_are() -> None:
    for docs, status in ((True, 200), (False, 404)):
        async with real_hub(docs=docs) as running, running.http() as http:
            assert ('href="/docs"' in (await http.get("/")).text) is docs
            assert (await http.get("/docs")).status_code == status


# --- what a real browser shows ------------------------------------------------------------------


async def shown(page: Page) -> list[str]:
    found: list[str] = await page.evaluate(TITLES)
    return found


NO_LATER = "const set = setTimeout; setTimeout = (call, ms) => (ms < 1000 ? set(call, ms) : 0);"
"""A page that never does what it puts off: what is shown all the same was not asked for by the clock."""


async def test_an_empty_hub_tells_how_to_begin_and_shows_the_first_project_by_itself(tmp_path: Path) -> None:
    async with real_hub() as running, open_page(tmp_path) as page:
        await page.call("Page.addScriptToEvaluateOnNewDocument", source=NO_LATER)
        await page.go(running.url)
        await page.until("!document.getElementById('empty').hidden")
        words = await page.text("#empty")
        assert f"curl -X POST {running.url}/api/v1/projects/first/events" in words
        assert f"tasktree-rt demo --hub {running.url}" in words
        await running.publish("first", node_update("hello", title="Hello", status="running", progress=40))
        await page.until(LIVE)
        await page.until("document.querySelector('.row')")
        assert await shown(page) == ["Hello"]
        assert "40 %" in await page.text(".row")
        assert page.faults == []


async def test_the_tree_is_live_and_says_why_nodes_failed(tmp_path: Path) -> None:
    async with real_hub() as running, open_page(tmp_path) as page:
        await running.publish(
            "p",
            node_update("src", title="src", kind="folder"),
            node_update("a", parent_id="src", title="a.py", status="running"),
            node_update("b", parent_id="src", title="b.py", status="ready"),
        )
        await page.go(f"{running.url}/#/p")
        await page.until(f"{LIVE} && document.querySelectorAll('.row').length === 3")
        assert await shown(page) == ["src", "a.py", "b.py"]
        await running.publish("p", node_update("a", status="failed", message="SyntaxError: invalid syntax"))
        await page.until("document.querySelector('.row[data-status=failed]')")
        assert "SyntaxError: invalid syntax" in await page.text(".row[data-status=failed]")
        assert (await page.text("#counts")).split("\n")[0] == "1 failed"
        await page.evaluate("document.querySelector('#counts [data-status=failed]').click()")
        await page.until("document.querySelectorAll('.row:not([hidden])').length === 2")
        await page.evaluate("document.querySelector('#counts [data-status=failed]').click()")
        await page.evaluate("document.querySelector('.twisty').click()")
        await page.until("document.querySelectorAll('.row:not([hidden])').length === 1")
        await running.hub.delete_project("p")
        await page.until("document.querySelectorAll('.row:not([hidden])').length === 0")
        assert page.faults == []


CARDS = "[...document.querySelectorAll('.prompt .question')].map((one) => one.textContent)"


def press(words: str) -> str:
    """A script that presses the button of these words."""
    return f"[...document.querySelectorAll('button')].find((one) => one.textContent === '{words}').click()"


async def test_open_questions_are_shown_and_answered_by_choice_by_yes_or_no_and_by_value(
    tmp_path: Path,
) -> None:
    async with real_hub() as running, open_page(tmp_path) as page, running.http() as http:
        asked: dict[str, Json] = {
            "Where?": {"options": [{"id": "eu", "label": "Europe"}, {"id": "us", "label": "America"}]},
            "Go?": {"node_id": "n"},
            "How many?": {"schema": {"type": "integer"}, "default": {"proceed": True, "value": 2}},
            "Name?": {"schema": {"type": "string"}},
        }
        ids = {}
        for message, more in asked.items():
            answer = await http.post("/api/v1/prompts", json={"project_id": "p", "message": message, **more})
            ids[message] = answer.json()["prompt_id"]
        await page.go(f"{running.url}/#/p")
        await page.until("document.querySelectorAll('.prompt').length === 4")
        assert await page.evaluate(CARDS) == list(asked)
        assert "about n" in await page.text(".prompt:nth-child(2)")
        assert "then: yes (2)" in await page.text(".prompt:nth-child(3)")

        async def type_in(words: str) -> None:
            field = "document.querySelector('.prompt:last-child input')"
            await page.evaluate(f"{field}.value = {json.dumps(words)}; {field}.form.requestSubmit()")

        await type_in("ann")
        await page.until("document.querySelectorAll('.prompt').length === 3")
        for wrong, told in (("many", "no JSON"), ('"many"', "is not of type")):
            await type_in(wrong)
            await page.until(f"document.querySelector('.prompt:last-child').innerText.includes('{told}')")
        await type_in("7")
        await page.until("document.querySelectorAll('.prompt').length === 2")
        await page.evaluate(press("Yes"))
        await page.until("document.querySelectorAll('.prompt').length === 1")
        await page.evaluate(press("America"))
        await page.until("document.getElementById('prompts').hidden")
        outcomes = [
            (await http.get(f"/api/v1/prompts/{ids[message]}")).json()["outcome"] for message in asked
        ]
        assert [(one["proceed"], one.get("value")) for one in outcomes] == [
            (True, "us"),
            (True, None),
            (True, 7),
            (True, "ann"),
        ]
        again = await http.post("/api/v1/prompts", json={"project_id": "p", "message": "Again?"})
        await page.until("document.querySelectorAll('.prompt').length === 1")
        await page.evaluate(press("No"))
        await page.until("document.getElementById('prompts').hidden")
        found = (await http.get(f"/api/v1/prompts/{again.json()['prompt_id']}")).json()
        assert found["outcome"]["proceed"] is False


async def test_commands_go_to_the_orchestrator_and_the_page_tells_what_it_says(tmp_path: Path) -> None:
    async with real_hub() as running, open_page(tmp_path) as page:
        await running.publish("p", node_update("n", title="N"))
        await page.go(f"{running.url}/#/p")
        await page.until(f"{LIVE} && document.querySelector('.row')")
        await page.evaluate("document.querySelector('.row').click()")
        await page.until("!document.getElementById('detail').hidden")
        await page.evaluate(press("retry"))
        await page.until("document.getElementById('told').innerText.includes('nobody takes commands')")
        async with running.socket("/ws/orchestrator?commands=p") as orchestrator:
            await page.evaluate(press("cancel"))
            given = await heard(orchestrator)
            assert (given["name"], given["node_id"]) == ("cancel", "n")
            said = {"command_id": given["command_id"], "status": "refused", "message": "it is done"}
            await say(orchestrator, {"type": "command_result", **said})
            await page.until("document.getElementById('told').innerText === 'cancel: refused, it is done'")


HOSTILE = '<img src=x onerror="globalThis.harmed=1"><script>globalThis.harmed=1</script>'


async def test_what_events_carry_is_never_read_as_html(tmp_path: Path) -> None:
    async with real_hub() as running, open_page(tmp_path) as page:
        fields = dict.fromkeys(("title", "kind", "status", "message"), HOSTILE)
        await running.publish(
            "p",
            node_update(HOSTILE, **fields, **{HOSTILE: HOSTILE, "__proto__": {"title": 1}}),
            {"type": "project_update", "data": {"changes": {"title": HOSTILE}}},
            {"type": "state_transition", "data": {"to": HOSTILE}},
        )
        question = {"project_id": "p", "message": HOSTILE, "options": [{"id": "a", "label": HOSTILE}]}
        await running.hub.ask(question, grants=OPEN)
        await page.go(f"{running.url}/#/p")
        await page.until(f"{LIVE} && document.querySelector('.row')")
        await page.evaluate("document.querySelector('.row').click()")
        await page.until("!document.getElementById('detail').hidden")
        assert await shown(page) == [HOSTILE]
        assert await page.text("#title") == HOSTILE
        assert await page.evaluate(CARDS) == [HOSTILE]
        assert (
            await page.evaluate("document.querySelectorAll('main img, main script, aside img').length") == 0
        )
        assert await page.evaluate("globalThis.harmed ?? null") is None
        assert page.faults == []


async def close_all(running: RealHub) -> None:
    """Every connection is gone of a sudden."""
    for connection in list(running.hub.connections.values()):
        connection.close(INTERNAL)


async def test_after_a_drop_the_page_goes_on_where_it_stands(tmp_path: Path) -> None:
    async with real_hub() as running, open_page(tmp_path) as page:
        await running.publish("p", node_update("a", title="before"))
        await page.go(f"{running.url}/#/p")
        await page.until(f"{LIVE} && document.querySelector('.row')")
        await page.evaluate(
            "globalThis.names = new MutationObserver(() => globalThis.went = true)"
            ".observe(document.getElementById('connection'), {attributes: true})"
        )
        await page.evaluate(
            "globalThis.sent = []; const send = WebSocket.prototype.send;"
            "WebSocket.prototype.send = function (data) { sent.push(data); send.call(this, data); }"
        )
        state = await running.hub.state("p")
        place = f"{state.epoch}:{state.seq}"
        await close_all(running)
        await running.publish("p", node_update("b", title="meanwhile"))
        await page.until(f"globalThis.went && {LIVE} && document.querySelectorAll('.row').length === 2")
        assert await shown(page) == ["before", "meanwhile"]
        asked = [json.loads(one) for one in await page.evaluate("globalThis.sent")]
        assert [one["since"] for one in asked if one["type"] == "subscribe"] == [place]


async def test_when_the_hub_stops_the_page_says_so_and_waits_as_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random, "randint", lambda least, most: most)
    async with real_hub(drain={"window": 60_000.0}) as running, open_page(tmp_path) as page:
        await running.publish("p", node_update("a"))
        await page.go(f"{running.url}/#/p")
        await page.until(f"{LIVE} && document.querySelector('.row')")
        running.stop.set()
        await page.until("document.getElementById('connection').dataset.name === 'waiting'")
        said = re.fullmatch(r"the hub is restarting; back in (\d+) s", await page.text("#connection"))
        assert said is not None
        assert 50_000 < int(said[1]) <= 60_000


async def test_a_hub_with_tokens_asks_for_one_and_takes_it(tmp_path: Path) -> None:
    async with real_hub(auth=auth()) as running, open_page(tmp_path) as page:
        await running.publish("p", node_update("a", title="secret"))
        await page.go(running.url)
        await page.until("!document.getElementById('token').hidden")
        await page.evaluate(
            f"document.getElementById('token-value').value = {json.dumps(token(watch=['*']))}"
        )
        await page.evaluate("document.querySelector('#token form').requestSubmit()")
        await page.until(f"{LIVE} && document.querySelector('.row')")
        assert await shown(page) == ["secret"]


async def test_fifty_thousand_nodes_are_a_few_rows_and_stay_current_under_load(tmp_path: Path) -> None:
    async with real_hub() as running, open_page(tmp_path) as page:
        for start in range(0, 50_000, 1000):
            await running.publish(
                "p", *(node_update(f"n{i}", status="ready") for i in range(start, start + 1000))
            )
        await page.go(f"{running.url}/#/p")
        await page.until(
            f"{LIVE} && document.getElementById('numbers').textContent.startsWith('50,000 nodes')"
        )
        assert await page.evaluate("document.querySelectorAll('.row').length") < 100
        await page.evaluate("document.getElementById('tree').scrollTop = 1e9")
        await page.until(
            "[...document.querySelectorAll('.row:not([hidden]) .title')]"
            ".some((title) => title.textContent === 'n49999')"
        )
        for start in range(0, 20_000, 500):
            await running.publish(
                "p",
                *(
                    node_update(f"n{i}", status="running", progress=i % 100)
                    for i in range(start, start + 500)
                ),
            )
        await running.publish("p", node_update("n49999", status="failed", message="the last"))
        await page.until("document.querySelector('.row[data-status=failed]:not([hidden])')")
        assert await page.text("#counts") == "1 failed\n20,000 running\n29,999 ready"
        assert page.faults == []


async def test_a_phone_scrolls_nothing_sideways(tmp_path: Path) -> None:
    async with real_hub() as running, open_page(tmp_path) as page:
        await running.publish(
            "p", node_update("a" * 300, title="t" * 300, status="failed", message="m" * 300)
        )
        await page.look(width=360, height=700, dark=True)
        for path, ready in (
            ("/#/p", f"{LIVE} && document.querySelector('.row')"),
            ("/docs", "document.querySelector('.card')"),
        ):
            await page.go(running.url + path)
            await page.until(ready)
            assert await page.evaluate("document.documentElement.scrollWidth") <= 360
            assert await page.evaluate("document.querySelector('.row, .card').clientWidth") > 320
            background = await page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert background == "rgb(13, 16, 23)"


async def test_the_documents_can_be_read_and_tried(tmp_path: Path) -> None:
    async with real_hub() as running, open_page(tmp_path) as page:
        await running.publish("p", node_update("a"))
        await page.go(f"{running.url}/docs")
        await page.until("document.querySelectorAll('.card').length > 15")
        everything = (await page.text("#main")).lower()
        for words in (
            "/api/v1/projects/{project_id}/state",
            "/ws/orchestrator",
            "slow consumer",
            "the hub says",
        ):
            assert words in everything
        await page.evaluate("document.querySelector('[id=\"ws/updates/conflated\"] summary').click()")
        await page.until(
            "document.querySelector('[id=\"ws/updates/conflated\"]').innerText.includes('logs_skipped')"
        )
        await page.evaluate("document.querySelector('[id=\"http/state\"] [name=project_id]').value = 'p'")
        await page.evaluate("document.querySelector('[id=\"http/state\"] form').requestSubmit()")
        await page.until("document.querySelector('[id=\"http/state\"] .answer .s2')")
        assert '"node_id": "a"' in await page.text('[id="http/state"] .answer')
        assert page.faults == []
