"""Ask the team's own service over HTTP: settings ``auth.connect_url``, ``subscribe_url`` and ``publish_url``.

The hub sends ``POST`` with a JSON object, signed with ``auth.hook_secret``, by which the service knows it::

    Tasktree-Signature: t=1795000000,v1=<hex of HMAC-SHA256(secret, "1795000000." + body)>

The service answers 200 with ``{"allow": true | false, …}``. Every other answer is a failure, and a failure
refuses the caller (`hub.access.guarded`).
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from attrs import asdict, evolve

from tasktree_rt.core.access import Grants
from tasktree_rt.core.events import Json, shown
from tasktree_rt.core.grant_claim import NO_GRANTS, read_grants
from tasktree_rt.dialects.base import decode_object, encode_json
from tasktree_rt.errors import InvalidInput
from tasktree_rt.hub.access.guarded import Guarded
from tasktree_rt.hub.access.hooks import NO_HOOKS, Hooks, Question, Verdict
from tasktree_rt.metrics import Metrics
from tasktree_rt.settings import Auth
from tasktree_rt.web.auth.authenticator import Authenticates
from tasktree_rt.web.auth.tokens import TokenInvalid, TokenMissing, TokenWithoutSubject

if TYPE_CHECKING:
    import httpx

SIGNATURE: Final = "Tasktree-Signature"
MOST_BYTES: Final = 65_536
MAX_SUBJECT: Final = 256
MOST_TIME: Final = 1e11
"""The highest Unix time in seconds that an answer may name."""


class HookFailure(Exception):
    """The service did not answer as it should; the message names the place."""


@asynccontextmanager
async def open_hooks(auth: Auth, clock: Callable[[], float] = time.time) -> AsyncIterator[Hooks]:
    """Make the hooks of the settings, for as long as the block lasts; without URLs there are none."""
    if not (auth.connect_url or auth.subscribe_url or auth.publish_url):
        yield NO_HOOKS
        return
    # Late: a hub without hooks needs no HTTP client.
    import httpx

    async with httpx.AsyncClient(timeout=auth.hook_timeout, trust_env=False) as client:
        post = partial(_post, client, auth.hook_secret.encode(), clock)
        yield Hooks(
            connect=_connect(partial(post, auth.connect_url)) if auth.connect_url else None,
            subscribe=_decide(partial(post, auth.subscribe_url)) if auth.subscribe_url else None,
            publish=_decide(partial(post, auth.publish_url)) if auth.publish_url else None,
            timeout=auth.hook_timeout,
            keep=auth.hook_cache,
        )


Post = Callable[[Json], Awaitable[bytes]]


async def _post(
    client: httpx.AsyncClient, secret: bytes, clock: Callable[[], float], url: str, asked: Json
) -> bytes:
    """Send a signed question; return the body of the answer.

    Raises:
        HookFailure: the status is not 200, or the body is too large.
    """
    body, now = encode_json(asked), int(clock())
    headers = {
        "Content-Type": "application/json",
        "Accept-Encoding": "identity",
        SIGNATURE: signature(secret, now, body),
    }
    async with client.stream("POST", url, content=body, headers=headers) as response:
        if response.status_code != 200:
            raise HookFailure(f"expected status 200, got {response.status_code}")
        found, size = bytearray(), 0
        async for chunk in response.aiter_raw():  # to its end: httpx cannot leave it cleanly
            size += len(chunk)
            if size <= MOST_BYTES:
                found += chunk
    if size > MOST_BYTES:
        raise HookFailure(f"expected at most {MOST_BYTES} bytes")
    return bytes(found)


def signature(secret: bytes, now: int, body: bytes) -> str:
    """Return the header that signs `body` at `now`, Unix time in seconds."""
    signed = hmac.new(secret, b"%d." % now + body, hashlib.sha256).hexdigest()
    return f"t={now},v1={signed}"


def _decide(post: Post) -> Callable[[Question], Awaitable[Verdict]]:
    async def decide(question: Question) -> Verdict:
        return read_verdict(await post(asdict(question)))

    return decide


def _connect(post: Post) -> Callable[[str], Awaitable[Grants | None]]:
    async def connect(credential: str) -> Grants | None:
        return read_connection(await post({"credential": credential}))

    return connect


# --- answers --------------------------------------------------------------------------------------


def read_verdict(body: bytes) -> Verdict:
    """Read the answer about one project: ``{"allow", "expires"?}``.

    Raises:
        HookFailure: it is malformed; names the field.
    """
    given = _answer(body)
    return Verdict(_flag(given), _expires(given))


def read_connection(body: bytes) -> Grants | None:
    """Read the answer about a credential: ``{"allow", "subject"?, "grants"?, "expires"?}``. None refuses it.

    Without ``grants`` the caller has those of its user only; without a subject those of nobody.

    Raises:
        HookFailure: it is malformed; names the field.
    """
    given = _answer(body)
    if not _flag(given):
        return None
    subject = given.get("subject", "")
    if not isinstance(subject, str) or len(subject) > MAX_SUBJECT:
        raise HookFailure(f"subject: expected a string of at most {MAX_SUBJECT} characters")
    try:
        grants = read_grants(given["grants"], "grants") if "grants" in given else NO_GRANTS
    except InvalidInput as error:
        raise HookFailure(str(error)) from None
    return evolve(grants, subject=subject, expires=_expires(given))


def _answer(body: bytes) -> Json:
    try:
        return decode_object(body)
    except InvalidInput as error:
        raise HookFailure(f"expected a JSON object: {error}") from None


def _flag(given: Json) -> bool:
    allow = given.get("allow")
    if type(allow) is not bool:
        raise HookFailure(f"allow: expected true or false, got {shown(allow)}")
    return allow


def _expires(given: Json) -> float | None:
    found = given.get("expires")
    if found is None:
        return None
    if type(found) not in (int, float) or not 0 <= found <= MOST_TIME:
        raise HookFailure(f"expires: expected Unix time in seconds, got {shown(found)}")
    return float(found)


# --- credentials ----------------------------------------------------------------------------------


class AskingAuthenticator:
    """An authenticator that asks the service about credentials which the hub's own keys do not verify."""

    def __init__(self, own: Authenticates, hooks: Hooks, meter: Metrics, clock: Callable[[], float]) -> None:
        """`clock` returns Unix time in seconds; `hooks.connect` is given."""
        assert hooks.connect is not None
        self._own = own
        self._clock = clock
        self._ask: Guarded[str, Grants | None] = Guarded(
            "connect", _dated(hooks.connect, clock), timeout=hooks.timeout, keep=hooks.keep, meter=meter
        )

    @property
    def on(self) -> bool:
        """Whether callers need a credential: they do."""
        return True

    async def authenticate(self, credential: str | None, *, audience: str | None = None) -> Grants:
        """Return the grants of a credential. A foreign system's (`audience`) is never sent to the service.

        Raises:
            TokenMissing, TokenWithoutSubject, TokenInvalid.
            Unavailable: the service does not answer.
        """
        if not credential:
            raise TokenMissing("a token is needed: ?token=… or Authorization: Bearer …")
        try:
            return await self._own.authenticate(credential, audience=audience)
        except (TokenInvalid, TokenWithoutSubject):
            if audience is not None:
                raise
        # The credential is a secret: what is remembered of it is its digest.
        digest = hashlib.sha256(credential.encode(errors="surrogatepass")).hexdigest()
        found = await self._ask(digest, credential, key=digest)
        if found is None or (found.expires is not None and self._clock() >= found.expires):
            raise TokenInvalid("the token is not valid")
        return found


def _dated(
    connect: Callable[[str], Awaitable[Grants | None]], clock: Callable[[], float]
) -> Callable[[str], Awaitable[Grants | None]]:
    """Let grants count as issued when the service is asked: it decides again after a user was revoked."""

    async def ask(credential: str) -> Grants | None:
        issued = clock()
        found = await connect(credential)
        return found if found is None or found.issued is not None else evolve(found, issued=issued)

    return ask
