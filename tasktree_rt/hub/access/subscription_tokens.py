"""Make and verify subscription tokens: each lets its bearer watch one project, or a branch, until a time.

A token is a JSON Web Token behind a prefix, signed with a key that signs nothing else. So no token of a user
is taken for one, and the hub knows one without decoding it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from typing import Any, Final

import jwt
from attrs import frozen

from tasktree_rt.core.access import NOTHING, Grants, Lease, Maker, Scope, Verb
from tasktree_rt.core.events import is_node_id, is_project_id
from tasktree_rt.core.topics import branch_topic
from tasktree_rt.errors import Refused
from tasktree_rt.settings import Auth

PREFIX: Final = "tts_"
AUDIENCE: Final = "tasktree-rt:subscription"
NOBODY: Final = Grants("")
MAX_TOKEN: Final = 4_096
"""Maximum characters of a token."""
_LABEL: Final = b"tasktree-rt subscription tokens"


class SubscriptionTokenInvalid(Refused):
    """The token is no subscription token of this hub, is for another project, or has expired."""

    default_code = "unauthorized"


@frozen
class SubscriptionToken:
    """A verified token.

    Attributes:
        project_id: the project that it is for.
        history: whether it allows reading the project's past.
        until: Unix time in seconds at which it expires.
        token_id: its id, random.
        node_id: the node whose branch it is for; None: the whole project.
        maker: the caller that asked for it.
    """

    project_id: str
    history: bool
    until: float
    token_id: str
    maker: Maker
    node_id: str | None = None

    @property
    def topic(self) -> str:
        """What it is for: the project, or the branch."""
        return self.project_id if self.node_id is None else branch_topic(self.project_id, self.node_id)

    @property
    def lease(self) -> Lease:
        """What it adds to the grants of a connection that presents it with a subscription."""
        verbs = (Verb.WATCH, Verb.HISTORY) if self.history else (Verb.WATCH,)
        return Lease(frozenset(verbs), self.until, self.token_id, self.maker)

    @property
    def grants(self) -> Grants:
        """The grants of a caller that has nothing else. Those of a branch are a lease on its topic: whatever
        does not know branches finds no grant of the project.
        """
        if self.node_id is not None:
            return Grants(
                "",
                history=NOTHING,
                delete=NOTHING,
                expires=self.until,
                token_id=self.token_id,
                maker=self.maker,
                leases={self.topic: self.lease},
            )
        mine = Scope((self.project_id,))
        return Grants(
            "",
            watch=mine,
            history=mine if self.history else NOTHING,
            delete=NOTHING,
            expires=self.until,
            token_id=self.token_id,
            maker=self.maker,
        )


class SubscriptionTokens:
    """Makes and verifies tokens.

    `wall` returns the time in microseconds since the Unix epoch. `revoked` returns why a token with such
    grants is refused; None if it is not.
    """

    def __init__(
        self,
        key: bytes,
        wall: Callable[[], int],
        revoked: Callable[[Grants], str | None] = lambda _: None,
    ) -> None:
        self._key = key
        self._wall = wall
        self._revoked = revoked

    def mint(
        self,
        project_id: str,
        *,
        lifetime: float,
        history: bool = False,
        maker: Grants = NOBODY,
        node_id: str | None = None,
    ) -> str:
        """Return a new token for a project, or for the branch of a node, valid for `lifetime` seconds.
        `maker`: the caller that asks for it. Its revocation is the token's too.

        The caller has checked that this subject may share the project.
        """
        now = self._wall() / 1_000_000
        claims = {
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + lifetime,
            "jti": secrets.token_hex(16),
            "project_id": project_id,
            "history": history,
            "by": maker.subject,
            "by_issued": maker.issued,
            "by_token": maker.token_id,
        }
        if node_id is not None:
            claims["node_id"] = node_id
        return PREFIX + jwt.encode(claims, self._key, "HS256")

    def read(self, token: str) -> SubscriptionToken:
        """Verify a token.

        Raises:
            SubscriptionTokenInvalid: it is not of this hub, or has expired.
        """
        if not token.startswith(PREFIX) or len(token) > MAX_TOKEN:
            raise SubscriptionTokenInvalid("expected a subscription token of this hub", field="token")
        try:
            claims = jwt.decode(
                token.removeprefix(PREFIX),
                self._key,
                algorithms=["HS256"],
                audience=AUDIENCE,
                # By the hub's own clock, below.
                options={"require": ["exp", "jti", "project_id"], "verify_exp": False, "verify_iat": False},
            )
        except (jwt.InvalidTokenError, ValueError, TypeError):
            raise SubscriptionTokenInvalid("the subscription token is not valid", field="token") from None
        found = _read(claims)
        if self._wall() >= found.until * 1_000_000:
            raise SubscriptionTokenInvalid("the subscription token has expired", field="token")
        if (reason := self._revoked(found.grants)) is not None:
            raise SubscriptionTokenInvalid(reason, field="token")
        return found

    def for_project(self, token: str, project_id: str) -> SubscriptionToken:
        """Verify a token for a project or a branch of it.

        Raises:
            SubscriptionTokenInvalid: as `read`, or it is for another project.
        """
        found = self.read(token)
        if found.project_id != project_id:
            raise SubscriptionTokenInvalid("the subscription token is for another project", field="token")
        return found


def _read(claims: dict[str, Any]) -> SubscriptionToken:
    name, until, token_id = claims["project_id"], claims["exp"], claims["jti"]
    node_id = claims.get("node_id")
    of_branch = node_id is None or is_node_id(node_id)
    if not (
        is_project_id(name) and of_branch and isinstance(until, (int, float)) and isinstance(token_id, str)
    ):
        raise SubscriptionTokenInvalid("the subscription token is not valid", field="token")
    # Without `by_issued` it is of a hub that did not write it: the token counts as its maker's then.
    issued = claims.get("by_issued", claims.get("iat"))
    maker = Maker(
        str(claims.get("by", "")),
        issued if isinstance(issued, (int, float)) else None,
        str(claims.get("by_token", "")),
    )
    return SubscriptionToken(name, claims.get("history") is True, float(until), token_id, maker, node_id)


def signing_key(auth: Auth) -> bytes:
    """Return the key of subscription tokens: of ``auth.subscription_secret``, else of ``auth.secret``.

    Without both it is random: the tokens then end with the hub.
    """
    secret = (auth.subscription_secret or auth.secret).encode() or secrets.token_bytes(32)
    return hmac.new(secret, _LABEL, hashlib.sha256).digest()
