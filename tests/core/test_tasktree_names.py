"""Project names of any spelling as project ids, and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.core.events import is_project_id
from tasktree_rt.core.tasktree_names import CARRIED, PREFIX, as_given, carried, spelled

NAMES = st.one_of(st.text(max_size=200), st.text("-~tAF0 /项", max_size=150), st.text("x", min_size=120))


@given(NAMES.filter(lambda name: name.isascii() or name == name.encode(errors="replace").decode()))
def test_every_name_has_an_id_and_comes_back(name: str) -> None:
    data = {"a": 1}
    assert is_project_id(spelled(name))
    assert as_given(spelled(name), carried(name, data)) == (name, data)


@given(NAMES, NAMES)
def test_no_two_names_share_an_id(one: str, other: str) -> None:
    assert (spelled(one) == spelled(other)) == (one == other)


@pytest.mark.parametrize(
    ("name", "id"),
    [
        ("shop", "shop"),
        ("a.b:c@d~e-f", "a.b:c@d~e-f"),
        ("-x", "tt~-x"),
        ("--", "tt~--"),
        ("", "tt~"),
        ("*", "tt~~2A"),
        ("my project", "tt~my~20project"),
        ("a/b", "tt~a~2Fb"),
        ("项目", "tt~~E9~A1~B9~E7~9B~AE"),
        ("tt~-x", "tt~tt~7E-x"),
        ("x" * 128, "x" * 128),
    ],
)
def test_what_may_not_stand_in_an_id_is_escaped(name: str, id: str) -> None:
    assert spelled(name) == id


def test_a_name_too_long_for_an_id_is_carried_by_its_events() -> None:
    name = "x" * 131
    assert len(spelled(name)) == 37
    assert carried(name, {"a": 1}) == {"a": 1, CARRIED: name}
    for short in ("-x", " x", "项目", ""):
        assert carried(short, {"a": 1}) == {"a": 1}
        assert as_given(spelled(short), {"a": 1}) == (short, {"a": 1})


@pytest.mark.parametrize(
    "id", ["tt~~", "tt~~20~", "tt~x~2", "tt~~ff", "tt~~FF", "tt~x~41", "tt~shop", "tt~~~" + "0" * 32]
)
def test_an_id_that_no_name_has_stays_as_it_is(id: str) -> None:
    assert as_given(id, {CARRIED: "other"}) == (id, {CARRIED: "other"})
    assert id.startswith(PREFIX)
