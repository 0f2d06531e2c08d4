"""Values that are cut: the tree of cut events is the cut tree, and the store has everything whole."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.core.events import Record
from tasktree_rt.core.large_value import LargeValue
from tasktree_rt.core.nodes import Nodes, wholes
from tasktree_rt.core.reducer import reduce
from tasktree_rt.core.tree import Tree
from tasktree_rt.dialects.base import decode_body, encode_body, encode_json, encode_whole, measure
from tasktree_rt.hub.projects.checkpoints import encode_parts, fill
from tasktree_rt.hub.projects.large_values import WHOLE, LargeValues
from tests.core.strategies import happenings, names
from tests.core.trees import event, picture
from tests.hub.client import Oracle
from tests.hub.world import run

MOST = 40
_values: st.SearchStrategy[Any] = (
    st.text(max_size=60) | st.lists(st.text(max_size=30), max_size=3) | st.sampled_from([None, 5, {}])
)
_large: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {}, optional={"input": _values, "output": _values, "status": st.just("failed")}
)
_events: st.SearchStrategy[list[tuple[str, dict[str, Any]]]] = st.lists(
    happenings
    | st.tuples(st.just("node_update"), st.fixed_dictionaries({"node_id": names, "changes": _large}))
    | st.tuples(
        st.sampled_from(["task_created", "task_updated"]),
        st.tuples(names, _large).map(lambda one: {"task_id": one[0], **one[1]}),
    ),
    max_size=25,
)


def reduced(nodes: Nodes, happened: list[tuple[str, dict[str, Any]]], large: LargeValues) -> None:
    """What a hub does with publishes of one event."""
    for kind, data in happened:
        one = event(kind, data)
        size = len(encode_body(one))
        (cut,), _ = large.events([one], [size])
        nodes.apply(reduce(nodes, cut, size, measure))


@given(_events)
def test_a_tree_of_cut_events_is_the_cut_tree(happened: list[tuple[str, dict[str, Any]]]) -> None:
    large, here, whole, reader = LargeValues(MOST), Tree("e"), Nodes(), Nodes()
    reduced(here, happened, large)
    reduced(whole, happened, WHOLE)
    shown = Oracle(MOST)
    for kind, data in happened:
        one = event(kind, shown.shown(kind, data))
        reader.apply(reduce(reader, one, len(encode_body(one)), measure))
    told = {one["node_id"]: one for one in json.loads(encode_json(list(wholes(here.nodes.items()))))}
    assert told == {name: {"node_id": name, **node.fields} for name, node in reader.nodes.items()}
    kept = json.loads(encode_whole(list(wholes(here.nodes.items()))))
    assert kept == list(wholes(whole.nodes.items()))
    assert here.bound == whole.bound, "cutting changes no limit"
    assert here.used() == whole.used()


@given(_events)
def test_an_event_from_the_store_is_shown_as_it_was_live(happened: list[tuple[str, dict[str, Any]]]) -> None:
    large = LargeValues(MOST)
    for kind, data in happened:
        one = event(kind, data)
        body = encode_body(one)
        (cut,), bodies = large.events([one], [len(body)])
        record = Record(1, kind, None, 0, body)
        shown, again = large.stored(record)
        assert shown.body == large.shown(record).body == bodies.get(0, body)
        assert again.data == cut.data
        assert decode_body(shown.body).data == Oracle(MOST).shown(kind, decode_body(body).data)


@given(_events)
def test_a_checkpoint_is_whole_and_loads_cut(happened: list[tuple[str, dict[str, Any]]]) -> None:
    large, tree, loaded, exported = LargeValues(MOST), Tree("e"), Nodes(), Nodes()
    reduced(tree, happened, large)

    async def save_and_load() -> None:
        parts = await encode_parts(tree.snapshot())
        await fill("p", parts, loaded, large=large)
        await fill("p", parts, exported)

    run(save_and_load)
    assert picture(loaded) == picture(tree)
    values = [value for node in exported.nodes.values() for value in node.fields.values()]
    assert not any(isinstance(value, LargeValue) for value in values)


def test_small_events_and_nodes_are_the_same_objects() -> None:
    large, one = LargeValues(MOST), event("node_update", {"node_id": "a", "changes": {"title": "x" * 99}})
    events = [one]
    cut, bodies = large.events(events, [150])
    assert cut[0] is one
    assert not bodies
    fields = {"input": "x", "title": "y" * 99}
    assert large.fields(fields) is fields
