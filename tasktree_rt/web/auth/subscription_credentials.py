"""Accept a subscription token as a credential: ``?token=`` of a page, a stream or a connection."""

from __future__ import annotations

from tasktree_rt.core.access import Grants
from tasktree_rt.hub.access.subscription_tokens import PREFIX, SubscriptionTokens
from tasktree_rt.web.auth.authenticator import Authenticates


class TokenAuthenticator:
    """An authenticator that also knows subscription tokens; `own` takes every other credential. It is asked
    only if callers need a credential."""

    def __init__(self, own: Authenticates, tokens: SubscriptionTokens) -> None:
        self._own = own
        self._tokens = tokens

    @property
    def on(self) -> bool:
        """Whether callers need a credential."""
        return self._own.on

    async def authenticate(self, credential: str | None, *, audience: str | None = None) -> Grants:
        """Return the grants of a credential; see `Authenticator.authenticate`."""
        if credential is not None and credential.startswith(PREFIX) and audience is None:
            return self._tokens.read(credential).grants
        return await self._own.authenticate(credential, audience=audience)
