import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.cli.demo.names import node_id, path_of, project_id, title
from tasktree_rt.core.events import is_node_id, is_project_id
from tasktree_rt.dialects.base import encode_json

NAMES = st.one_of(
    st.binary(min_size=1, max_size=12),
    st.text(min_size=1, max_size=12).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.lists(
        st.sampled_from([b"%", b"4", b"1", b"%41", b"a", b"\xff", b"\x01", b"\xc3\xa9", b"F"]), min_size=1
    ).map(b"".join),
).map(lambda name: name.replace(b"/", b"").replace(b"\0", b"") or b"x")
PATHS = st.lists(NAMES.filter(lambda name: name not in (b".", b"..")), min_size=1, max_size=4).map(b"/".join)


@given(PATHS)
def test_a_node_id_is_valid_and_gives_its_path_back(path: bytes) -> None:
    name = node_id(path)
    assert is_node_id(name)
    assert path_of(name) == path


@given(PATHS, PATHS)
def test_two_paths_never_share_an_id(one: bytes, other: bytes) -> None:
    assert (node_id(one) == node_id(other)) == (one == other)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (b"", "."),
        (b"src/main.py", "src/main.py"),
        ("naïve/日本.txt".encode(), "naïve/日本.txt"),
        (b"100%.txt", "100%.txt"),
        (b"100%41", "100%2541"),
        (b"caf\xe9", "caf%E9"),
        (b"a\nb", "a%0Ab"),
        ("a\x85b".encode(), "a%C2%85b"),
        (b"%\xff", "%%FF"),
    ],
)
def test_only_what_cannot_stand_in_an_id_is_escaped(path: bytes, name: str) -> None:
    assert node_id(path) == name


def test_a_long_path_is_cut_to_a_valid_id_that_no_other_path_has() -> None:
    folder = b"/".join([b"d" * 200] * 5)
    ids = {node_id(folder + b"/" + name) for name in (b"a", b"b", b"c")} | {node_id(folder)}
    assert len(ids) == 4
    assert all(is_node_id(name) for name in ids)
    assert all(path_of(name) is None for name in ids)
    assert len(node_id(b"e" * 512)) == 512
    assert path_of(node_id(b"e" * 512)) == b"e" * 512


@given(st.binary(max_size=300))
def test_any_folder_name_gives_a_project_id(name: bytes) -> None:
    assert is_project_id(project_id(name))


def test_a_usual_folder_name_is_its_project_id() -> None:
    assert project_id(b"my_project-1.0") == "my_project-1.0"
    assert project_id("Mein Projekt é".encode()) == "Mein-Projekt"
    assert project_id(b".hidden") == "hidden"
    assert project_id(b"") == "folder"


@given(st.binary(max_size=600))
def test_a_title_can_be_written_and_shown(name: bytes) -> None:
    encode_json(title(name))
    assert title(name).isprintable()
