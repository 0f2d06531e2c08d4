"""Who may do what."""

from __future__ import annotations

import pytest

from tasktree_rt.core.access import EVERYTHING, NOTHING, OPEN, Grants, Scope


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
