"""Read the grants in a token's verified claims, wherever the settings say they are. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any, Final

from attrs import evolve, field, frozen

from tasktree_rt.core.access import Grants
from tasktree_rt.core.event_schema import wrong
from tasktree_rt.core.grant_claim import NO_GRANTS, joined, read_grants
from tasktree_rt.hub.access.revocations import MAX_TOKEN_ID
from tasktree_rt.settings import Auth

MAX_ROLES: Final = 256
"""Maximum number of a token's roles that the hub looks at."""
_ABSENT: Final = object()


@frozen
class ClaimReader:
    """Reads grants: of the claim, else of the roles, else the default.

    Attributes:
        claim: where the table of grants is: a name, or a path with dots.
        names: the names within the table, by what they mean (`grant_claim.NAMES`).
        roles_claim: where the roles are: an array of names, or a string of names with spaces; "" is nowhere.
        roles: the grants of each role.
    """

    claim: str = "tasktree"
    names: Mapping[str, str] = field(factory=dict)
    roles_claim: str = ""
    roles: Mapping[str, Grants] = field(factory=dict)
    default: Grants = NO_GRANTS

    def grants(self, claims: Mapping[str, Any]) -> Grants:
        """Return the grants in `claims`, without a subject.

        Raises:
            InvalidInput: a claim is malformed; names the place.
        """
        found = claim_at(claims, self.claim)
        if found is not _ABSENT:
            return read_grants(found, self.claim, self.names)
        roles = self._roles(claim_at(claims, self.roles_claim)) if self.roles_claim else []
        return reduce(joined, roles) if roles else self.default

    def own(self) -> ClaimReader:
        """Return a reader that gives nothing to a token without the claim: for another system's tokens."""
        return evolve(self, roles_claim="", roles={}, default=NO_GRANTS)

    def _roles(self, value: object) -> list[Grants]:
        if value is _ABSENT:
            return []
        names = value.split(" ") if isinstance(value, str) else value
        if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
            raise wrong(self.roles_claim, "an array of strings", value, "invalid_message")
        if len(names) > MAX_ROLES:
            raise wrong(self.roles_claim, f"at most {MAX_ROLES} roles", len(names), "invalid_message")
        return [self.roles[one] for one in names if one in self.roles]


def claim_at(claims: Mapping[str, Any], path: str) -> object:
    """Return the claim of a name or, if there is none, at a path with dots (``realm_access.roles``).

    A name that is a URL (``https://example.org/tasktree``) is no path.
    """
    if path in claims or "://" in path:
        return claims.get(path, _ABSENT)
    found: object = claims
    for name in path.split("."):
        found = found.get(name, _ABSENT) if isinstance(found, Mapping) else _ABSENT
    return found


def token_id(claims: Mapping[str, Any]) -> str:
    """Return ``jti``; "" without it.

    Raises:
        InvalidInput: it is no string, or too long.
    """
    value = claims.get("jti", "")
    if not isinstance(value, str) or len(value) > MAX_TOKEN_ID:
        raise wrong("jti", f"at most {MAX_TOKEN_ID} characters", value, "invalid_message")
    return value


def claim_reader(auth: Auth) -> ClaimReader:
    """Make the reader that the section ``auth`` describes."""
    return ClaimReader(
        auth.claim,
        auth.claim_names,
        auth.roles_claim,
        {name: read_grants(table, f"roles.{name}") for name, table in auth.roles.items()},
        read_grants(auth.default_grants, "default_grants"),
    )
