"""Ask the team's own service what a caller may do, where the caller's grants do not allow it.

The service is a set of callables (`Hooks`): `web.auth.hooks` makes them of the settings' URLs, an embedding
program passes its own to `open_hub`. They may only add to the grants. Each answer holds for one project.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from attrs import frozen

from tasktree_rt.core.access import Grants, Lease, Verb
from tasktree_rt.core.topics import user_of
from tasktree_rt.hub.access import policy
from tasktree_rt.hub.access.guarded import Guarded
from tasktree_rt.hub.context import HubContext

READS: Final = (Verb.WATCH, Verb.HISTORY)


@frozen
class Question:
    """May a caller do `verb` (``watch``, ``history`` or ``push``) on a project?

    Attributes:
        subject, token_id: of the caller's token; "" without one.
        address: the caller's network address; "" is this process.
    """

    verb: Verb
    project_id: str
    subject: str
    token_id: str = ""
    address: str = ""


@frozen
class Verdict:
    """The answer to a `Question`. `until`: Unix time in seconds after which it is void, or None."""

    allowed: bool
    until: float | None = None


Decide = Callable[[Question], Awaitable[Verdict]]


@frozen
class Hooks:
    """The team's own service; what is None is not asked. Whatever a callable raises refuses its caller.

    Attributes:
        connect: returns the grants of a credential that the hub's keys do not verify; None refuses it.
        subscribe: decides about ``watch`` and ``history``.
        publish: decides about ``push``.
        timeout: seconds for an answer.
        keep: seconds for which an answer is remembered.
    """

    connect: Callable[[str], Awaitable[Grants | None]] | None = None
    subscribe: Decide | None = None
    publish: Decide | None = None
    timeout: float = 2.0
    keep: float = 10.0


NO_HOOKS: Final = Hooks()


class Decisions:
    """The hub's side of `Hooks`.

    Attributes:
        asked: the verbs about which the service decides. Callers look here first, so that a hub without
            hooks does no more.
    """

    def __init__(self, context: HubContext, hooks: Hooks) -> None:
        self._context = context
        self._decide: dict[Verb, Guarded[Question, Verdict]] = {}

        def guarded(name: str, ask: Decide) -> Guarded[Question, Verdict]:
            return Guarded(name, ask, timeout=hooks.timeout, keep=hooks.keep, meter=context.meter)

        if hooks.subscribe is not None:
            self._decide |= dict.fromkeys(READS, guarded("subscribe", hooks.subscribe))
        if hooks.publish is not None:
            self._decide[Verb.PUSH] = guarded("publish", hooks.publish)
        self.asked = frozenset(self._decide)

    async def extended(self, grants: Grants, verb: Verb, *topics: str) -> Grants:
        """Return the caller's grants, with a lease for each project on which the service allows `verb`.

        It asks about projects that the grants do not cover; `verb` is one of `asked`. Users' logs are their
        users' alone.

        Raises:
            Unavailable: the service does not answer.
        """
        decide = self._decide[verb]
        for topic in self._unknown(grants, verb, topics):
            question = Question(verb, topic, grants.subject, grants.token_id, grants.address)
            verdict = await decide(grants.owner, question)
            if verdict.allowed and not self._is_over(verdict.until):
                grants = grants.with_lease(topic, Lease(frozenset({verb}), verdict.until))
        return grants

    async def require(
        self, grants: Grants, verb: Verb, topics: Iterable[str], *, field: str | None = None
    ) -> Grants:
        """Refuse a caller that may not do `verb` on each of `topics`; return its grants, as `extended`.

        Raises:
            Refused: ``forbidden``; names the first such topic.
            Unavailable: the service does not answer.
        """
        if verb in self.asked:
            grants = await self.extended(grants, verb, *topics)
        for topic in topics:
            policy.require(grants, verb, topic, field=field)
        return grants

    @staticmethod
    def _unknown(grants: Grants, verb: Verb, topics: Iterable[str]) -> list[str]:
        return [one for one in topics if user_of(one) is None and not policy.may(grants, verb, one)]

    def _is_over(self, until: float | None) -> bool:
        return until is not None and self._context.wall() >= until * 1_000_000
