"""Who may do what."""

from __future__ import annotations

import pytest

from tasktree_rt.core.access import EVERYTHING, NOTHING, OPEN, Grants, Scope, Verb


@pytest.mark.parametrize(
    ("patterns", "covered", "not_covered"),
    [
        ((), [], ["a", "a*", "*", ""]),
        (("*",), ["a", "a:b", "*"], []),
        (("a",), ["a"], ["ab", "A", "a*", ""]),
        (("a*",), ["a", "ab", "a:b"], ["b", "A", "ba", ""]),
        (("a", "team:*"), ["a", "team:", "team:x"], ["team", "ab"]),
        (("a.c",), ["a.c"], ["abc"]),
        (("a*c",), ["a*c"], ["abc", "ac"]),
    ],
)
def test_scope(patterns: tuple[str, ...], covered: list[str], not_covered: list[str]) -> None:
    scope = Scope(patterns)
    assert [one for one in covered + not_covered if scope.covers(one)] == covered
    assert scope.everything == ("*" in patterns)


def test_grants_give_nothing_unless_said() -> None:
    grants = Grants("somebody")
    assert (grants.watch, grants.push, grants.admin, grants.expires) == (NOTHING, NOTHING, False, None)
    assert not grants.watch.covers("p")


def test_without_authentication_everything_is_open() -> None:
    assert (OPEN.watch, OPEN.push, OPEN.admin, OPEN.expires) == (EVERYTHING, EVERYTHING, True, None)
    assert OPEN.watch.everything


@pytest.mark.parametrize(
    ("grants", "is_anna", "sees_anna", "calls_anna"),
    [
        (Grants("anna"), True, True, True),
        (Grants("bert"), False, False, False),
        (Grants("bert", watch=EVERYTHING, push=Scope(("p",)), answer=EVERYTHING), False, False, False),
        (Grants("ci", push=EVERYTHING), False, False, True),
        (Grants("root", admin=True), True, True, True),
        (Grants(""), False, False, False),
        (OPEN, True, True, True),
    ],
)
def test_a_users_own_log(grants: Grants, is_anna: bool, sees_anna: bool, calls_anna: bool) -> None:
    assert (grants.is_user("anna"), grants.sees("@anna"), grants.calls("anna")) == (
        is_anna,
        sees_anna,
        calls_anna,
    )


def test_nobody_is_the_user_without_a_name() -> None:
    assert not Grants("").is_user("")
    assert not Grants("").sees("@")


def test_a_project_is_seen_by_those_who_may_watch_it() -> None:
    grants = Grants("anna", watch=Scope(("p*",)))
    assert grants.sees("p1")
    assert not grants.sees("q")


def test_a_scope_that_names_a_topic_opens_no_users_log() -> None:
    assert not Grants("bert", watch=Scope(("@anna", "@*"))).sees("@anna")


@pytest.mark.parametrize(
    ("grants", "history", "delete"),
    [
        (Grants("a", watch=Scope(("p",))), True, False),
        (Grants("a", push=Scope(("p",))), False, True),
        (Grants("a", admin=True), False, True),
        (
            Grants("a", watch=EVERYTHING, push=EVERYTHING, admin=True, history=NOTHING, delete=NOTHING),
            False,
            False,
        ),
        (Grants("a", history=Scope(("p",)), delete=Scope(("p*",))), True, True),
    ],
)
def test_history_and_delete_follow_older_verbs_unless_the_token_names_them(
    grants: Grants, history: bool, delete: bool
) -> None:
    assert grants.allows(Verb.HISTORY, "p") is history
    assert grants.allows(Verb.DELETE, "p") is delete


def test_the_other_verbs_are_allowed_on_the_named_projects_only() -> None:
    watch, push, answer, command = (Scope((f"{verb}-*",)) for verb in ("watch", "push", "answer", "command"))
    grants = Grants("a", watch, push, answer, command)
    for verb in (Verb.WATCH, Verb.PUSH, Verb.ANSWER, Verb.COMMAND):
        for other in ("watch", "push", "answer", "command"):
            assert grants.allows(verb, f"{other}-1") is (verb == other)
