"""The section `auth`: what callers prove, and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from tasktree_rt.core.grant_claim import read_grants
from tasktree_rt.errors import InvalidInput
from tasktree_rt.settings.checks import JSON, UnfitSetting, a_secret, a_text

if TYPE_CHECKING:
    from attrs import Attribute


def a_grants_table(_: object, attribute: Attribute[Any], value: object) -> None:
    """Require a table of grants, of the same form as a token's claim."""
    try:
        read_grants(value, attribute.name)
    except InvalidInput as error:
        raise UnfitSetting((attribute.name,), str(error)) from None


@frozen
class Auth:
    """Authentication by JSON Web Tokens. Without a secret it is off: all requests are allowed."""

    secret: str = field(default="", repr=False, validator=a_secret)
    """HS256 key of the JSON Web Tokens; at least 32 bytes."""
    audience: str = field(default="", validator=a_text)
    """The audience (``aud``) that a token must name; empty: any."""

    default_grants: Mapping[str, Any] = field(factory=dict, validator=a_grants_table, metadata=JSON)
    """What a token without the claim ``tasktree`` grants: a table like the claim. Empty: nothing."""

    @property
    def on(self) -> bool:
        """Whether requests need a token."""
        return bool(self.secret)
