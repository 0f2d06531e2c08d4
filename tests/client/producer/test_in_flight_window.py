from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.client.producer.in_flight_window import Window


@frozen
class Item:
    id: str
    size: int
    alone: bool = False


def items(window: Window[Item]) -> list[str]:
    sent = []
    while (item := window.next()) is not None:
        sent.append(item.id)
    return sent


def test_no_more_than_the_count_is_in_flight() -> None:
    window = Window[Item](2, 100)
    for name in "abc":
        window.add(Item(name, 1))
    assert items(window) == ["a", "b"]
    window.settle("a")
    assert items(window) == ["c"]


def test_no_more_than_the_bytes_are_in_flight_but_for_a_single_one() -> None:
    window = Window[Item](10, 100)
    for name, size in (("huge", 1000), ("a", 60), ("b", 60)):
        window.add(Item(name, size))
    assert items(window) == ["huge"]
    window.settle("huge")
    assert items(window) == ["a"]


def test_a_rewind_sends_what_flew_before_what_waited() -> None:
    window = Window[Item](2, 100)
    for name in "abcd":
        window.add(Item(name, 1))
    items(window)
    assert window.rewind() == 2
    assert items(window) == ["a", "b"]


def test_an_answer_to_what_is_not_in_flight_settles_nothing() -> None:
    window = Window[Item](2, 100)
    window.add(Item("a", 1))
    assert window.settle("a") is None
    assert window.settle(None) is None
    assert len(window) == 1


operations = st.lists(st.sampled_from(["add", "send", "settle", "rewind"]), max_size=60)


@given(operations, st.integers(1, 4), st.integers(1, 40))
def test_after_any_course_everything_unanswered_is_sent_in_the_order_given(
    course: list[str], most: int, size: int
) -> None:
    window = Window[Item](most, size)
    added, settled, flying = 0, set[str](), list[str]()
    for operation in course:
        if operation == "add":
            window.add(Item(str(added), added % 17))
            added += 1
        elif operation == "send":
            item = window.next()
            flying += [item.id] if item else []
        elif operation == "settle" and flying:
            assert window.settle(flying[0]) is not None
            settled.add(flying.pop(0))
        elif operation == "rewind":
            window.rewind()
            flying.clear()
        assert window.flying == len(flying) <= most
    window.rewind()
    left = []
    while (item := window.next()) is not None:
        left.append(item.id)
        window.settle(item.id)
    assert left == [str(one) for one in range(added) if str(one) not in settled]
    assert (len(window), window.size) == (0, 0)


def test_what_is_to_be_alone_is_in_flight_alone_and_its_parts_come_before_all_others() -> None:
    window = Window[Item](10, 100)
    for item in (Item("a", 1), Item("b", 1, alone=True), Item("c", 1)):
        window.add(item)
    assert items(window) == ["a"]
    window.settle("a")
    assert items(window) == ["b"]
    window.settle("b")
    window.add_first([Item("b.0", 1, alone=True), Item("b.1", 1, alone=True)])
    assert (items(window), len(window), window.size) == (["b.0"], 3, 3)
    assert window.rewind() == 1
    assert items(window) == ["b.0"]
    window.settle("b.0")
    assert items(window) == ["b.1"]
    window.settle("b.1")
    assert items(window) == ["c"]
