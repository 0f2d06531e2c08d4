"""The steps of a seed, all made beforehand, so that a failing schedule can be cut down and run again.

A step names peers and projects by numbers that are taken modulo what there is; what is left to chance in it
comes from its own dice. So a step means the same whichever others are taken away.
"""

from __future__ import annotations

from random import Random
from typing import Final

from attrs import frozen

STEPS: Final = 200
"""The least number of steps."""
FAULTS: Final = 3
"""And of faults."""
PROJECTS: Final = 4
USERS: Final = 2


@frozen
class Step:
    """One step: what is done, to whom, and what happens before the next one.

    `then`: "now" (nothing), "few" (others get some turns), "settle" (until nothing happens by itself), or the
    seconds that pass.
    """

    kind: str
    who: int = 0
    what: str = ""
    project: int = 0
    dice: int = 0
    then: str | float = "settle"

    def __str__(self) -> str:
        told = f"Step({self.kind!r}, who={self.who}, what={self.what!r}, project={self.project}, "
        return f"{told}dice={self.dice}, then={self.then!r})"


@frozen
class Schedule:
    """A seed's deployment and steps. `absent`: watchers that were taken away."""

    seed: int
    watchers: int
    producers: int
    steps: tuple[Step, ...]
    absent: frozenset[int] = frozenset()


STREAM_FAULTS: Final = ("stall", "trickle", "cut", "drop", "half-close")
STORE_FAULTS: Final = ("full", "io-error", "unreadable", "locked", "slow", "crash-before", "crash-after")
FOREIGN: Final = ("execution", "execution", "message", "task", "listen", "burst")
"""What programs and clients of other systems do."""
PEOPLE_FAULTS: Final = ("race", "late", "unheard", "desert")
"""Several answer at once; a deadline passes while nothing can be settled; the hub dies between the settling
and its reply; an orchestrator dies holding a command."""
FAULT_KINDS: Final = (
    *STREAM_FAULTS,
    *STORE_FAULTS,
    *PEOPLE_FAULTS,
    "kill",
    "clock",
    "wall",
    "delete",
    "trim",
    "drain",
)
"""Every kind of fault; the rows of the coverage table."""


def make(seed: int) -> Schedule:
    """The schedule of a seed."""
    dice = Random(f"schedule {seed}")
    watchers = _watchers(dice)
    maker = _Maker(dice, watchers)
    wanted = dice.randint(FAULTS + 1, 14)
    length = STEPS + dice.randint(0, 60)
    places = sorted(dice.sample(range(20, length), wanted))
    # Only few of the readers that go away for it find that their log was trimmed.
    kinds = [dice.choice((*FAULT_KINDS, "trim", "trim")) for _ in range(wanted)]
    while len(maker.steps) < length or places:
        if places and len(maker.steps) >= places[0]:
            places.pop(0)
            maker.fault(kinds.pop())
        else:
            maker.ordinary()
    return Schedule(seed, watchers, dice.randint(2, 4), tuple(maker.steps))


def _watchers(dice: Random) -> int:
    """5 to 300, in the median about 20."""
    kind = dice.random()
    if kind < 0.5:
        return dice.randint(5, 20)
    if kind < 0.93:
        return dice.randint(20, 40)
    return dice.randint(40, 120) if kind < 0.99 else dice.randint(120, 300)


