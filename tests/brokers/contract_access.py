"""The contract of API keys and revocations."""

from __future__ import annotations

import trio
from attrs import Factory, define, evolve
from hypothesis import strategies as st

from tasktree_rt.brokers.base import ApiKey, Broker, Revocation
from tests.brokers.contract_base import Suite
from tests.brokers.making import DAY, NOW


def a_key(key_id: str = "k1", *, created: int = NOW, expires: int | None = None) -> ApiKey:
    return ApiKey(key_id, "ci", b"digest\0", b"{}", created, "admin", expires)


def a_revocation(
    name: str = "t1", *, kind: str = "token", made: int = NOW, expires: int = NOW + DAY
) -> Revocation:
    return Revocation(kind, name, made, made, expires, "admin")


class AccessKept(Suite):
    """What is kept of access, and for how long."""

    async def test_a_new_store_has_neither_keys_nor_revocations(self) -> None:
        async with self.broker() as broker:
            assert (await broker.access.keys(), await broker.access.revocations()) == ([], [])

    async def test_keys_are_listed_the_oldest_first_and_whole(self) -> None:
        async with self.broker() as broker:
            keys = [a_key("k2", created=NOW - 1, expires=NOW + 5), a_key("k1"), a_key("k3")]
            assert [await broker.access.add_key(one) for one in reversed(keys)] == [True] * 3
            assert await broker.access.keys() == keys

    async def test_a_known_id_is_not_stored_again(self) -> None:
        async with self.broker() as broker:
            assert await broker.access.add_key(a_key())
            assert not await broker.access.add_key(evolve(a_key(), name="other"))
            assert await broker.access.keys() == [a_key()]

    async def test_the_last_use_never_goes_back(self) -> None:
        async with self.broker() as broker:
            await broker.access.add_key(a_key())
            await broker.access.used_keys({"k1": NOW + 5, "unknown": NOW})
            await broker.access.used_keys({"k1": NOW + 4})
            assert await broker.access.keys() == [evolve(a_key(), used=NOW + 5)]

    async def test_a_key_is_revoked_once(self) -> None:
        async with self.broker() as broker:
            await broker.access.add_key(a_key())
            await broker.access.revoke(keys=["k1", "unknown"], at=NOW + 5)
            await broker.access.revoke(keys=["k1"], at=NOW + 9)
            assert await broker.access.keys() == [evolve(a_key(), revoked=NOW + 5)]

    async def test_a_newer_revocation_replaces_the_one_of_its_kind_and_name(self) -> None:
        async with self.broker() as broker:
            first, other = a_revocation(), a_revocation(kind="user", made=NOW + 1)
            newer = a_revocation(made=NOW + 2)
            await broker.access.revoke([first, other], at=NOW)
            assert await broker.access.revocations() == [first, other]
            await broker.access.revoke([newer], at=NOW)
            assert await broker.access.revocations() == [other, newer]

    async def test_revocations_are_forgotten_when_they_expire(self) -> None:
        async with self.broker() as broker:
            early, late = a_revocation("t1", expires=NOW + 5), a_revocation("t2", expires=NOW + 6)
            await broker.access.revoke([early, late], at=NOW)
            await broker.access.forget_access(NOW + 4, NOW)
            assert await broker.access.revocations() == [early, late]
            await broker.access.forget_access(NOW + 5, NOW)
            assert await broker.access.revocations() == [late]

    async def test_keys_are_forgotten_some_time_after_their_end(self) -> None:
        async with self.broker() as broker:
            for one in (a_key("k1"), a_key("k2", expires=NOW + 5), a_key("k3")):
                await broker.access.add_key(one)
            await broker.access.revoke(keys=["k3"], at=NOW + 5)
            await broker.access.forget_access(NOW + DAY, NOW + 5)
            assert len(await broker.access.keys()) == 3
            await broker.access.forget_access(NOW + DAY, NOW + 6)
            assert await broker.access.keys() == [a_key("k1")]

    def keep_access(self, steps: list[AccessStep]) -> None:
        """Any history of keys and revocations is as the naive one; each suite gives it to hypothesis."""

        async def run() -> None:
            async with self.broker() as broker:
                naive = NaiveAccess()
                for step in steps:
                    await step.do(broker, naive)
                assert await broker.access.keys() == naive.listed_keys()
                assert await broker.access.revocations() == naive.listed_revocations()

        trio.run(run)


@define
class NaiveAccess:
    """The model: every key and revocation in a list."""

    keys: list[ApiKey] = Factory(list)
    revocations: list[Revocation] = Factory(list)

    def listed_keys(self) -> list[ApiKey]:
        return sorted(self.keys, key=lambda one: (one.created, one.id))

    def listed_revocations(self) -> list[Revocation]:
        return sorted(self.revocations, key=lambda one: (one.made, one.kind, one.name))


@define
class AccessStep:
    """One call: `kind`, on a key or a name, at a time."""

    kind: str
    name: str
    at: int
    other: int

    async def do(self, broker: Broker, naive: NaiveAccess) -> None:
        match self.kind:
            case "add":
                key = ApiKey(self.name, "", b"", b"", self.at, "", self.other if self.other % 2 else None)
                known = any(one.id == key.id for one in naive.keys)
                assert await broker.access.add_key(key) is not known
                naive.keys += [] if known else [key]
            case "use":
                await broker.access.used_keys({self.name: self.at})
                naive.keys = [
                    evolve(one, used=max(one.used or 0, self.at)) if one.id == self.name else one
                    for one in naive.keys
                ]
            case "revoke":
                made = [
                    Revocation(kind, self.name, self.at, self.at, self.other) for kind in ("token", "user")
                ]
                await broker.access.revoke(made[: self.other % 3], [self.name], at=self.at)
                new = made[: self.other % 3]
                naive.revocations = [
                    one
                    for one in naive.revocations
                    if (one.kind, one.name) not in {(n.kind, n.name) for n in new}
                ] + new
                naive.keys = [
                    evolve(one, revoked=self.at) if one.id == self.name and one.revoked is None else one
                    for one in naive.keys
                ]
            case "forget":
                await broker.access.forget_access(self.at, self.other)
                naive.revocations = [one for one in naive.revocations if one.expires > self.at]
                naive.keys = [
                    one
                    for one in naive.keys
                    if not (one.revoked is not None and one.revoked < self.other)
                    and not (one.expires is not None and one.expires < self.other)
                ]


TIMES = st.integers(1, 9)
ACCESS_STEPS = st.lists(
    st.builds(
        AccessStep,
        st.sampled_from(["add", "add", "use", "revoke", "revoke", "forget"]),
        st.sampled_from(["a", "b", "c"]),
        TIMES,
        TIMES,
    ),
    max_size=12,
)
