"""Permissions to watch, push and administer projects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Final

from attrs import evolve, field, frozen

from tasktree_rt.core.topics import user_of


@frozen
class Scope:
    """A set of projects: all of them, or those named, where ``name*`` means every id with that prefix."""

    patterns: tuple[str, ...] = ()

    def covers(self, project_id: str) -> bool:
        """Return True if `project_id` is in the set."""
        return any(
            project_id.startswith(pattern[:-1]) if pattern.endswith("*") else project_id == pattern
            for pattern in self.patterns
        )

    @property
    def everything(self) -> bool:
        """True if every present and future project is in the set."""
        return "*" in self.patterns


@lru_cache(4_096)
def network_of(address: str) -> str:
    """Return the network of one caller, as ``at:…``: one IPv4 address, or a /64 of IPv6."""
    if not address:
        return ""
    try:
        found = ip_address(address)
    except ValueError:
        return f"at:{address}"
    if found.version == 4:
        return f"at:{found}"
    if found.ipv4_mapped is not None:
        return f"at:{found.ipv4_mapped}"
    return f"at:{ip_network((int(found), 64), strict=False)}"


EVERYTHING: Final = Scope(("*",))
NOTHING: Final = Scope(())


class Verb(StrEnum):
    """What a caller does with a project; a claim of this name lists the projects."""

    WATCH = "watch"
    HISTORY = "history"
    PUSH = "push"
    ANSWER = "answer"
    COMMAND = "command"
    DELETE = "delete"


class KeyState:
    """Whether the key that verified a token is still in force; shared by the grants of all its tokens."""

    __slots__ = ("withdrawn",)

    def __init__(self) -> None:
        self.withdrawn = False


@frozen
class Maker:
    """The caller that made a subscription token: what ends the caller's own token ends what it made.

    Attributes:
        subject, token_id, issued: as of `Grants`.
    """

    subject: str
    issued: float | None = None
    token_id: str = ""


@frozen
class Lease:
    """Permission for one project beside the grants, for some time: of the team's own service, or of a
    subscription token.

    Attributes:
        verbs: what the caller may do with the project.
        until: Unix time in seconds after which it is void, or None.
        token_id: of the subscription token that made it; "" without one.
        maker: of the subscription token; None without one.
    """

    verbs: frozenset[Verb]
    until: float | None = None
    token_id: str = ""
    maker: Maker | None = None


@frozen
class Grants:
    """What one authenticated caller may do.

    Attributes:
        subject: the identity; part of every idempotency key.
        watch, push: the projects it may read and write.
        answer, command: the projects whose prompts it may answer, and whose orchestrators it may command.
        admin: True if it may see connections and statistics, and act for any user.
        history: the projects whose past it may read; None: those of `watch`.
        delete: the projects it may delete; None: all for an administrator, else those of `push`.
        expires: Unix time in seconds after which the grants are void, or None.
        token_id: the token's ``jti``, or the API key's id; "" without one.
        issued: Unix time in seconds when the token was issued (``iat``), or None.
        key: the state of the key that verified the token; None without a token.
        maker: of a subscription token, the caller that made it; None of every other credential.
        address: the network address of the caller; "" is this process.
        leases: by project, what the caller may do with it for some time beside all this. Whatever keeps the
            grants ends a lease in time.
    """

    subject: str
    watch: Scope = NOTHING
    push: Scope = NOTHING
    answer: Scope = NOTHING
    command: Scope = NOTHING
    admin: bool = False
    history: Scope | None = None
    delete: Scope | None = None
    expires: float | None = None
    token_id: str = field(default="", eq=False)
    issued: float | None = field(default=None, eq=False)
    key: KeyState | None = field(default=None, eq=False, repr=False)
    address: str = field(default="", eq=False)
    maker: Maker | None = field(default=None, eq=False)
    leases: Mapping[str, Lease] = field(factory=dict, eq=False)

    def at(self, address: str) -> Grants:
        """Return the same grants for a caller at an address."""
        return evolve(self, address=address)

    def void(self, now: float) -> bool:
        """Return whether the token has expired, or its key is no longer in force. `now`: Unix time."""
        return (self.expires is not None and now >= self.expires) or (
            self.key is not None and self.key.withdrawn
        )

    def scope(self, verb: Verb) -> Scope:
        """Return the projects on which the caller may do `verb`."""
        if verb is Verb.HISTORY:
            return self.watch if self.history is None else self.history
        if verb is Verb.DELETE:
            return (EVERYTHING if self.admin else self.push) if self.delete is None else self.delete
        found: Scope = getattr(self, verb)
        return found

    def allows(self, verb: Verb, project_id: str) -> bool:
        """Return whether the caller may do `verb` on a project."""
        return self.scope(verb).covers(project_id) or self._leased(verb, project_id)

    def _leased(self, verb: Verb, project_id: str) -> bool:
        lease = self.leases.get(project_id)
        return lease is not None and verb in lease.verbs

    def without_leases(self, projects: Iterable[str]) -> Grants:
        """Return the same grants without the leases of some projects."""
        ended = set(projects)
        return evolve(self, leases={name: one for name, one in self.leases.items() if name not in ended})

    def with_lease(self, project_id: str, lease: Lease) -> Grants:
        """Return the same grants with a lease for a project; verbs of an earlier one stay."""
        before = self.leases.get(project_id)
        if before is not None:
            lease = evolve(lease, verbs=lease.verbs | before.verbs)
        return evolve(self, leases={**self.leases, project_id: lease})

    @property
    def owner(self) -> str:
        """The owner for quotas: the subject, else the network of the address; "" within this process."""
        return f"sub:{self.subject}" if self.subject else network_of(self.address)

    def is_user(self, user: str) -> bool:
        """Return True if it may read the log of `user` and answer for them."""
        return self.admin or (self.subject == user and user != "")

    def sees(self, topic: str) -> bool:
        """Return True if it may watch a project, or a user's topic."""
        user = user_of(topic)
        return self.allows(Verb.WATCH, topic) if user is None else self.is_user(user)

    def calls(self, user: str) -> bool:
        """Return True if it may publish to the log of `user`."""
        return self.push.everything or self.is_user(user)


OPEN: Final = Grants("", EVERYTHING, EVERYTHING, EVERYTHING, EVERYTHING, admin=True)
"""The grants of every caller when authentication is off."""
