"""Give commands to orchestrator connections.

The hub gives a command to one connection at a time, the oldest that serves the project. When that one ends,
the next one gets the command, or the command waits for one until its deadline.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from tasktree_rt.hub.context import HubContext
from tasktree_rt.hub.interactions.registry import COMMAND, InteractionRegistry, OpenInteraction


class Obedient(Protocol):
    """A connection that takes commands."""

    def give(self, pending: OpenInteraction) -> None:
        """Send a command on this connection."""


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
        """Give commands of `projects` to `one` from now on, and those that wait."""
        for name in projects:
            self.serving.setdefault(name, {})[one] = None
            for pending in self._registry.of(name, COMMAND):
                if pending.holder is None:
                    self._assign(pending)

    def leave(self, one: Obedient, projects: Iterable[str]) -> None:
        """Give no more commands to `one`; the next connection gets the commands that it had."""
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
        """Give an open command to an orchestrator, unless one has it."""
        if pending.interaction.kind == COMMAND and pending.holder is None:
            self._assign(pending)

    def _assign(self, pending: OpenInteraction) -> None:
        if pending.resolving or not pending.kept:
            return  # `give` follows, if it stays open
        one = next(iter(self.serving.get(pending.home, ())), None)
        if one is not None:
            pending.holder = one
            one.give(pending)