class _Maker:
    def __init__(self, dice: Random, watchers: int) -> None:
        self.dice = dice
        self.watchers = watchers
        self.steps: list[Step] = []

    def add(self, kind: str, what: str = "", *, who: int | None = None, then: str | float = "") -> None:
        dice = self.dice
        self.steps.append(
            Step(
                kind,
                dice.randrange(1_000) if who is None else who,
                what,
                dice.randrange(PROJECTS) if dice.random() < 0.5 else 0,
                dice.randrange(1 << 30),
                then or self.then(),
            )
        )

    def then(self) -> str | float:
        kind = self.dice.random()
        if kind < 0.35:
            return "now"
        if kind < 0.6:
            return "few"
        if kind < 0.9:
            return "settle"
        return self.dice.choice((0.05, 0.3, 0.3, 1.1))

    def ordinary(self) -> None:
        kind = self.dice.random()
        if kind < 0.52:
            self.add("publish", "burst" if self.dice.random() < 0.15 else "some")
        elif kind < 0.6:
            self.add("foreign", self.dice.choice(FOREIGN))
        elif kind < 0.72:
            self.people()
        elif kind < 0.8:
            self.add("ask", self.dice.choice(("plain", "state", "since", "since", "unsubscribe", "ping")))
        elif kind < 0.83:
            self.add("again")
        elif kind < 0.86:
            self.add("wrong", self.dice.choice(("mixed", "invalid", "conflict")))
        elif kind < 0.92:
            self.add("rest", then=self.dice.choice(("settle", 0.3, 1.2)))
        elif kind < 0.95:
            self.add("stall")
        else:
            self.add("well")

    def people(self) -> None:
        """Somebody is asked, answers, commands, obeys or reads."""
        kind = self.dice.random()
        if kind < 0.3:
            self.add("prompt", self.dice.choice(("", "", "short", "again")))
        elif kind < 0.55:
            self.add("answer", self.dice.choice(("", "", "race")))
        elif kind < 0.6:
            self.add("cancel")
        elif kind < 0.74:
            self.add("command")
        elif kind < 0.88:
            self.add("obey")
        else:
            self.add(self.dice.choice(("notify", "read")))

    def some(self, least: int, most: int) -> None:
        for _ in range(self.dice.randint(least, most)):
            self.ordinary()

    def fault(self, kind: str) -> None:
        """A fault with what makes it felt."""
        if kind in STREAM_FAULTS:
            # Several watchers at once: those of one policy are not so many.
            for _ in range(self.dice.choice((1, 3, 9) if kind == "stall" else (1, 2, 4))):
                self.add(kind, then="now")
            for _ in range(self.dice.randint(1, 3)):
                self.add("publish", "burst", then=self.dice.choice(("now", "settle")))
                self.add("foreign", "burst", then=self.dice.choice(("now", "settle")))
                self.add("foreign", "listen", then=self.dice.choice(("now", "settle")))
            self.some(2, 10)
            if self.dice.random() < 0.3:
                self.add("rest", then=self.dice.choice((3.0, 12.0)))
            self.add("well")
        elif kind in STORE_FAULTS:
            if kind == "unreadable":
                self._cold()
            self.add("store", kind, then="now")
            self.add("publish", "some", then=self.dice.choice(("now", "few", "settle", 1.2)))
            self.some(2, 8)
            self.add("repair")
        elif kind in PEOPLE_FAULTS:
            getattr(self, f"_{kind}")()
        elif kind == "trim":
            self._trim()
        else:
            self.add(kind)
            self.some(1, 4)

    def _cold(self) -> None:
        """Mostly restart the hub before reads fail: watchers then resume projects that it has not loaded."""
        if self.dice.random() < 0.7:
            self.add("kill", then="settle")

    def _race(self) -> None:
        self.add("prompt")
        for _ in range(self.dice.randint(1, 3)):
            self.add("answer", "race", then=self.dice.choice(("now", "few", "settle")))
        self.add(self.dice.choice(("answer", "cancel", "delete", "kill", "rest")))

    def _late(self) -> None:
        """A deadline passes while the store fails, or while the hub is down."""
        for _ in range(self.dice.randint(1, 3)):
            self.add("prompt", "short", then=self.dice.choice(("now", "settle")))
        outage = self.dice.choice(("full", "io-error", "unreadable", "locked", "kill"))
        if outage == "kill":
            self.add("kill", then="now")
            self.add("clock")
            return
        self.add("store", outage, then="now")
        self.add("publish", "some", then=self.dice.choice((1.2, 3.0)))
        self.add("rest", then=3.0)
        self.add("answer", then=self.dice.choice(("now", "settle")))
        self.add("repair")
        self.add("rest", then=3.0)

    def _unheard(self) -> None:
        """The hub dies in the commit that settles something."""
        self.add("prompt", then="settle")
        self.add("command", then="settle")
        self.add("store", self.dice.choice(("crash-after", "crash-after", "crash-before")), then="now")
        for _ in range(2):
            self.add(self.dice.choice(("answer", "answer", "obey")), then="now")
        self.add("rest", then=0.3)

    def _desert(self) -> None:
        for _ in range(self.dice.randint(1, 2)):
            self.add("command", then=self.dice.choice(("few", "settle", "settle")))
        self.add("obey", then=self.dice.choice(("now", "settle")))
        self.add("command", then="settle")
        self.add("desert", then=self.dice.choice(("now", "few", "settle")))
        self.add("obey")

    def _trim(self) -> None:
        """Readers that go away, or stand in the middle of their replay, while their log is trimmed."""
        who = self.dice.randrange(1_000)
        readers = range(who, who + self.dice.randint(2, 5))
        for reader in readers:
            self.add("leave", who=reader, then="now")
        self._flood(who)
        if self.dice.random() < 0.5:
            for reader in readers:
                self.add("return", "narrow", who=reader, then=self.dice.choice(("now", "few", "settle")))
            for reader in readers:
                if self.dice.random() < 0.4:
                    self.add("ask", "anew", who=reader)
            self._flood(who)
        for reader in readers:
            self.add("return", who=reader)

    def _flood(self, who: int) -> None:
        for _ in range(self.dice.randint(2, 4)):
            self.add("publish", "flood", who=who, then=self.dice.choice(("now", "settle")))
        self.add("rest", then=self.dice.choice((1.0, 2.5)))
