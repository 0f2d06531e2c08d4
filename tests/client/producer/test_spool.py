import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.client.producer.encode import publish_text
from tasktree_rt.client.producer.spool import Spool
from tasktree_rt.errors import ClientError

MIB = 1024 * 1024


def text(publish_id: str, size: int = 10) -> bytes:
    return publish_text(publish_id, [b'{"x":"%b"}' % (b"y" * size)])


def waiting(path: Path) -> list[tuple[str, bytes]]:
    spool = Spool(path, "prod", MIB)
    try:
        return [(place.id, spool.load(place)) for place in spool.waiting.values()]
    finally:
        spool.close()


def test_what_is_not_settled_is_there_at_the_next_start(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s", "prod", MIB)
    places = [spool.append(name, text(name)) for name in "abc"]
    spool.settle(places[1])
    spool.close()
    assert waiting(tmp_path / "s") == [("a", text("a")), ("c", text("c"))]


def test_it_shrinks_to_its_first_line_when_nothing_waits(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s", "prod", MIB)
    empty = (tmp_path / "s").stat().st_size
    spool.settle(spool.append("a", text("a")))
    assert (tmp_path / "s").stat().st_size == empty
    spool.append("b", text("b"))
    spool.close()
    assert waiting(tmp_path / "s") == [("b", text("b"))]


operations = st.lists(st.integers(0, 5), max_size=12)


@given(operations, st.data())
def test_cut_at_any_byte_it_has_exactly_what_was_wholly_written(
    tmp_path_factory: pytest.TempPathFactory, course: list[int], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("spool") / "s"
    spool = Spool(path, "prod", MIB)
    kept: dict[str, bytes] = {}
    states = [(path.stat().st_size, dict(kept))]  # the file's size after each step, and what waits then
    spool.append("first", text("first"))  # never settled, so that the file only grows
    kept["first"] = text("first")
    states.append((path.stat().st_size, dict(kept)))
    for step, choice in enumerate(course):
        others = [place for place in spool.waiting.values() if place.id != "first"]
        if choice == 0 and others:
            kept.pop(others[0].id)
            spool.settle(others[0])
        else:
            name = f"id{step}"
            spool.append(name, text(name, choice * 7))
            kept[name] = text(name, choice * 7)
        states.append((path.stat().st_size, dict(kept)))
    spool.close()
    cut = data.draw(st.integers(0, path.stat().st_size), label="cut")
    os.truncate(path, cut)
    expected = next((state for size, state in reversed(states) if size <= cut), {})
    assert waiting(path) == list(expected.items())
    again = Spool(path, "prod", MIB)
    again.append("later", text("later"))
    again.close()
    assert waiting(path) == [*expected.items(), ("later", text("later"))]


def test_a_torn_line_is_cut_off_however_long(tmp_path: Path) -> None:
    path = tmp_path / "s"
    spool = Spool(path, "prod", MIB)
    spool.append("a", text("a"))
    intact = path.stat().st_size
    spool.append("b", text("b", 5000))
    spool.close()
    os.truncate(path, path.stat().st_size - 1)
    assert [name for name, _ in waiting(path)] == ["a"]
    assert path.stat().st_size == intact


def test_a_damaged_line_is_skipped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "s"
    spool = Spool(path, "prod", MIB)
    places = [spool.append(name, text(name)) for name in "abc"]
    spool.close()
    content = bytearray(path.read_bytes())
    content[places[1].offset + 3] ^= 1
    path.write_bytes(bytes(content))
    spool = Spool(path, "prod", MIB)
    assert (list(spool.waiting), spool.damaged) == (["a", "c"], 1)
    spool.close()


def test_it_is_full_at_its_bound_but_takes_a_single_large_one(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s", "prod", 100)
    assert spool.room(1000)
    place = spool.append("a", text("a", 40))
    assert spool.room(100 - spool.size - 11)
    assert not spool.room(100 - spool.size - 10)
    spool.settle(place)
    assert spool.room(1000)
    spool.close()


def test_rewritten_it_holds_the_same_in_less_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "s"
    spool = Spool(path, "prod", 10 * MIB)
    places = [spool.append(str(number), text(str(number), 1000)) for number in range(200)]
    for place in places[:150]:
        assert not spool.due() or place is not places[0]
        spool.settle(place)
    before = path.stat().st_size
    assert spool.due()
    spool.swap(spool.rewrite())
    assert not spool.due()
    assert path.stat().st_size < before / 2
    spool.append("new", text("new"))
    assert spool.load(places[199]) == text("199", 1000)
    spool.settle(places[199])
    spool.close()
    assert [name for name, _ in waiting(path)] == [*map(str, range(150, 199)), "new"]


def test_when_it_cannot_be_rewritten_the_present_file_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s"
    spool = Spool(path, "prod", MIB)
    spool.append("a", text("a"))

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        spool.rewrite()
    monkeypatch.undo()
    spool.append("b", text("b"))
    spool.close()
    assert [name for name, _ in waiting(path)] == ["a", "b"]
    assert [one.name for one in tmp_path.iterdir()] == ["s"]


def test_what_cannot_be_written_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s"
    spool = Spool(path, "prod", MIB)
    spool.append("a", text("a"))
    write = os.pwrite

    def half(fd: int, data: memoryview, offset: int) -> int:
        if len(data) < 10:
            raise OSError(28, "No space left on device")
        return write(fd, data[: len(data) // 2], offset)

    monkeypatch.setattr(os, "pwrite", half)
    with pytest.raises(ClientError, match="No space"):
        spool.append("b", text("b"))
    monkeypatch.undo()
    spool.append("c", text("c"))
    spool.close()
    assert [name for name, _ in waiting(path)] == ["a", "c"]


def test_two_processes_cannot_share_it(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s", "prod", MIB)
    with pytest.raises(ClientError, match="in use by another process"):
        Spool(tmp_path / "s", "prod", MIB)
    spool.append("a", text("a"))
    spool.swap(spool.rewrite())
    with pytest.raises(ClientError, match="in use by another process"):
        Spool(tmp_path / "s", "prod", MIB)
    spool.close()


def test_another_producers_is_refused(tmp_path: Path) -> None:
    Spool(tmp_path / "s", "prod", MIB).close()
    with pytest.raises(ClientError, match="of another producer"):
        Spool(tmp_path / "s", "other", MIB)


def test_one_that_died_at_birth_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(b"tasktree-rt sp")
    assert waiting(tmp_path / "s") == []


@pytest.mark.parametrize("content", [b"Hello", b"some notes\n", b"tasktree-rt spool 2 x\n"])
def test_a_file_that_is_no_spool_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "s"
    path.write_bytes(content)
    with pytest.raises(ClientError, match="not a spool"):
        Spool(path, "prod", MIB)
    assert path.read_bytes() == content


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    Spool(tmp_path / "deep" / "s", "prod", MIB).close()
    assert (tmp_path / "deep" / "s").stat().st_mode & 0o777 == 0o600
