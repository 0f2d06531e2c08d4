"""Tokens: which are valid, what they grant, and that a doubtful one grants nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tasktree_rt.core.access import EVERYTHING, Grants, Scope, Verb
from tasktree_rt.errors import PeerError, SettingsError
from tasktree_rt.settings import Auth
from tasktree_rt.web.auth.authenticator import Authenticator
from tests.web.realhub import SECRET, real_hub, signed, token


async def grants(claims: dict[str, Any], *, audience: str | None = None, **settings: Any) -> Grants:
    """The grants of a token with these claims."""
    shown = signed(claims)
    return await Authenticator(Auth(secret=SECRET, **settings)).authenticate(shown, audience=audience)


async def refused(claims: dict[str, Any], **settings: Any) -> str:
    """Why a token with these claims is refused."""
    with pytest.raises(PeerError) as caught:
        await grants(claims, **settings)
    assert caught.value.code == "unauthorized"
    return caught.value.message


async def test_a_token_without_the_claim_grants_nothing() -> None:
    found = await grants({"sub": "ada"})
    assert found.subject == "ada"
    assert not any(found.allows(verb, "p") for verb in Verb)
    assert not found.admin
    assert found.is_user("ada"), "a user reads their own log"


async def test_the_setting_says_what_a_token_without_the_claim_grants() -> None:
    table = {"watch": ["*"], "push": ["p*"]}
    found = await grants({"sub": "ada"}, default_grants=table)
    assert (found.subject, found.watch, found.push) == ("ada", EVERYTHING, Scope(("p*",)))
    named = await grants({"sub": "ada", "tasktree": {}}, default_grants=table)
    assert not any(named.allows(verb, "p") for verb in Verb), "the claim counts, not the default"


@pytest.mark.parametrize("claim", [None, [], "*", 5, {"watch": "*"}, {"wacth": ["*"]}, {"watch": [None]}])
async def test_a_malformed_claim_is_refused_by_its_place_whatever_the_default(claim: Any) -> None:
    told = await refused({"sub": "ada", "tasktree": claim}, default_grants={"watch": ["*"]})
    assert told.startswith("the token is not valid: tasktree")


async def test_a_token_of_a_foreign_system_gets_no_default_grants() -> None:
    claims = {"sub": "ada", "aud": "authenticated"}
    found = await grants(claims, audience="authenticated", default_grants={"watch": ["*"]})
    assert not any(found.allows(verb, "p") for verb in Verb)


async def test_grants_name_the_tokens_id_and_time() -> None:
    found = await grants({"sub": "ada", "jti": "t-1", "iat": 1_700_000_000})
    assert (found.token_id, found.issued) == ("t-1", 1_700_000_000.0)
    found = await grants({"sub": "ada"})
    assert (found.token_id, found.issued) == ("", None)


@pytest.mark.parametrize(
    "claims",
    [{"jti": 5}, {"jti": None}, {"jti": "x" * 257}, {"iat": "yesterday"}, {"iat": [1]}, {"exp": True}],
)
async def test_a_malformed_id_or_time_is_refused(claims: dict[str, Any]) -> None:
    assert (await refused({"sub": "ada", **claims})).startswith("the token is not valid: ")


def test_default_grants_that_are_malformed_stop_the_start() -> None:
    with pytest.raises(SettingsError, match=r"default_grants\.watch: expected an array of project ids"):
        Auth(default_grants={"watch": "*"})


async def test_a_malformed_claim_is_401_and_an_absent_one_opens_no_project() -> None:
    async with real_hub(auth=Auth(secret=SECRET)) as running, running.http() as client:
        await running.publish("p", {"type": "node_update", "data": {"node_id": "n", "changes": {}}})
        for claims, status in (({"tasktree": {"watch": ["*"]}}, 200), ({}, 403), ({"tasktree": None}, 401)):
            headers = {"Authorization": f"Bearer {signed({'sub': 'ada', **claims})}"}
            answer = await client.get("/api/v1/projects/p/state", headers=headers)
            assert answer.status_code == status
            malformed = "tasktree: expected an object" in answer.json().get("detail", "")
            assert malformed == (status == 401)
        mine = await client.get("/api/v1/users/ada/state", headers={"Authorization": f"Bearer {token()}"})
        assert mine.status_code in (200, 404)
