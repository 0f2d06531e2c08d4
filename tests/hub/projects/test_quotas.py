"""One counter for every subject: nobody takes all the room, and what ends no longer counts."""

from __future__ import annotations

import pytest

from tasktree_rt.core.access import OPEN as EVERYBODY
from tasktree_rt.core.access import Grants
from tasktree_rt.errors import Refused
from tasktree_rt.hub.projects.quotas import OPEN, PROJECT, SNAPSHOT, USER_LOG, Quotas
from tasktree_rt.settings import Limits


def holdings(**limits: int) -> Quotas:
    return Quotas(Limits(**limits))


def hold(one: Quotas, owner: str, *kinds: str) -> None:
    for kind in kinds:
        one.check(owner, kind)
        one.add(owner, kind)


def refused(one: Quotas, owner: str, *kinds: str) -> tuple[str, str | None]:
    with pytest.raises(Refused) as caught:
        one.check(owner, *kinds, field="project_id")
    return caught.value.code, caught.value.field


def test_one_subject_fills_its_own_room_and_nobody_elses() -> None:
    one = holdings(max_per_subject=3)
    hold(one, "sub:ada", PROJECT, SNAPSHOT, USER_LOG)
    assert refused(one, "sub:ada", PROJECT) == ("subject_full", "project_id")
    hold(one, "sub:bob", PROJECT)
    one.drop("sub:ada", SNAPSHOT)
    hold(one, "sub:ada", PROJECT)
    assert (one.of("sub:ada"), one.of("sub:ada", PROJECT), one.total(PROJECT)) == (3, 2, 3)


def test_the_hubs_own_room_is_one_for_all_and_what_the_hub_makes_counts_there_only() -> None:
    one = holdings(max_per_subject=1, max_projects=4)
    hold(one, "", PROJECT, PROJECT, PROJECT)
    hold(one, "sub:ada", PROJECT)
    for owner in ("", "sub:bob"):
        assert refused(one, owner, PROJECT) == ("project_full", "project_id")
    one.drop("", PROJECT)
    hold(one, "sub:bob", PROJECT)


@pytest.mark.parametrize(
    ("kind", "limit", "code"),
    [(SNAPSHOT, "max_snapshots", "subject_full"), (OPEN, "max_open", "rate_limited")],
)
def test_of_snapshots_and_of_what_is_open_a_subject_has_at_most_half(
    kind: str, limit: str, code: str
) -> None:
    one = holdings(**{limit: 4})
    hold(one, "sub:ada", kind, kind)
    assert refused(one, "sub:ada", kind)[0] == code
    hold(one, "sub:bob", kind, kind)
    with pytest.raises(Refused, match=f"already holds 4 .*limits.{limit}"):
        one.check("sub:eve", kind)
    single = holdings(**{limit: 1})
    hold(single, "sub:ada", kind)


def test_several_at_once_need_room_for_all_of_them() -> None:
    one = holdings(max_per_subject=3, max_user_logs=1)
    hold(one, "sub:ada", PROJECT, PROJECT)
    assert refused(one, "sub:ada", PROJECT, USER_LOG)[0] == "subject_full"
    assert refused(one, "sub:bob", USER_LOG, USER_LOG)[0] == "project_full"
    one.check("sub:bob", PROJECT, USER_LOG)


def test_the_message_names_the_setting_to_change() -> None:
    one = holdings(max_per_subject=1)
    hold(one, "sub:ada", PROJECT)
    with pytest.raises(Refused, match=r"you already hold 1 projects.*\(limits\.max_per_subject\)"):
        one.check("sub:ada", PROJECT)


def test_what_was_never_added_is_not_taken_away() -> None:
    one = holdings()
    one.drop("sub:ada", PROJECT)
    one.add("sub:ada", PROJECT)
    one.drop("sub:ada", PROJECT)
    one.drop("sub:ada", PROJECT)
    assert (one.total(PROJECT), one.of("sub:ada")) == (0, 0)


@pytest.mark.parametrize(
    ("grants", "owner"),
    [
        (Grants("ada").at("10.0.0.1"), "sub:ada"),
        (EVERYBODY.at("10.0.0.1"), "at:10.0.0.1"),
        (EVERYBODY.at("::ffff:10.0.0.1"), "at:10.0.0.1"),
        (EVERYBODY.at("2001:db8:1:2:3:4:5:6"), "at:2001:db8:1:2::/64"),
        (EVERYBODY.at("2001:db8:1:2::9"), "at:2001:db8:1:2::/64"),
        (EVERYBODY.at("<local>"), "at:<local>"),
        (EVERYBODY, ""),
    ],
)
def test_a_subject_is_a_tokens_or_an_address_and_this_process_is_none(grants: Grants, owner: str) -> None:
    assert grants.owner == owner


def test_where_a_caller_is_changes_nothing_of_what_it_may_do() -> None:
    assert EVERYBODY.at("10.0.0.1") == EVERYBODY
