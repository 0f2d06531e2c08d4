"""People and what they are asked: the steps that ask, answer, command, obey and read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, Final

import jsonschema  # noqa: F401 - so that light schemas are judged on the loop, in the order of the seed
import trio

from tasktree_rt.core.access import OPEN
from tasktree_rt.errors import PeerError
from tests.simulation.interactions import USER, Attempt, Fields, ModelInteraction
from tests.simulation.listener import AiecsWatcher
from tests.simulation.producer import Producer
from tests.simulation.schedule import Step
from tests.simulation.watcher import NativeWatcher
from tests.simulation.world import World

TIMEOUTS: Final = (0.2, 1.0, 3.0, 20.0, 2_000.0)
OPTIONS: Final = [{"id": "a", "label": "A"}, {"id": "b", "label": "B"}]
DEFAULTS: Final[tuple[Fields, ...]] = ({"proceed": False}, {"proceed": True, "value": "a"})
RACING: Final = 5
HANGS_UP: Final = 7
"""Of so many requests one is given up while it is under way."""
Doing = Callable[[], Awaitable[object]]


class Folk:
    """One method for each kind of step, as in `Actions`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._asked: list[Fields] = []
        self._hangs_up = 0

    def through_hub(self, attempt: Attempt, doing: Doing) -> None:
        """Do it as a view of the HTTP API would, which also tells how it went."""
        process, matters = self._world.process, self._world.interactions
        if not process.accepts:
            return
        # Some hang up before they are answered.
        self._hangs_up = (self._hangs_up + 1) % HANGS_UP
        patience = 0.0 if not self._hangs_up else float("inf")

        async def do() -> None:
            with trio.move_on_after(patience):
                try:
                    found = await doing()
                except PeerError as error:
                    if not process.dead:
                        matters.refused(attempt, error.code, error.outcome)
                else:
                    if not process.dead:
                        matters.done(attempt, getattr(found, "id", ""))

        process.start(do)

    # --- prompts ------------------------------------------------------------------------------------

    def prompt(self, step: Step, dice: Random) -> None:
        """Ask a project, a user or both; now and then what was asked before."""
        known = self._asked and step.what == "again"
        given = dict(dice.choice(self._asked)) if known else self._question(step, dice)
        if known and dice.random() < 0.3:
            given["message"] = self._world.interactions.attempt("ask").tag
        hub = self._world.process.running
        attempt = self._world.interactions.attempts[given["message"]]
        if hub is None:
            return
        attempt = attempt if not known else self._repeated(given)

        async def ask() -> object:
            pending, _ = await hub.prompts.ask(given, grants=OPEN)
            return pending

        self.through_hub(attempt, ask)

    def _repeated(self, given: Fields) -> Attempt:
        """An attempt of its own, which need not come to anything."""
        return self._world.interactions.attempt("ask", given["prompt_id"])

    def _question(self, step: Step, dice: Random) -> Fields:
        attempt = self._world.interactions.attempt("ask")
        attempt.interaction = f"q.{attempt.tag}"
        given: Fields = {"prompt_id": attempt.interaction, "message": attempt.tag}
        if dice.random() < 0.7:
            given["project_id"] = self._world.projects[step.project]
        if "project_id" not in given or dice.random() < 0.5:
            given["user_id"] = dice.choice(self._world.users)
        kind = dice.random()
        if kind < 0.4:
            given["options"] = OPTIONS
        elif kind < 0.6:
            given["schema"] = {"enum": ["a", "b", 3]}
        given["default"] = dice.choice(DEFAULTS)
        attempt.said = dict(given)
        given["timeout"] = dice.choice(TIMEOUTS[:3] if step.what == "short" else TIMEOUTS)
        self._asked.append(given)
        return given

    def answer(self, step: Step, dice: Random) -> None:
        """One answers, or several at once."""
        prompt = self._one_of("prompt", step, dice)
        if prompt is None:
            return
        racing = RACING if step.what == "race" else dice.choice((1, 1, 2))
        for _ in range(racing):
            self._answer(prompt, dice)
        if step.what == "race" and prompt.outcome is None:
            self._world.felt_for("race", prompt)

    def _one_of(self, kind: str, step: Step, dice: Random) -> ModelInteraction | None:
        """Mostly one that is open, and rather a new one."""
        matters = self._world.interactions
        among = matters.open(kind)[-6:]
        if not among or dice.random() < 0.08:
            among = [one for one in matters.all.values() if one.kind == kind][-6:]
        return among[step.who % len(among)] if among else None

    def _answer(self, prompt: ModelInteraction, dice: Random) -> None:
        said: Fields = {"proceed": dice.random() < 0.7, "value": dice.choice(("a", "b"))}
        if dice.random() < 0.06 and "message" in prompt.data:
            said["proceed"] = 1
        listeners = self._world.those_there(AiecsWatcher)
        if listeners and dice.random() < 0.2:
            del said["value"]
            attempt = self._world.interactions.attempt("answer", prompt.id, **said)
            dice.choice(listeners).confirm(attempt, prompt, said["proceed"])
            return
        attempt = self._world.interactions.attempt("answer", prompt.id, **said)
        given = {**said, "feedback": attempt.tag}
        natives = self._world.those_there(NativeWatcher)
        hub = self._world.process.running
        if natives and dice.random() < 0.6:
            dice.choice(natives).tries(attempt, type="answer", prompt_id=prompt.id, **given)
        elif hub is not None:
            via = {"tag": attempt.tag}
            self.through_hub(attempt, lambda: hub.prompts.answer(prompt.id, given, grants=OPEN, via=via))

    def cancel(self, step: Step, dice: Random) -> None:
        """Take a prompt back."""
        prompt, hub = self._one_of("prompt", step, dice), self._world.process.running
        if prompt is not None and hub is not None:
            attempt = self._world.interactions.attempt("cancel", prompt.id)
            via = {"tag": attempt.tag}
            self.through_hub(attempt, lambda: hub.prompts.cancel(prompt.id, grants=OPEN, via=via))

    # --- commands -----------------------------------------------------------------------------------

    def command(self, step: Step, dice: Random) -> None:
        """Tell whoever serves a project something."""
        project, natives = self._world.projects[step.project], self._world.those_there(NativeWatcher)
        attempt = self._world.interactions.attempt("command")
        attempt.said = {"name": dice.choice(("pause", "resume")), "args": {"tag": attempt.tag}}
        given = dict(attempt.said)
        hub = self._world.process.running
        if natives and dice.random() < 0.6:
            dice.choice(natives).tries(attempt, type="command", project_id=project, **given)
        elif hub is not None:
            self.through_hub(attempt, lambda: hub.commands.send(project, given, grants=OPEN, via={}))

    def obey(self, step: Step, dice: Random) -> None:
        """Orchestrators say something of what they were told to do."""
        for producer in self._world.producers:
            if dice.random() < 0.7:
                producer.obey(dice.choice(("accepted", "accepted", "done", "done", "refused")))

    def obey_all(self) -> None:
        """At the end everything is done."""
        for producer in self._world.producers:
            for _ in range(len(producer.held)):
                producer.obey("done")

    def desert(self, step: Step, dice: Random) -> None:
        """An orchestrator dies while it has something to do."""
        found = self._holder()
        if found is not None:
            for name in found.held:
                one = self._world.interactions.all[name]
                if one.outcome is None:
                    self._world.felt_for("desert", one)
            found.drop()

    def _holder(self) -> Producer | None:
        among = [
            one
            for one in self._world.producers
            if any(told in ("", "accepted") for told in one.held.values())
        ]
        return among[0] if among else None

    # --- users --------------------------------------------------------------------------------------

    def notify(self, step: Step, dice: Random) -> None:
        """Tell a user something."""
        user, hub = self._world.users[step.who % len(self._world.users)], self._world.process.running
        if hub is not None:
            attempt = self._world.interactions.attempt("notify")
            given = {"title": attempt.tag}
            self.through_hub(attempt, lambda: hub.notifications.notify(user, given, grants=OPEN))

    def read(self, step: Step, dice: Random) -> None:
        """A user has read what there was, or less."""
        user = self._world.users[step.who % len(self._world.users)]
        seq = max(0, self._world.truth.head(f"{USER}{user}")[1] - dice.choice((0, 0, 1, 5)))
        attempt = self._world.interactions.attempt("read")
        natives, hub = self._world.those_there(NativeWatcher), self._world.process.running
        if natives and dice.random() < 0.6:
            said: dict[str, Any] = {"type": "ack", "user_id": user, "seq": seq}
            dice.choice(natives).tries(attempt, **said)
        elif hub is not None:
            self.through_hub(attempt, lambda: hub.notifications.read_up_to(user, seq, grants=OPEN))
