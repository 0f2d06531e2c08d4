"""The section `auth`: what callers prove, and how."""

from __future__ import annotations

from attrs import field, frozen

from tasktree_rt.settings.checks import a_secret, a_text


@frozen
class Auth:
    """Authentication by JSON Web Tokens. Without a secret it is off: all requests are allowed."""

    secret: str = field(default="", repr=False, validator=a_secret)
    """HS256 key of the JSON Web Tokens; at least 32 bytes."""
    audience: str = field(default="", validator=a_text)
    """The audience (``aud``) that a token must name; empty: any."""

    @property
    def on(self) -> bool:
        """Whether requests need a token."""
        return bool(self.secret)
