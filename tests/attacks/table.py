"""The table of attacks: each has a name, a kind, what the attacker gets, and a test.

``python -m tests.attacks`` writes the table into docs/security.md.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from attrs import frozen

from tests.attacks.arena import OBJECTS_PER_EVENT, SPARE_MEMORY, SPARE_OBJECTS, STORED, Arena, memory, objects
from tests.attacks.attacker import Attacker

PAGE: Final = Path(__file__).parents[2] / "docs" / "security.md"
BEGIN: Final = "<!-- attacks: begin; written by `python -m tests.attacks` -->"
END: Final = "<!-- attacks: end -->"
KINDS: Final = {
    "http": "HTTP",
    "websocket": "WebSocket",
    "json": "JSON",
    "tokens": "Tokens",
    "keys": "Keys, revocation, shared links",
    "grants": "Grants",
    "floods": "Floods and resources",
    "limits": "Rates and quotas",
    "tls": "TLS",
    "pages": "Foreign pages",
}


@frozen
class Attack:
    """One row of the table.

    Attributes:
        name: what the attacker does.
        gets: what the attacker gets.
    """

    kind: str
    name: str
    gets: str


FOUND: Final[list[Attack]] = []
Step = Callable[[Attacker], None]


def attack(
    kind: str, name: str, gets: str, *, keeps: bool = False
) -> Callable[[Step], Callable[[Arena], None]]:
    """Make a test of a function that attacks; `keeps`: the attacker may store something, as granted.

    While the attacker's sockets are still open, the healthy watcher must get its events in the usual turns of
    the hub's loop. After that the hub must hold what it held before.
    """
    FOUND.append(Attack(kind, name, gets))

    def made(step: Step) -> Callable[[Arena], None]:
        def test(arena: Arena) -> None:
            before, counted, resident, told = arena.held(), objects(), memory(), arena.published
            try:
                with closing(Attacker(arena)) as attacker:
                    step(attacker)
                    arena.deliver()
            finally:
                if keeps:
                    arena.forget(before)
            after = arena.settled(before)
            assert (after.stored, after.open) == (before.stored, before.open)
            assert after.no_more_than(before), (after.counts, before.counts)
            arena.deliver()
            spare = SPARE_OBJECTS + (arena.published - told) * OBJECTS_PER_EVENT
            more = arena.objects_beyond(counted, spare, STORED if keeps else ())
            assert more.total() <= spare, more.most_common(8)
            assert memory() - resident < SPARE_MEMORY

        test.__name__ = step.__name__
        test.__doc__ = f"{name}: {gets}"
        test.__module__ = step.__module__
        return test

    return made


def every() -> list[Attack]:
    """All attacks, by kind."""
    for kind in KINDS:
        importlib.import_module(f"tests.attacks.test_{kind}")
    unique = list(dict.fromkeys(FOUND))
    return sorted(unique, key=lambda one: list(KINDS).index(one.kind))


def page() -> str:
    """The table as it stands in docs/security.md."""
    lines: list[str] = []
    for kind, title in KINDS.items():
        lines += ["", f"**{title}**", "", "| attack | what happens |", "|---|---|"]
        lines += [f"| {one.name} | {one.gets} |" for one in every() if one.kind == kind]
    return "\n".join((BEGIN, *lines, "", END))


def write() -> None:
    """Put the table into the page."""
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    PAGE.write_text(before + page() + rest.partition(END)[2])
