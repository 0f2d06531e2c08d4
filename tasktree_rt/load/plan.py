"""The plan of a load test: every field with its default, unit and check; read from TOML or from flags."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from attrs import Attribute, define, field, fields

from tasktree_rt.errors import ClientError
from tasktree_rt.load.languages.broadcast import finder
from tasktree_rt.load.ready_plans import READY
from tasktree_rt.load.units import read_duration, read_share, read_size

HUB_DIALECTS: Final = ("tasktree.v1", "plain", "sse")
"""Those that watch projects; a plan may mix them."""
DIALECTS: Final = (*HUB_DIALECTS, "execution", "autogpt", "aiecs", "broadcast")
"""`broadcast` is any other WebSocket server."""
POLICIES: Final = ("conflate", "resync", "disconnect")
SPREADS: Final = ("even", "skewed")


class UnfitPlan(ClientError):
    """A plan is invalid; the message begins with the field."""


def _whole(least: int, most: int) -> Callable[[object], int]:
    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"expected a whole number from {least:,} to {most:,}, got {value!r}")
        return value

    return check


def _rate(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1_000_000:
        raise ValueError(f"expected a number a second from 0 to 1,000,000, got {value!r}")
    return float(value)


def _word(*allowed: str) -> Callable[[object], str]:
    def check(value: object) -> str:
        if value not in allowed:
            raise ValueError(f"expected {', '.join(allowed[:-1])} or {allowed[-1]}, got {value!r}")
        return str(value)

    return check


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected a string, got {value!r}")
    return value


def _times(value: object) -> tuple[float, ...]:
    if not isinstance(value, (list, tuple)):
        raise ValueError(f'expected a list of durations like ["10s", "1m"], got {value!r}')
    return tuple(map(read_duration, value))


def _mix(value: object) -> dict[str, float]:
    """Read a dialect, or a table of dialects and their weights (``{"tasktree.v1" = 3, sse = 1}``)."""
    if isinstance(value, str):
        pairs = [one.partition(":") for one in value.split(",")]
        mixed: dict[str, object] = {}
        for name, colon, weight in pairs:
            mixed[name.strip()] = _number(weight) if colon else 1
    elif isinstance(value, Mapping):
        mixed = dict(value)
    else:
        raise ValueError(f"expected a dialect, or dialects with their weights, got {value!r}")
    for name, found in mixed.items():
        _word(*DIALECTS)(name)
        if isinstance(found, bool) or not isinstance(found, (int, float)) or found <= 0:
            raise ValueError(f"expected a weight above 0 for {name}, got {found!r}")
        if len(mixed) > 1 and name not in HUB_DIALECTS:
            raise ValueError(f"expected only {', '.join(HUB_DIALECTS)} in a mix, got {name}")
    return {name: float(found) for name, found in mixed.items()}  # type: ignore[arg-type]


def _rule(value: object) -> str:
    text = _text(value)
    finder(text)
    return text


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _field(default: object, read: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - as attrs declares it
    return field(default=default, metadata={"read": read}, kw_only=True)


@define(frozen=True)
class Plan:
    """One load test. Times are seconds, sizes bytes, shares from 0 to 1.

    Attributes:
        dialect: what the watchers speak; each dialect with its weight.
        watchers, projects: how many.
        spread: `even`, or `skewed`: project n has 1/n as many watchers as the first.
        policy: what native watchers and streams ask for in case they are slow.
        ramp: over which the watchers connect; publishing begins when all are there.
        rate: events a second, over all projects.
        size: bytes of an event on the wire, about.
        nodes: of each project.
        burst, burst_every: so many events at once, each so many seconds.
        slow, stalled, half_open: shares of the watchers that read `slow_rate` bytes a second, that read
            nothing, and that read but answer nothing.
        churn: watchers a second that leave and come back.
        storms: moments, from the first publish on, at which all watchers reconnect at once.
        restart_command, restart_every: a command of the shell that restarts (a part of) the server, and how
            often it runs.
        prompts: prompts a second that are opened and answered.
        duration: of publishing.
        settle: how long the last deliveries may take.
        processes: that read; 1: the publishing process itself.
        cooldown: quiet time between the last connection and the first publish.
        publish_url, publish_command: dialect `broadcast`: where the tool publishes: a WebSocket, an HTTP
            address that takes a POST, or a command of the shell that reads one message a line. Neither: the
            address that is watched.
        message: dialect `broadcast`: what is published; ``{n}``, ``{t}`` and ``{pad}`` are the number, the
            time and text that fills up to `size`.
        hello: dialect `broadcast`: what each watcher sends first; empty: nothing.
        number, time: dialect `broadcast`: where both are in a received message: a path
            (``data.items[0].n``) or a regular expression with one group (``/n=([0-9]+)/``).
    """

    dialect: dict[str, float] = field(
        factory=lambda: {"tasktree.v1": 1.0}, metadata={"read": _mix}, kw_only=True
    )
    watchers: int = _field(100, _whole(1, 1_000_000))
    projects: int = _field(1, _whole(1, 10_000))
    spread: str = _field("even", _word(*SPREADS))
    policy: str = _field("conflate", _word(*POLICIES))
    ramp: float = _field(0.0, read_duration)
    rate: float = _field(10.0, _rate)
    size: int = _field(512, read_size)
    nodes: int = _field(100, _whole(1, 100_000))
    burst: int = _field(0, _whole(0, 1_000_000))
    burst_every: float = _field(10.0, read_duration)
    slow: float = _field(0.0, read_share)
    slow_rate: int = _field(2_000, read_size)
    stalled: float = _field(0.0, read_share)
    half_open: float = _field(0.0, read_share)
    churn: float = _field(0.0, _rate)
    storms: tuple[float, ...] = _field((), _times)
    restart_command: str = _field("", _text)
    restart_every: float = _field(30.0, read_duration)
    prompts: float = _field(0.0, _rate)
    duration: float = _field(30.0, read_duration)
    settle: float = _field(10.0, read_duration)
    processes: int = _field(1, _whole(1, 256))
    cooldown: float = _field(0.2, read_duration)

    publish_url: str = _field("", _text)
    publish_command: str = _field("", _text)
    message: str = _field('{"n": {n}, "t": {t}, "pad": "{pad}"}', _text)
    hello: str = _field("", _text)
    number: str = _field("n", _rule)
    time: str = _field("t", _rule)

    def __attrs_post_init__(self) -> None:
        """Check what several fields must be together.

        Raises:
            UnfitPlan: they are not.
        """
        for wrong, text in (*self._wrong_shape(), *self._wrong_broadcast()):
            if wrong:
                raise UnfitPlan(text)

    def _wrong_shape(self) -> list[tuple[bool, str]]:
        most = f"expected at most as many as watchers ({self.watchers})"
        hubs = ", ".join(HUB_DIALECTS)
        return [
            (
                self.slow + self.stalled + self.half_open > 1,
                "slow, stalled, half_open: expected shares of at most 1 together",
            ),
            (self.projects > self.watchers, f"projects: {most}, got {self.projects}"),
            (self.processes > self.watchers, f"processes: {most}, got {self.processes}"),
            (not self.rate and not self.burst, "rate: expected more than 0, or a burst"),
            (bool(self.burst) and not self.burst_every, "burst_every: expected more than 0"),
            (bool(self.restart_command) and not self.restart_every, "restart_every: expected more than 0"),
            (
                bool(self.prompts) and not self.watches_projects,
                f"prompts: expected a dialect that watches projects ({hubs})",
            ),
        ]

    def _wrong_broadcast(self) -> list[tuple[bool, str]]:
        return [
            (
                bool(self.publish_url and self.publish_command),
                "publish_command: expected no publish_url beside it",
            ),
            ("{n}" not in self.message, f"message: expected {{n}} for the number, got {self.message!r}"),
            (
                self.only in ("broadcast", "aiecs") and self.projects != 1,
                f"projects: expected 1 with the dialect {self.only}, got {self.projects}",
            ),
        ]

    @property
    def watches_projects(self) -> bool:
        """Whether the watchers watch projects of a hub."""
        return all(one in HUB_DIALECTS for one in self.dialect)

    @property
    def only(self) -> str:
        """The one dialect; "" if it is a mix."""
        return next(iter(self.dialect)) if len(self.dialect) == 1 else ""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, as `read_plan` reads it."""
        return {
            one.name: list(value) if isinstance(value := getattr(self, one.name), tuple) else value
            for one in fields(Plan)
        }


