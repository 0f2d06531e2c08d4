"""The part of the brokers' contract that is search: what is found, in which order, and how far was looked."""

from __future__ import annotations

import json

from tasktree_rt.brokers.base import Append, Bounds, Broker, Draft, Found, Place, Retention, Where
from tasktree_rt.core.log import Position
from tasktree_rt.core.search import Query, parse_query
from tasktree_rt.core.topics import user_topic
from tests.brokers.contract_base import Suite, at
from tests.brokers.making import NOW, checkpoint

BOUNDS = Bounds(limit=100, events=10_000, seconds=60.0)


def said(
    *messages: str,
    project: str = "p",
    level: str = "info",
    node: str | None = None,
    epoch: str = "e1",
    ends: bool = False,
) -> Append:
    """Lines of output."""
    bodies = [{"type": "log", "data": {"level": level, "message": one, "node_id": node}} for one in messages]
    drafts = tuple(Draft("log", node, json.dumps(one).encode()) for one in bodies)
    return Append(project, drafts, NOW, epoch, ends=ends)


def happened(type: str, data: object, *, node: str | None = None, project: str = "p") -> Append:
    """An event of any type."""
    return Append(project, (Draft(type, node, json.dumps({"type": type, "data": data}).encode()),), NOW, "e1")


async def find(
    broker: Broker,
    words: str,
    *,
    project: str | None = "p",
    after: Place | None = None,
    bounds: Bounds = BOUNDS,
    allowed: set[str] | None = None,
    **filters: object,
) -> Found:
    """Search once all that is to be done for it is done."""
    while await broker.index():
        pass
    where = Where(project, (lambda _: True) if allowed is None else allowed.__contains__)
    query = Query(parse_query(words), **filters)  # type: ignore[arg-type]
    return await broker.search(query, where, bounds, after)


async def seqs_found(broker: Broker, words: str, **more: object) -> list[int]:
    """The seqs of the hits."""
    return [hit.position.seq for hit in (await find(broker, words, **more)).hits]  # type: ignore[arg-type]


