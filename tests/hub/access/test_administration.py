"""Keys and revocations beside a model: any history, with restarts, refuses exactly what it should."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import trio
from attrs import Factory, define
from hypothesis import given, settings
from hypothesis import strategies as st

from tasktree_rt.brokers.memory import MemoryBroker
from tasktree_rt.core.access import Grants
from tasktree_rt.errors import Refused
from tasktree_rt.hub.access import credentials
from tasktree_rt.hub.access.administration import Administration
from tasktree_rt.hub.context import HubContext
from tasktree_rt.metrics import Metrics
from tasktree_rt.settings import Settings

ROOT = Grants("root", admin=True)
USERS = ("ada", "key:ci")
TOKENS = ("t1", "t2", "")
SECOND = 1_000_000
LIFETIME = round((Settings().auth.max_lifetime + Settings().auth.leeway) * SECOND)


@define
class Key:
    """A key of the model."""

    credential: str
    name: str
    created: int
    expires: int | None
    revoked: bool = False


@define
class Model:
    """What was revoked, when; nothing is ever forgotten but by its age."""

    now: int = 1_700_000_000 * SECOND
    keys: list[Key] = Factory(list)
    tokens: dict[str, int] = Factory(dict)
    users: dict[str, tuple[int, int]] = Factory(dict)

    def refuses(self, grants: Grants) -> bool:
        made = self.tokens.get(grants.token_id, -LIFETIME)
        if grants.token_id and self.now < made + LIFETIME:
            return True
        before, made = self.users.get(grants.subject, (0, -LIFETIME))
        young = grants.issued is not None and grants.issued * SECOND >= before
        return not young and self.now < made + LIFETIME


Step = tuple[str, int, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["create", "revoke_key", "revoke_token", "revoke_user", "restart", "pass"]),
        st.integers(0, 3),
        st.integers(0, 3),
    ),
    max_size=14,
)


class Run:
    """The real thing beside the model."""

    def __init__(self) -> None:
        self.model = Model()
        self.broker = MemoryBroker()
        self.ended: list[Callable[[Grants], str | None]] = []

    async def restart(self) -> None:
        async def end(reason: Callable[[Grants], str | None]) -> int:
            self.ended.append(reason)
            return 0

        context = HubContext(Settings(), Metrics(), wall=lambda: self.model.now)
        self.real = Administration(context, self.broker.access, end)
        await self.real.load()

    async def do(self, step: Step) -> None:
        what, one, other = step
        model = self.model
        model.now += SECOND
        if what == "create":
            lifetime = None if other == 0 else other * 100
            name = ("ci", "bot")[one % 2]
            made = await self.real.create_key(ROOT, name, {"watch": ["*"]}, lifetime=lifetime)
            key = made.key
            model.keys.append(Key(made.credential, key.name, key.created, key.expires))
        elif what == "revoke_key" and model.keys:
            key_id = credentials.parse(model.keys[one % len(model.keys)].credential)
            assert key_id is not None
            await self.real.revoke_key(ROOT, key_id[0])
            model.keys[one % len(model.keys)].revoked = True
        elif what == "revoke_token":
            await self.real.revoke_token(ROOT, TOKENS[one % 2])
            model.tokens[TOKENS[one % 2]] = model.now
        elif what == "revoke_user":
            await self.revoke_user(USERS[one % 2], model.now - other * 40 * SECOND)
        elif what == "restart":
            await self.restart()
        elif what == "pass":
            model.now += (30, 90, 400, LIFETIME // SECOND)[other] * SECOND
            await self.broker.access.forget_access(model.now, 0)
            self.real.revocations.forget(model.now)

    async def revoke_user(self, user: str, before: int) -> None:
        model = self.model
        await self.real.revoke_user(ROOT, user, before)
        known, made = model.users.get(user, (0, -LIFETIME))
        until = max(before, known if model.now < made + LIFETIME else 0)
        model.users[user] = (until, model.now)
        for key in model.keys:
            if f"key:{key.name}" == user and key.created < until:
                key.revoked = True

    async def compare(self) -> None:
        model = self.model
        for user in USERS:
            for token_id in TOKENS:
                for age in (None, 0, 60, 500):
                    issued = None if age is None else model.now / SECOND - age
                    grants = Grants(user, token_id=token_id, issued=issued)
                    assert (self.real.reason(grants) is not None) == model.refuses(grants), grants
        for key in model.keys:
            dead = key.revoked or (key.expires is not None and key.expires <= model.now)
            refused = True
            with suppress(Refused):
                self.real.refuse_revoked(await self.real.keys.verify(key.credential, "10.0.0.1"))
                refused = False
            assert refused == dead, key


@settings(max_examples=150, deadline=None)
@given(steps=STEPS)
def test_any_history_of_keys_and_revocations_refuses_exactly_what_it_should(steps: list[Step]) -> None:
    async def main() -> None:
        run = Run()
        await run.restart()
        for step in steps:
            await run.do(step)
            await run.compare()

    before, credentials._LOG_N = credentials._LOG_N, 2  # type: ignore[misc]
    try:
        trio.run(main)
    finally:
        credentials._LOG_N = before  # type: ignore[misc]