NAMES: Final = tuple(one.name for one in fields(Plan))


def read_plan(given: Mapping[str, object], place: str = "") -> Plan:
    """Make a plan of its fields. `place`: the file, for the message.

    Raises:
        UnfitPlan: a field is unknown or invalid.
    """
    prefix = f"{place}: " if place else ""
    known: dict[str, Attribute[Any]] = {one.name: one for one in fields(Plan)}
    values = {}
    for name, value in given.items():
        if name not in known:
            raise UnfitPlan(f"{prefix}{name}: unknown field; expected one of {', '.join(NAMES)}")
        try:
            values[name] = known[name].metadata["read"](value)
        except ValueError as error:
            raise UnfitPlan(f"{prefix}{name}: {error}") from None
    try:
        return Plan(**values)
    except UnfitPlan as error:
        raise UnfitPlan(f"{prefix}{error}") from None


def plan_fields(name: str) -> tuple[dict[str, object], str]:
    """Return the fields of a ready plan, or of a TOML file, and where they are from.

    Raises:
        UnfitPlan: there is no plan of this name, or the file cannot be read.
    """
    if name in READY:
        return tomllib.loads(READY[name]), f"plan {name}"
    path = Path(name)
    if path.suffix != ".toml":
        raise UnfitPlan(f"--plan: expected {', '.join(READY)} or a file ending in .toml, got {name!r}")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")), name
    except OSError as error:
        raise UnfitPlan(f"--plan: {name}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UnfitPlan(f"--plan: {name}: no TOML: {error}") from None
