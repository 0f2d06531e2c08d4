"""The section `auth`: what callers prove, and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from tasktree_rt.settings.auth_checks import (
    a_grants_table,
    a_path,
    a_table_of_names,
    a_table_of_roles,
    paths,
    some_secrets,
)
from tasktree_rt.settings.checks import (
    JSON,
    UnfitSetting,
    a_flag,
    a_jwk_set,
    a_secret,
    a_text,
    an_http_url,
    seconds,
    to_tuple,
)


@frozen
class Auth:
    """Authentication by JSON Web Tokens and API keys. Without a key for tokens and without `keys` it is off:
    all requests are allowed. Times in seconds."""

    secret: str = field(default="", repr=False, validator=a_secret)
    """HS256 key of the JSON Web Tokens; at least 32 bytes."""
    secret_file: str = field(default="", validator=a_path)
    """Path of a file with HS256 keys, one a line. The hub reads it again when it changes."""
    secrets: tuple[Mapping[str, str], ...] = field(
        default=(), repr=False, converter=to_tuple, validator=some_secrets, metadata=JSON
    )
    """HS256 keys with names: tables with ``kid``, and ``secret`` or ``file``."""
    public_keys: tuple[str, ...] = field(default=(), converter=to_tuple, validator=paths)
    """Paths of PEM files with a public key each: ES256, RS256 or EdDSA."""
    jwks: str = field(default="", validator=a_jwk_set)
    """A JWK set with public keys: a URL, or the path of a file."""
    issuer: str = field(default="", validator=a_text)
    """The issuer (``iss``) that a token must name; empty: any."""
    audience: str = field(default="", validator=a_text)
    """The audience (``aud``) that a token must name; empty: any."""
    max_lifetime: float = seconds(30 * 86_400.0)
    """Maximum seconds from a token's ``iat``, and from now, to its ``exp``."""
    leeway: float = seconds(5.0, zero=True, most=300.0)
    """Seconds by which the clocks of the hub and of the tokens' issuer may differ."""
    message_timeout: float = seconds(5.0, zero=True, most=60.0)
    """Seconds that a WebSocket without a token has for the message ``authenticate``; 0: none."""
    expiry_warning: float = seconds(60.0, zero=True)
    """Seconds before its token expires that a connection gets `token_expiring`."""
    claim: str = field(default="tasktree", validator=a_text)
    """The claim with the table of grants: a name, or a path with dots."""
    claim_names: Mapping[str, str] = field(factory=dict, validator=a_table_of_names, metadata=JSON)
    """Other names within the claim, by the verb: ``{ watch = "read" }``."""
    roles_claim: str = field(default="", validator=a_text)
    """The claim with the roles of a user, for tokens without `claim`: a name, or a path with dots."""
    roles: Mapping[str, Any] = field(factory=dict, validator=a_table_of_roles, metadata=JSON)
    """What each role grants: a table of tables like the claim."""
    default_grants: Mapping[str, Any] = field(factory=dict, validator=a_grants_table, metadata=JSON)
    """What a token without the claim, and without a known role, grants: a table like the claim. Empty:
    nothing."""
    keys: bool = field(default=False, validator=a_flag)
    """Demand an API key where there is no key for tokens. With one, API keys are accepted anyway."""

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
    subscription_secret: str = field(default="", repr=False, validator=a_secret)
    """Key of subscription tokens, at least 32 bytes; empty: made of `secret`. Without both it is random, and
    these tokens end with the hub."""
    max_subscription_lifetime: float = seconds(604_800.0)
    """Seconds for which a subscription token may be valid (7 days)."""
    required: bool = field(default=False, validator=a_flag)
    """Demand a credential although no key is set: an embedding program verifies it (`Hooks.connect`)."""

    def __attrs_post_init__(self) -> None:
        """Check the rules between fields."""
        for name in ("connect_url", "subscribe_url", "publish_url"):
            if getattr(self, name) and not self.hook_secret:
                raise UnfitSetting(("auth.hook_secret", f"auth.{name}"), f"needed with auth.{name}")
        if self.jwks and not (self.issuer and self.audience):
            missing = "issuer" if not self.issuer else "audience"
            reason = "expected a value with auth.jwks: such keys sign tokens for other services too"
            raise UnfitSetting((f"auth.{missing}", "auth.jwks"), reason)
        if self.roles and not self.roles_claim:
            raise UnfitSetting(("auth.roles_claim", "auth.roles"), "expected a claim's name with auth.roles")

    @property
    def on(self) -> bool:
        """Whether requests need a token or an API key."""
        has_key = self.has_secret or self.public_keys or self.jwks
        return bool(has_key or self.keys or self.connect_url or self.required)

    @property
    def has_secret(self) -> bool:
        """Whether HS256 tokens are accepted."""
        return bool(self.secret or self.secret_file or self.secrets)