class Searching(Suite):
    """What a search finds."""

    async def test_a_search_finds_events_that_have_all_the_words_the_newest_first(self) -> None:
        async with self.broker() as broker:
            await broker.append([said("Connection refused by db", "all is well", "DB: connection lost")])
            assert await seqs_found(broker, "connection db") == [3, 1]
            assert await seqs_found(broker, '"connection refused"') == [1]
            assert await seqs_found(broker, "refus*") == [1]
            assert await seqs_found(broker, "refus") == []
            assert await seqs_found(broker, "connection nothing") == []

    async def test_a_search_ignores_case_accents_colours_and_punctuation(self) -> None:
        async with self.broker() as broker:
            await broker.append([said("\x1b[31merror\x1b[0m: Café/Zürich is closed", "x")])
            for words in ("ERROR", "cafe", "CAFÉ", "zurich", "cafe/zurich", "café*"):
                assert await seqs_found(broker, words) == [1], words

    async def test_words_that_mean_something_to_an_index_are_words(self) -> None:
        async with self.broker() as broker:
            await broker.append([said("NOT AND OR NEAR text tags", "plain")])
            for words in (
                'NEAR(text"',
                "text : tags",
                "AND",
                "NOT text",
                '"text tags',
                "* text",
                "^text",
                "te*xt* tags-",
            ):
                await find(broker, words)
            assert await seqs_found(broker, "AND OR") == [1]
            assert await seqs_found(broker, "tags : text") == [1]

    async def test_any_event_is_found_by_what_it_says(self) -> None:
        async with self.broker() as broker:
            changes = {
                "title": "Fetch the page",
                "url": {"host": "example.org", "port": 8443},
                "tags": ["slow"],
            }
            await broker.append([happened("node_update", {"node_id": "n1", "changes": changes}, node="n1")])
            await broker.append([happened("orchestrator_error", {"error": "no more memory"})])
            assert await seqs_found(broker, "fetch slow 8443") == [1]
            assert await seqs_found(broker, "example.org") == [1]
            assert await seqs_found(broker, "memory") == [2]

    async def test_filters_look_at_kind_node_and_level(self) -> None:
        async with self.broker() as broker:
            await broker.append([said("one word", node="a/1"), said("one word", level="Error", node="b")])
            await broker.append(
                [happened("node_update", {"node_id": "b", "changes": {"message": "word"}}, node="b")]
            )
            await broker.append([happened("other", {"x": "word"})])
            assert await seqs_found(broker, "word", kind="log") == [2, 1]
            assert await seqs_found(broker, "word", kind="node") == [3]
            assert await seqs_found(broker, "word", kind="event") == [4]
            assert await seqs_found(broker, "word", node_id="b") == [3, 2]
            assert await seqs_found(broker, "word", node_id="a/1", kind="log") == [1]
            assert await seqs_found(broker, "word", levels=("error", "fatal")) == [2]

    async def test_a_hit_says_where_it_is_and_marks_what_matches(self) -> None:
        async with self.broker() as broker:
            await broker.append(
                [said("x " * 300 + "the Needle, needle" + " y" * 300, level="warning", node="n")]
            )
            (hit,) = (await find(broker, "needle")).hits
            assert (hit.project_id, hit.position, hit.type) == ("p", at(1), "log")
            assert (hit.node_id, hit.level, hit.received) == ("n", "warning", NOW)
            text = hit.excerpt.text
            assert [text[first:last] for first, last in hit.excerpt.marks] == ["Needle", "needle"]
            assert (len(text) < 400, text[0], text[-1]) == (True, "…", "…")

    async def test_pages_have_every_hit_once_and_the_count_is_of_all(self) -> None:
        async with self.broker() as broker:
            await broker.append([said(*("word" if n % 2 else "other" for n in range(40)))])
            few = Bounds(limit=6, events=10_000, seconds=60.0)
            first = await find(broker, "word", bounds=few)
            assert (first.count, first.exact) == (20, True)
            found, page = list(first.hits), first
            while page.next is not None:
                page = await find(broker, "word", bounds=few, after=page.next)
                found += page.hits
            assert [hit.position.seq for hit in found] == list(range(40, 0, -2))

    async def test_it_says_what_was_looked_at(self) -> None:
        async with self.broker() as broker:
            await broker.append([said(*["word"] * 20)])
            await checkpoint(broker, 5)
            await broker.trim(Retention(15, 1e9), NOW)
            found = await find(broker, "word")
            assert (found.searched_from, found.searched_to, found.behind) == (5, 20, 0)
            assert (found.count, found.exact, found.next) == (15, True, None)
            assert min(hit.position.seq for hit in found.hits) == 6

    async def test_without_a_log_nothing_is_found(self) -> None:
        async with self.broker() as broker:
            await broker.append([said("word", ends=True), said("another", project="q")])
            found = await find(broker, "word")
            assert (found.hits, found.count, found.exact, found.next) == ((), 0, True, None)

    async def test_a_new_life_has_nothing_of_the_old_one(self) -> None:
        async with self.broker() as broker:
            await broker.append([said("word", "word", ends=True)])
            assert await seqs_found(broker, "word") == []
            await broker.append([said("word", epoch="e2")])
            (hit,) = (await find(broker, "word")).hits
            assert hit.position == Position("e2", 1)
            assert await seqs_found(broker, "word", after=Place("p", at(2))) == []

    async def test_all_projects_that_are_allowed_are_searched_and_no_users_log(self) -> None:
        async with self.broker() as broker:
            for name in ("a", "b", "c"):
                await broker.append([said("word", "word", project=name)])
            await broker.append([said("word", project=user_topic("ada"))])
            found = await find(broker, "word", project=None, allowed={"a", "c"})
            assert sorted((hit.project_id, hit.position.seq) for hit in found.hits) == [
                ("a", 1),
                ("a", 2),
                ("c", 1),
                ("c", 2),
            ]
            assert (found.count, found.exact) == (4, True)

    async def test_pages_over_all_projects_have_every_hit_once(self) -> None:
        async with self.broker() as broker:
            for name in ("a", "b", "c"):
                await broker.append([said(*["word"] * 5, project=name)])
            few = Bounds(limit=4, events=10_000, seconds=60.0)
            page = await find(broker, "word", project=None, bounds=few)
            found = [(hit.project_id, hit.position.seq) for hit in page.hits]
            while page.next is not None:
                page = await find(broker, "word", project=None, bounds=few, after=page.next)
                found += [(hit.project_id, hit.position.seq) for hit in page.hits]
            assert sorted(found) == [(name, seq) for name in "abc" for seq in range(1, 6)]
            assert len(found) == len(set(found))

    async def test_what_is_appended_later_is_found_later(self) -> None:
        async with self.broker() as broker:
            await broker.append([said("word")])
            assert await seqs_found(broker, "word") == [1]
            await broker.append([said("word")])
            assert await seqs_found(broker, "word") == [2, 1]

    async def test_a_position_that_no_log_has_finds_what_is_before_it(self) -> None:
        async with self.broker() as broker:
            await broker.append([said("word")])
            for seq in (0, 1):
                assert await seqs_found(broker, "word", after=Place("p", at(seq))) == []
            assert await seqs_found(broker, "word", after=Place("p", Position("other", 1))) == []
