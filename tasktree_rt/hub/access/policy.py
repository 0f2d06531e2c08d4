"""Ask a caller's grants: the only module that does, for every route, stream and dialect.

The ``may_*`` functions answer a question; the ``require_*`` functions raise the one form of refusal,
``forbidden``. All of them look at the name and at the grants only, never at what is stored. So a refused
caller gets the same answer, after the same work, whether or not the project exists.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from tasktree_rt.core.access import Grants, Scope, Verb
from tasktree_rt.core.topics import BRANCH, project_of, user_of
from tasktree_rt.errors import Refused

_DOES: Final = {
    Verb.WATCH: "watch",
    Verb.HISTORY: "read the past of",
    Verb.PUSH: "push to",
    Verb.ANSWER: "answer prompts of",
    Verb.COMMAND: "command",
    Verb.DELETE: "delete",
}
"""What a refusal says that the caller may not do."""


def may(grants: Grants, verb: Verb, topic: str) -> bool:
    """Return whether the caller may do `verb` on a project or on a user's log."""
    user = user_of(topic)
    if user is None:
        return grants.allows(verb, topic)
    return grants.calls(user) if verb is Verb.PUSH else grants.is_user(user)


def require(grants: Grants, verb: Verb, topic: str, *, field: str | None = None) -> None:
    """Refuse a caller that may not do `verb` on a project or on a user's log.

    Raises:
        Refused: ``forbidden``.
    """
    if not may(grants, verb, topic):
        raise forbidden(verb, topic, field=field)


def forbidden(verb: Verb, topic: str, *, field: str | None = None) -> Refused:
    """Return the refusal of `verb` on a project or on a user's log."""
    return Refused(f"you may not {_DOES[verb]} {topic!r}", code="forbidden", field=field)


def require_push(grants: Grants, projects: Iterable[str]) -> None:
    """Refuse a caller that may not push to each of `projects`. Runs for every publish.

    Raises:
        Refused: ``forbidden``; names the first such project.
    """
    if not grants.push.everything:
        for name in projects:
            if not grants.allows(Verb.PUSH, name):
                raise forbidden(Verb.PUSH, name)


def readable(grants: Grants, verb: Verb, project_id: str) -> str:
    """Return the topic on which the caller may do `verb` under a project's name: the project, or the one
    branch of it that a subscription token allows. Without either it is the project, which `require` refuses.
    """
    if grants.leases and not may(grants, verb, project_id):
        for topic, lease in grants.leases.items():
            if topic.startswith(BRANCH) and verb in lease.verbs and project_of(topic) == project_id:
                return topic
    return project_id


def may_watch(grants: Grants, topic: str) -> bool:
    """Return whether the caller may watch a project or a user's log. Runs for every batch of events."""
    return grants.sees(topic)


def watches_all(grants: Grants) -> bool:
    """Return whether the caller may watch every present and future project."""
    return grants.watch.everything


def listed(grants: Grants, verb: Verb = Verb.WATCH) -> Scope:
    """Return the projects that lists, ``*`` and searches show to the caller. They ask it for each name."""
    return grants.scope(verb)


def require_everything(grants: Grants, what: str) -> None:
    """Refuse a caller that may not push to every project.

    Raises:
        Refused: ``forbidden``; `what` names what the caller may not do.
    """
    if not grants.push.everything:
        raise Refused(f"you may not {what}: this needs push for all projects")


def require_share(grants: Grants, project_id: str) -> None:
    """Refuse a caller that may not make subscription tokens of a project: one without a subject.

    So a subscription token makes no other. The caller also needs ``watch``.

    Raises:
        Refused: ``forbidden``.
    """
    if not (grants.subject or grants.admin):
        raise Refused(f"you may not share {project_id!r}")


def require_admin(grants: Grants) -> None:
    """Refuse a caller that is no administrator.

    Raises:
        Refused: ``forbidden``.
    """
    if not grants.admin:
        raise Refused("this is for administrators (claim tasktree.admin)")


# --- users ----------------------------------------------------------------------------------------


def acts_for(grants: Grants, user: str) -> bool:
    """Return whether the caller is this user, or an administrator."""
    return grants.is_user(user)


def require_user(grants: Grants, user: str, what: str = "read for") -> None:
    """Refuse a caller that neither is this user nor an administrator.

    Raises:
        Refused: ``forbidden``; `what` names what the caller may not do.
    """
    if not grants.is_user(user):
        raise Refused(f"you may not {what} {user!r}")


def require_writer(grants: Grants, user: str, what: str = "write to") -> None:
    """Refuse a caller that may not write to a user: this needs push for all projects, or to be the user.

    Raises:
        Refused: ``forbidden``; `what` names what the caller may not do.
    """
    if not grants.calls(user):
        raise Refused(f"you may not {what} {user!r}")


# --- prompts --------------------------------------------------------------------------------------


def require_ask(grants: Grants, topics: Iterable[str]) -> None:
    """Refuse a caller that may not open or cancel a prompt in each of `topics`.

    Raises:
        Refused: ``forbidden``.
    """
    for topic in topics:
        if not may(grants, Verb.PUSH, topic):
            raise Refused(f"you may not ask {topic!r}")


def may_answer(grants: Grants, topics: Sequence[str]) -> bool:
    """Return whether the caller may answer a prompt: a user's only its user, a project's by ``answer``."""
    user = user_of(topics[-1])
    return may(grants, Verb.ANSWER, topics[0]) if user is None else grants.is_user(user)


def may_see_prompt(grants: Grants, topics: Sequence[str]) -> bool:
    """Return whether the caller may watch a prompt's topics, answer it, or ask it."""
    seen = any(may(grants, Verb.WATCH, topic) for topic in topics) or may_answer(grants, topics)
    return seen or all(may(grants, Verb.PUSH, topic) for topic in topics)
