"""Reports: as text, as a page, and two beside each other."""

from __future__ import annotations

import copy
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tasktree_rt.errors import ClientError
from tasktree_rt.load.compare import compare, differing_plans, read_report
from tasktree_rt.load.histogram import Histogram
from tasktree_rt.load.html import page
from tasktree_rt.load.plots import plot
from tasktree_rt.load.report import summary
from tests.load.running import load
from tests.web.realhub import real_hub


@pytest.fixture
async def found() -> dict[str, Any]:
    async with real_hub() as hub:
        return await load(hub.url, duration=1.3)


class Outline(HTMLParser):
    """Tags that are open, and every attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.attributes: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.attributes += [name for name, _ in attrs]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


async def test_the_page_has_plots_and_needs_nothing_from_elsewhere(found: dict[str, Any]) -> None:
    found["examples"] = ["</pre><script>alert(1)</script>"]
    found["faults"]["lost"] = 1
    text = page(found)
    outline = Outline()
    outline.feed(text)
    assert outline.open == []
    assert outline.seen.count("svg") == 7
    assert not {"script", "link", "img", "iframe", "object", "use"} & set(outline.seen)
    assert not {"src", "href", "srcset", "xlink:href", "style"} & set(outline.attributes)
    assert not re.search(r"url\(|@import|//(?!127\.0\.0\.1)", text)


async def test_a_report_is_json_and_can_be_read_again(found: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(json.dumps(found))
    assert read_report(file) == json.loads(json.dumps(found))
    assert [row for row in compare(found, read_report(file)) if row.verdict != "same"] == []
    assert found["methods"]["tasktree.v1"] in "\n".join(summary(found))


async def test_what_became_worse_is_named(found: dict[str, Any]) -> None:
    worse = copy.deepcopy(found)
    slow = Histogram()
    for one in found["latency"]["delivery"]["histogram"]["buckets"]:
        slow.record(one[0] * 2 + 50_000, one[1])
    worse["latency"]["delivery"]["histogram"] = slow.to_json()
    worse["faults"]["lost"] = 3
    worse["plan"]["watchers"] = 21
    verdicts = {row.metric: row.verdict for row in compare(found, worse)}
    assert verdicts["delivery.p99"] == verdicts["lost"] == "worse"
    assert verdicts["ack.p50"] == verdicts["delivered_per_second"] == "same"
    assert {row.metric: row.verdict for row in compare(worse, found)}["delivery.p99"] == "better"
    assert differing_plans(found, worse) == ["watchers"]


@pytest.mark.parametrize("text", ["", "[]", '{"format": 99}', "\ud800"])
def test_a_file_that_is_no_report_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(ClientError, match="no report"):
        read_report(file)


def test_a_plot_of_nothing_is_a_plot() -> None:
    assert plot("Nothing", "s", "ms", {"a": []}).startswith("<svg")
    assert plot("One", "s", "ms", {"a": [(0.0, 0.0)]}).endswith("</svg>")
