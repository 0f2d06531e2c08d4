"""Tables of grants: what they allow, and that a malformed one allows nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.core.access import EVERYTHING, NOTHING, Grants, Scope, Verb
from tasktree_rt.core.grant_claim import MAX_PATTERNS, NAMES, NO_GRANTS, read_grants
from tasktree_rt.errors import InvalidInput


def test_a_table_allows_what_it_names_and_nothing_else() -> None:
    found = read_grants({"watch": ["*"], "push": ["build-*", "p"], "admin": True})
    assert found == Grants("", EVERYTHING, Scope(("build-*", "p")), admin=True)
    assert (found.answer, found.command) == (NOTHING, NOTHING)


def test_history_and_delete_follow_from_the_other_verbs_unless_named() -> None:
    derived = read_grants({"watch": ["a"], "push": ["b"]})
    named = read_grants({"watch": ["a"], "push": ["b"], "history": [], "delete": ["c"]})
    assert (derived.scope(Verb.HISTORY).patterns, derived.scope(Verb.DELETE).patterns) == (("a",), ("b",))
    assert (named.scope(Verb.HISTORY).patterns, named.scope(Verb.DELETE).patterns) == ((), ("c",))


def test_an_empty_table_allows_nothing() -> None:
    assert read_grants({}) == NO_GRANTS
    assert not any(read_grants({}).allows(verb, "p") for verb in Verb)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (None, "tasktree: expected an object, got null"),
        ([], "tasktree: expected an object, got an array"),
        ("*", "tasktree: expected an object, got '*'"),
        ({"wacth": ["*"]}, "tasktree.'wacth': expected one of watch,"),
        ({"x" * 9_000: 1}, "expected one of watch"),
        ({"watch": None}, "tasktree.watch: expected an array of project ids, got null"),
        ({"watch": "*"}, "tasktree.watch: expected an array of project ids, got '*'"),
        ({"history": {"p": 1}}, "tasktree.history: expected an array of project ids, got an object"),
        ({"push": ["p", 5]}, "tasktree.push[1]: expected a project id or the beginning of one with *"),
        ({"answer": ["a*b"]}, "tasktree.answer[0]: "),
        ({"command": ["**"]}, "tasktree.command[0]: "),
        ({"delete": [""]}, "tasktree.delete[0]: "),
        ({"watch": ["@anna"]}, "tasktree.watch[0]: "),
        ({"watch": ["p"] * (MAX_PATTERNS + 1)}, "tasktree.watch: expected at most 256 entries, got 257"),
        ({"admin": "true"}, "tasktree.admin: expected true or false, got 'true'"),
        ({"admin": 1}, "tasktree.admin: expected true or false, got 1"),
    ],
)
def test_a_malformed_table_is_refused_by_its_place(table: Any, told: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_grants(table)
    assert str(refused.value).startswith(told) or told in str(refused.value)
    assert len(str(refused.value)) < 300


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["*", "p", "p*"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=8,
)


@given(VALUES)
def test_whatever_a_table_has_it_is_refused_or_allows_no_more_than_it_names(table: Any) -> None:
    try:
        found = read_grants(table)
    except InvalidInput:
        return
    assert found.admin is table.get("admin", False)
    for verb in (Verb.WATCH, Verb.PUSH, Verb.ANSWER, Verb.COMMAND):
        assert list(found.scope(verb).patterns) == table.get(verb.value, [])
