"""docs/security.md has the table of attacks as the tests have it."""

from __future__ import annotations

from tests.attacks.table import PAGE, every, page


def test_the_page_has_every_attack_and_what_happens() -> None:
    assert page() in PAGE.read_text(), "run: python -m tests.attacks"


def test_there_are_sixty_attacks_and_each_has_a_name_of_its_own() -> None:
    names = [one.name for one in every()]
    assert len(names) >= 60
    assert len(set(names)) == len(names)


def test_no_row_breaks_the_table() -> None:
    for one in every():
        assert "|" not in one.name + one.gets, one
