"""Tokens: which are valid, what they grant, and that a doubtful one grants nothing."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tasktree_rt.core.access import EVERYTHING, Grants, Scope, Verb
from tasktree_rt.errors import PeerError, SettingsError
from tasktree_rt.settings import Auth
from tasktree_rt.web.auth.authenticator import Authenticator
from tasktree_rt.web.auth.tokens import MAX_TOKEN
from tests.web.realhub import SECRET, TOMORROW, real_hub, signed, token

NOW = TOMORROW - 86_400
OTHER = "o" * 40


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
    found = await grants({"sub": "ada", "jti": "t-1", "iat": NOW - 60})
    assert (found.token_id, found.issued) == ("t-1", NOW - 60.0)
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


# --- which are valid --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claims", "settings", "told"),
    [
        ({"exp": None}, {}, 'missing the "exp" claim'),
        ({"exp": NOW - 60}, {}, "expired"),
        ({"exp": NOW + 86_400 * 40}, {}, "it lasts longer than 2592000 s (auth.max_lifetime)"),
        ({"exp": NOW + 43_200, "iat": NOW - 86_400 * 40}, {}, "it lasts longer than 2592000 s"),
        ({"exp": NOW + 7200}, {"max_lifetime": 3600.0}, "it lasts longer than 3600 s"),
        ({"exp": 1e300}, {}, "it lasts longer"),
        ({"nbf": NOW + 3_600}, {}, "not yet valid"),
        ({"iat": NOW + 3_600}, {}, "not yet valid"),
        ({"iss": "https://b"}, {"issuer": "https://a"}, "Invalid issuer"),
        ({}, {"issuer": "https://a"}, 'missing the "iss" claim'),
        ({"aud": "b"}, {"audience": "a"}, "Audience"),
        ({}, {"audience": "a"}, 'missing the "aud" claim'),
        ({"x": "y" * MAX_TOKEN}, {}, "expected at most 8192 characters"),
    ],
)
async def test_a_token_that_breaks_a_rule_is_refused(
    claims: dict[str, Any], settings: dict[str, Any], told: str
) -> None:
    given = {"exp": TOMORROW, "sub": "ada", **claims}
    shown = jwt.encode({name: one for name, one in given.items() if one is not None}, SECRET, "HS256")
    with pytest.raises(PeerError, match="the token is not valid: ") as caught:
        await Authenticator(Auth(secret=SECRET, **settings)).authenticate(shown)
    assert told in str(caught.value)


async def test_clocks_may_differ_by_the_leeway() -> None:
    now = int(time.time())
    found = await grants({"sub": "ada", "exp": now - 2, "iat": now + 3}, leeway=200.0)
    assert found.expires == now - 2 + 200
    await refused({"sub": "ada", "exp": now - 2}, leeway=0.0)


@pytest.mark.parametrize("part", [b"[" * 3000, b'{"a":' * 900, b"\xff\xfe", b"5", b"null", b'"x"', b""])
async def test_a_head_or_body_that_is_no_claim_set_is_refused(part: bytes) -> None:
    def coded(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    head = coded(b'{"alg":"HS256","typ":"JWT"}')
    hub = Authenticator(Auth(secret=SECRET))
    body = f"{head}.{coded(part)}"
    key = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    signature = coded(key.sign(body.encode(), SECRET.encode()))
    for shown in (f"{coded(part)}.e30.{signature}", f"{body}.{signature}"):
        with pytest.raises(PeerError) as caught:
            await hub.authenticate(shown)
        assert caught.value.code == "unauthorized"


async def test_no_error_has_the_token_or_a_secret() -> None:
    shown = signed({"sub": "ada", "tasktree": {"watch": 5}})
    for one in (shown, shown[:-4] + "AAAA", shown + "." + shown, "é" + shown):
        with pytest.raises(PeerError) as caught:
            await Authenticator(Auth(secret=SECRET)).authenticate(one)
        assert SECRET not in str(caught.value)
        assert not any(part in str(caught.value) for part in shown.split("."))


# --- several keys -----------------------------------------------------------------------------------


def by(secret: str, kid: str | None = None) -> str:
    """A token signed with a secret."""
    head = {} if kid is None else {"kid": kid}
    return jwt.encode({"sub": "ada", "exp": TOMORROW}, secret, "HS256", head)


async def test_each_of_several_secrets_verifies_its_tokens_by_name(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("b" * 40 + "\n")
    named = [{"kid": "a", "secret": "a" * 40}, {"kid": "b", "file": str(tmp_path / "b")}]
    hub = Authenticator(Auth(secrets=named))
    for shown in (by("a" * 40, "a"), by("b" * 40, "b"), by("b" * 40)):
        assert (await hub.authenticate(shown)).subject == "ada"
    for shown in (by("a" * 40, "b"), by("a" * 40, "c"), by(SECRET, "a")):
        with pytest.raises(PeerError):
            await hub.authenticate(shown)


async def test_a_file_may_have_several_secrets_and_is_read_again_when_it_changes(tmp_path: Path) -> None:
    place = tmp_path / "secrets"
    place.write_text(f"# the newest first\n{SECRET}\n\n")
    hub = Authenticator(Auth(secret_file=str(place)))
    old = await hub.authenticate(by(SECRET))
    with pytest.raises(PeerError):
        await hub.authenticate(by(OTHER))
    place.write_text(f"{OTHER}\n{SECRET}\n")
    assert (await hub.authenticate(by(OTHER))).subject == "ada"
    assert not old.void(0.0)
    place.write_text(f"{OTHER}\n")
    await hub.ring.reload()
    assert old.void(0.0), "its key was taken away"
    with pytest.raises(PeerError):
        await hub.authenticate(by(SECRET))


@pytest.mark.parametrize("broken", [None, "", "short", "\n#\n", "x" * 300_000])
async def test_a_file_that_cannot_be_read_again_changes_nothing(tmp_path: Path, broken: str | None) -> None:
    place = tmp_path / "secrets"
    place.write_text(SECRET)
    hub = Authenticator(Auth(secret_file=str(place)))
    found = await hub.authenticate(by(SECRET))
    if broken is None:
        place.unlink()
    else:
        place.write_text(broken)
    with pytest.raises(SettingsError, match=str(place)):
        await hub.ring.reload()
    assert not found.void(0.0)
    assert (await hub.authenticate(by(SECRET))).subject == "ada"


async def test_a_public_key_is_no_secret(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pem").write_bytes(pem)
    hub = Authenticator(Auth(secret=SECRET, public_keys=[str(tmp_path / "key.pem")]))
    good = jwt.encode({"sub": "ada", "exp": TOMORROW}, key, "ES256")
    assert (await hub.authenticate(good)).subject == "ada"
    parts = good.split(".")
    head = base64.urlsafe_b64encode(json.dumps({"alg": "HS256"}).encode()).decode().rstrip("=")
    signed_with = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    forged = base64.urlsafe_b64encode(signed_with.sign(f"{head}.{parts[1]}".encode(), pem)).decode()
    for shown in (f"{head}.{parts[1]}.{forged.rstrip('=')}", jwt.encode({"sub": "ada"}, "", "none")):
        with pytest.raises(PeerError):
            await hub.authenticate(shown)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"secret_file": "/none"}, r"auth\.secret_file: /none: No such file or directory"),
        ({"public_keys": ["/none"]}, r"auth\.public_keys: /none: No such file"),
        ({"secrets": [{"kid": "a", "file": "/none"}]}, r"auth\.secrets\[0\]: /none: No such file"),
    ],
)
def test_a_missing_file_stops_the_start(settings: Any, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        Authenticator(Auth(**settings))


# --- where grants are -------------------------------------------------------------------------------

ROLES = {"viewer": {"watch": ["*"]}, "builder": {"push": ["build-*"], "watch": ["build-*"]}}


@pytest.mark.parametrize(
    ("claims", "settings"),
    [
        ({"https://example.org/tasktree": {"watch": ["*"]}}, {"claim": "https://example.org/tasktree"}),
        ({"app_metadata": {"tasktree": {"watch": ["*"]}}}, {"claim": "app_metadata.tasktree"}),
        ({"a.b": {"watch": ["*"]}, "a": {"b": {"push": ["*"]}}}, {"claim": "a.b"}),
        ({"tasktree": {"read": ["*"]}}, {"claim_names": {"watch": "read"}}),
        ({"realm_access": {"roles": ["x", "viewer"]}}, {"roles_claim": "realm_access.roles", "roles": ROLES}),
        ({"scope": "openid viewer"}, {"roles_claim": "scope", "roles": ROLES}),
    ],
)
async def test_grants_may_be_elsewhere_in_the_token(claims: dict[str, Any], settings: dict[str, Any]) -> None:
    found = await grants({"sub": "ada", **claims}, **settings)
    assert (found.watch, found.push.patterns) == (EVERYTHING, ())


async def test_roles_add_up_and_the_claim_goes_before_them() -> None:
    settings: dict[str, Any] = {"roles_claim": "roles", "roles": ROLES, "default_grants": {"answer": ["*"]}}
    both = await grants({"sub": "ada", "roles": ["viewer", "builder"]}, **settings)
    assert (both.watch, both.push, both.answer) == (EVERYTHING, Scope(("build-*",)), Scope())
    claim = await grants({"sub": "ada", "roles": ["viewer"], "tasktree": {}}, **settings)
    assert claim.watch == Scope()
    unknown = await grants({"sub": "ada", "roles": ["x"]}, **settings)
    assert (unknown.watch, unknown.answer) == (Scope(), EVERYTHING)


@pytest.mark.parametrize("roles", [None, 5, {"viewer": True}, [["viewer"]], ["viewer"] * 300])
async def test_malformed_roles_are_refused_by_their_place(roles: Any) -> None:
    told = await refused({"sub": "ada", "realm": {"r": roles}}, roles_claim="realm.r", roles=ROLES)
    assert told.startswith("the token is not valid: realm.r: expected ")
