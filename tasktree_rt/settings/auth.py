"""The section `auth`: what callers prove, and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from tasktree_rt.core.grant_claim import read_grants
from tasktree_rt.errors import InvalidInput
from tasktree_rt.settings.checks import JSON, UnfitSetting, a_flag, a_secret, a_text, an_http_url, seconds

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

    connect_url: str = field(default="", validator=an_http_url)
    """URL of the team's service that tells the grants of a credential that the hub's keys do not verify."""
    subscribe_url: str = field(default="", validator=an_http_url)
    """URL of the service that decides about ``watch`` and ``history`` where the grants do not allow them."""
    publish_url: str = field(default="", validator=an_http_url)
    """URL of the service that decides about ``push`` where the grants do not allow it."""
    hook_secret: str = field(default="", repr=False, validator=a_secret)
    """Key that signs the hub's questions; at least 32 bytes. Needed with each of the three URLs."""
    hook_timeout: float = seconds(2.0)
    """Seconds for an answer; after them the caller is refused."""
    hook_cache: float = seconds(10.0, zero=True)
    """Seconds for which an answer is remembered; 0: not at all."""
    required: bool = field(default=False, validator=a_flag)
    """Demand a credential although no key is set: an embedding program verifies it (`Hooks.connect`)."""

    def __attrs_post_init__(self) -> None:
        """Check the rules between fields."""
        for name in ("connect_url", "subscribe_url", "publish_url"):
            if getattr(self, name) and not self.hook_secret:
                raise UnfitSetting(("auth.hook_secret", f"auth.{name}"), f"needed with auth.{name}")

    @property
    def on(self) -> bool:
        """Whether requests need a token."""
        return bool(self.secret or self.connect_url or self.required)
