"""The questions of `hub.access.policy`: what they answer, and that no other module asks the grants."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.core.access import EVERYTHING, NOTHING, OPEN, Grants, Scope, Verb
from tasktree_rt.core.topics import user_topic
from tasktree_rt.errors import Refused
from tasktree_rt.hub.access import policy

PACKAGE: Final = Path(policy.__file__).parents[2]
ASKS: Final = frozenset({"allows", "sees", "is_user", "calls", "covers", "everything", "scope", "admin"})
VERBS: Final = frozenset(verb.value for verb in Verb)
LISTINGS: Final = {
    "hub/projects/directory.py",
    "hub/executions/work_queue.py",
    "hub/executions/waiting_workers.py",
    "web/search.py",
    "hub/projects/series.py",
}
"""They filter lists by the `Scope` that `policy.listed` gave to their caller."""


def asked_in(path: Path) -> set[str]:
    """What a module asks of grants: the attributes of something that is called so."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and node.attr in ASKS | VERBS:
            owner = ast.unparse(node.value)
            if owner.endswith(("grants", "grants()", "caller", "allowed", "scope", "watch", "push")):
                found.add(f"{owner}.{node.attr}")
    return found


def test_no_other_module_asks_the_grants() -> None:
    for path in PACKAGE.rglob("*.py"):
        name = path.relative_to(PACKAGE).as_posix()
        if name in ("core/access.py", "hub/access/policy.py", "cli/token.py"):  # the last prints them
            continue
        asked = asked_in(path)
        if name in LISTINGS:
            asked = {one for one in asked if not one.endswith(("scope.covers", "scope.everything"))}
        assert not asked, f"{name} asks {asked}: put the question into hub/access/policy.py"


@pytest.mark.parametrize("verb", Verb)
def test_a_verb_is_allowed_on_the_projects_that_the_grants_name_for_it(verb: Verb) -> None:
    bare = Grants("eve", history=NOTHING, delete=NOTHING)
    allowed = {verb.value: Scope(("a", "b-*"))}
    only = evolve(bare, **allowed)  # type: ignore[arg-type]
    for other in Verb:
        for name in ("a", "b-", "b-1"):
            assert policy.may(only, other, name) == (other is verb)
        for name in ("aa", "b", "A", "*", ""):
            assert not policy.may(only, other, name)


@given(
    st.sampled_from(list(Verb)),
    st.text("ab-*", max_size=4),
    st.lists(st.text("ab-*", max_size=4), max_size=3),
)
def test_a_refusal_says_what_the_answer_says(verb: Verb, name: str, patterns: list[str]) -> None:
    allowed = {verb.value: Scope(tuple(patterns))}
    grants = evolve(Grants("eve"), **allowed)  # type: ignore[arg-type]
    expected = any(name.startswith(one[:-1]) if one.endswith("*") else name == one for one in patterns)
    assert policy.may(grants, verb, name) == expected
    if not expected:
        with pytest.raises(Refused, match=r"^you may not ") as refused:
            policy.require(grants, verb, name)
        assert (refused.value.code, refused.value.field) == ("forbidden", None)


@pytest.mark.parametrize("verb", Verb)
def test_a_users_log_is_the_users_own_and_an_administrators(verb: Verb) -> None:
    topic = user_topic("ada")
    everything = Grants("eve", EVERYTHING, EVERYTHING, EVERYTHING, EVERYTHING)
    assert policy.may(Grants("ada"), verb, topic)
    assert policy.may(Grants("root", admin=True), verb, topic)
    assert not policy.may(Grants("eve"), verb, topic)
    assert policy.may(everything, verb, topic) == (verb is Verb.PUSH)
    assert not policy.may(Grants(""), verb, user_topic(""))


def test_a_publish_is_refused_at_the_first_project_that_the_caller_may_not_push_to() -> None:
    grants = Grants("eve", push=Scope(("a", "b")))
    policy.require_push(grants, ["a", "b", "a"])
    policy.require_push(OPEN, ["x"])
    with pytest.raises(Refused, match="push to 'c'"):
        policy.require_push(grants, ["a", "c", "d"])
