"""How far a user has read: sent until the hub has stored it."""

from __future__ import annotations

import pytest

from tasktree_rt.client.watcher.read_marks import ReadMarks


def test_a_mark_is_sent_once_and_again_on_a_new_connection() -> None:
    marks = ReadMarks()
    assert marks.set("@anna", 3)
    assert marks.next() == {"type": "ack", "id": "read-1", "user_id": "anna", "seq": 3}
    assert marks.next() is None
    marks.rewind()
    again = marks.next()
    assert again is not None
    assert (again["id"], again["seq"]) == ("read-2", 3)


def test_a_mark_moves_forward_only_and_the_newer_one_is_sent_beside_the_older() -> None:
    marks = ReadMarks()
    marks.set("@anna", 3)
    marks.next()
    assert not marks.set("@anna", 3)
    assert marks.set("@anna", 4)
    newer = marks.next()
    assert newer is not None
    assert not marks.take({"type": "reply", "id": "read-1"})  # of the mark that was replaced
    assert marks.take({"type": "reply", "id": newer["id"]})
    assert not marks.take({"type": "reply", "id": newer["id"]})


@pytest.mark.parametrize(
    ("code", "taken"), [("forbidden", True), ("invalid_message", True), ("overloaded", False)]
)
def test_a_refusal_for_good_ends_a_mark_and_one_for_now_does_not(code: str, taken: bool) -> None:
    marks = ReadMarks()
    marks.set("@anna", 3)
    marks.next()
    assert marks.take({"type": "error", "id": "read-1", "code": code, "message": "no"}) is taken
    marks.rewind()
    assert (marks.next() is None) is taken


def test_other_messages_are_left_alone() -> None:
    marks = ReadMarks()
    assert not marks.take({"type": "reply", "id": 1})
    marks.set("@anna", 3)
    assert not marks.take({"type": "reply"})
    marks.next()
    assert not marks.take({"type": "subscribed", "id": "read-1"})
