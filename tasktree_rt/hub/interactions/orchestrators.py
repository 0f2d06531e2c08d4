"""The connections that take commands: which projects each serves, and which of them has a command.

A command is given to one orchestrator connection at a time, that which was opened first. When it dies, the
command is given to the next, or waits for one until its time is up.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from tasktree_rt.hub.context import HubContext
from tasktree_rt.hub.interactions.registry import COMMAND, InteractionRegistry, OpenInteraction


class Obedient(Protocol):
    """A connection that takes commands."""

    def give(self, pending: OpenInteraction) -> None:
        """Take this one."""


class Orchestrators:
    """See the module's docstring.

    Attributes:
        serving: the connections that take a project's commands, by project, the oldest first.
    """

    def __init__(self, context: HubContext, registry: InteractionRegistry) -> None:
        self._context = context
        self._registry = registry
        self.patience = round(context.settings.people.command_timeout * 1_000_000)
        """Microseconds that a command waits for an orchestrator."""
        self.serving: dict[str, dict[Any, None]] = {}

    def serve(self, one: Obedient, projects: Iterable[str]) -> None:
        """Let `one` take commands of `projects` from now on; it gets those that wait."""
        for name in projects:
            self.serving.setdefault(name, {})[one] = None
            for pending in self._registry.of(name, COMMAND):
                if pending.holder is None:
                    self._assign(pending)

    def leave(self, one: Obedient, projects: Iterable[str]) -> None:
        """Take `one` out; what it had goes to the next."""
        for name in projects:
            others = self.serving.get(name, {})
            others.pop(one, None)
            if not others:
                self.serving.pop(name, None)
            for pending in self._registry.of(name, COMMAND):
                if pending.holder is one:
                    pending.holder = None
                    self._registry.expect(pending, self._context.wall() + self.patience)
                    self._assign(pending)

    def give(self, pending: OpenInteraction) -> None:
        """Give a command that is open to an orchestrator, unless one has it."""
        if pending.interaction.kind == COMMAND and pending.holder is None:
            self._assign(pending)

    def _assign(self, pending: OpenInteraction) -> None:
        if pending.resolving or not pending.kept:
            return  # `give` follows, if it stays open
        one = next(iter(self.serving.get(pending.home, ())), None)
        if one is not None:
            pending.holder = one
            one.give(pending)
