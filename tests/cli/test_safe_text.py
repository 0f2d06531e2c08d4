from hypothesis import given
from hypothesis import strategies as st

from tasktree_rt.cli.safe_text import printable


def test_text_for_people_is_cut_and_clean() -> None:
    assert printable("a\x1b[31m\nb\ud800") == "a�[31m b�"
    assert len(printable("x" * 9999)) == 500


@given(st.text(st.characters()))
def test_whatever_is_shown_is_one_line_that_can_be_written(text: str) -> None:
    printable(text).encode()
    assert printable(text).isprintable()
