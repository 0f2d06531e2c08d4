"""Tokens of a private key's: by PEM and by JWK set, each key with its own algorithm; where keys come from."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
import trio
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from structlog.testing import capture_logs
from trio.testing import MockClock, wait_all_tasks_blocked

from tasktree_rt.compat.autogpt.tokens import DEFAULT_USER, AutoGptTokens
from tasktree_rt.errors import PeerError, SettingsError
from tasktree_rt.settings import Auth, AutoGpt, Settings
from tasktree_rt.web.auth.authenticator import Authenticator
from tasktree_rt.web.auth.key_sources import (
    FRESH,
    KEPT,
    MAX_BYTES,
    RETRY,
    KeySource,
    NowAndThen,
    jwks_source,
)
from tasktree_rt.web.auth.keys import ASYMMETRIC, read_jwks, read_pem
from tests.web.realhub import SECRET, TOMORROW, RealHub, real_hub
from tests.wsclient import WsClient, request_head

KEYS: dict[str, Any] = {
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "RS256": rsa.generate_private_key(65537, 2048),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
OTHER = ec.generate_private_key(ec.SECP256R1())


def token(algorithm: str, key: Any = None, *, kid: str | None = None, **more: Any) -> str:
    claims = {"sub": "ann", "aud": "authenticated", "exp": TOMORROW, **more}
    headers = {} if kid is None else {"kid": kid}
    return jwt.encode(claims, KEYS[algorithm] if key is None else key, algorithm, headers)


def pem(key: Any) -> bytes:
    found: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return found


def jwk(algorithm: str, key: Any = None, **more: Any) -> dict[str, Any]:
    public = (KEYS[algorithm] if key is None else key).public_key()
    maker: Any = jwt.get_algorithm_by_name(algorithm)
    return {**maker.to_jwk(public, as_dict=True), "kid": algorithm.lower(), **more}


def jwks(*keys: dict[str, Any]) -> bytes:
    return json.dumps({"keys": list(keys or [jwk(one) for one in KEYS])}).encode()


class KeyServer:
    """An HTTP server of a JWK set."""

    def __init__(self) -> None:
        self.body, self.status, self.asked = jwks(), 200, 0
        self.held: threading.Event | None = None
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked += 1
                if server.held is not None:
                    server.held.wait(60)
                self.send_response(server.status)
                self.send_header("Content-Length", str(len(server.body)))
                self.end_headers()
                self.wfile.write(server.body)

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/api/auth/jwks"


@contextmanager
def key_server() -> Iterator[KeyServer]:
    found = KeyServer()
    thread = threading.Thread(target=found.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield found
    finally:
        if found.held is not None:
            found.held.set()
        found.http.shutdown()
        thread.join()
        found.http.server_close()


def tokens(**autogpt: Any) -> AutoGptTokens:
    return AutoGptTokens(Settings(autogpt=AutoGpt(**autogpt)))


async def refused(verifier: AutoGptTokens, shown: str | None) -> str:
    with pytest.raises(PeerError) as caught:
        await verifier.authenticate(shown, Authenticator(Auth()))
    assert caught.value.code == "unauthorized"
    return caught.value.message


@pytest.mark.parametrize("algorithm", sorted(KEYS))
async def test_a_pem_file_verifies_tokens_of_its_keys_algorithm_and_no_other(
    tmp_path: Path, algorithm: str
) -> None:
    (tmp_path / "key.pem").write_bytes(pem(KEYS[algorithm]))
    verifier = tokens(public_key=str(tmp_path / "key.pem"))
    for kid in (None, "any"):
        found = await verifier.authenticate(token(algorithm, kid=kid), Authenticator(Auth()))
        assert (found.subject, found.expires) == ("ann", TOMORROW + 5)
    for other in KEYS:
        if other != algorithm:
            assert "no key for" in await refused(verifier, token(other))


@pytest.mark.parametrize("kid", [True, False])
async def test_a_set_verifies_tokens_of_each_of_its_keys(tmp_path: Path, kid: bool) -> None:
    (tmp_path / "jwks.json").write_bytes(jwks())
    verifier = tokens(jwks=str(tmp_path / "jwks.json"))
    for algorithm in KEYS:
        shown = token(algorithm, kid=algorithm.lower() if kid else None)
        assert (await verifier.authenticate(shown, Authenticator(Auth()))).subject == "ann"


async def test_the_token_does_not_choose_how_it_is_verified(tmp_path: Path) -> None:
    """A public key is no secret, ``none`` is no algorithm, and a key's name does not lend its algorithm."""
    (tmp_path / "jwks.json").write_bytes(jwks())
    verifier = tokens(jwks=str(tmp_path / "jwks.json"))
    public = pem(KEYS["RS256"])
    head = {"alg": "HS256", "typ": "JWT", "kid": "rs256"}
    claims = {"sub": "ann", "aud": "authenticated", "exp": TOMORROW}
    parts = [jwt.utils.base64url_encode(json.dumps(one).encode()) for one in (head, claims)]
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(
        b".".join(parts), public
    )
    forged = b".".join([*parts, jwt.utils.base64url_encode(signature)]).decode()
    for shown in (
        forged,
        jwt.encode(claims, "", "none"),
        jwt.encode(claims, SECRET, "HS256"),
        token("ES256", OTHER, kid="es256"),
        token("ES256", kid="rs256"),
        token("ES256", kid="es256")[:-8] + "AAAAAAAA",
        "a.b.c",
        "",
    ):
        await refused(verifier, shown)
    await refused(verifier, None)


@pytest.mark.parametrize(
    "wrong",
    [{"aud": "others"}, {"aud": None}, {"exp": 1}, {"exp": None}, {"sub": None}, {"sub": ""}, {"nbf": 4e9}],
)
async def test_the_claims_are_asked_as_of_any_token(tmp_path: Path, wrong: dict[str, Any]) -> None:
    (tmp_path / "key.pem").write_bytes(pem(KEYS["ES256"]))
    given = {"sub": "ann", "aud": "authenticated", "exp": TOMORROW, **wrong}
    shown = jwt.encode({k: v for k, v in given.items() if v is not None}, KEYS["ES256"], "ES256")
    await refused(tokens(public_key=str(tmp_path / "key.pem")), shown)


async def test_a_shared_secret_serves_beside_public_keys_while_a_platform_moves_over(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(pem(KEYS["ES256"]))
    autogpt = AutoGpt(public_key=str(tmp_path / "key.pem"))
    verifier = AutoGptTokens(Settings(auth=Auth(secret=SECRET), autogpt=autogpt))
    assert (
        await verifier.authenticate(token("HS256", SECRET), Authenticator(Auth(secret=SECRET)))
    ).subject == "ann"
    assert (await verifier.authenticate(token("ES256"), Authenticator(Auth()))).subject == "ann"


async def test_without_secret_and_keys_everybody_is_the_platforms_default_user() -> None:
    assert (await tokens().authenticate(None, Authenticator(Auth()))).subject == DEFAULT_USER


def test_what_is_no_usable_key_is_passed_over_and_an_empty_set_is_told() -> None:
    weak = rsa.generate_private_key(65537, 1024)  # noqa: S505
    p384 = ec.generate_private_key(ec.SECP384R1())
    unusable: list[Any] = [
        5,
        {},
        {"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"},
        jwk("RS256", weak),
        jwk("ES256", alg="RS256"),
        jwk("ES256", use="enc"),
        json.loads(jwt.get_algorithm_by_name("ES384").to_jwk(p384.public_key())),
        {**jwk("ES256"), "d": "AA"},
        {**jwk("ES256"), "x": "!"},
        {"kty": "EC", "crv": "P-256"},
    ]
    assert [one.algorithm for one in read_jwks(jwks(*unusable, jwk("EdDSA")))] == ["EdDSA"]
    for nothing in (jwks(*unusable), b"{}", b"[]", b'{"keys": {}}', b"nonsense"):
        with pytest.raises(ValueError, match=r"expect|Expect"):
            read_jwks(nothing)
    for key in (pem(weak), pem(p384)):
        with pytest.raises(ValueError, match="expected a P-256, RSA"):
            read_pem(key)


@pytest.mark.parametrize("setting", ["jwks", "public_key"])
def test_a_file_of_keys_that_cannot_be_read_is_told_when_the_hub_starts(tmp_path: Path, setting: str) -> None:
    place = tmp_path / "keys"
    with pytest.raises(SettingsError, match=f"autogpt.{setting}: .*No such file"):
        tokens(**{setting: str(place)})
    private = KEYS["ES256"].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    place.write_bytes(private)
    with pytest.raises(SettingsError, match=f"autogpt.{setting}: "):
        tokens(**{setting: str(place)})


# --- when they are read -------------------------------------------------------------------------------


class Counted:
    """Keys that change and fail, and how often they were read."""

    def __init__(self) -> None:
        self.keys: Callable[[], bytes] = jwks
        self.reads = 0
        self.source = KeySource("here", ASYMMETRIC, self._load, NowAndThen())

    def _load(self) -> Any:
        self.reads += 1
        return read_jwks(self.keys())

    async def knows(self, kid: str) -> bool:
        return bool(await self.source.find(kid, "ES256"))


def _fail() -> bytes:
    raise OSError("unreachable")


async def test_an_unknown_key_is_looked_for_once_a_minute_however_many_ask(mock_clock: MockClock) -> None:
    counted = Counted()
    for _ in range(100):
        assert await counted.knows("es256")
        assert not await counted.knows("new")
    assert counted.reads == 1
    counted.keys = lambda: jwks(jwk("ES256", kid="new"))
    mock_clock.jump(RETRY)
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(counted.knows, "new")
    assert await counted.knows("new")
    assert not await counted.knows("es256"), "it was withdrawn"
    assert counted.reads == 2


async def test_known_keys_are_read_again_after_a_while(mock_clock: MockClock) -> None:
    counted = Counted()
    assert await counted.knows("es256")
    counted.keys = lambda: jwks(jwk("ES256", kid="new"))
    mock_clock.jump(FRESH)
    assert not await counted.knows("es256")
    assert counted.reads == 2


async def test_keys_that_cannot_be_read_again_stay_good_for_a_day_and_the_log_says_so_once(
    mock_clock: MockClock,
) -> None:
    counted = Counted()
    assert await counted.knows("es256")
    counted.keys = _fail
    with capture_logs() as lines:
        for _ in range(10):
            mock_clock.jump(FRESH)
            assert await counted.knows("es256")
        counted.keys = jwks
        mock_clock.jump(FRESH)
        assert await counted.knows("es256")
    assert [one["event"] for one in lines] == [
        "keys unreadable; those read before stay in force",
        "keys readable again",
    ]
    counted.keys = _fail
    mock_clock.jump(KEPT + 1)
    assert not await counted.knows("es256")


# --- the whole way --------------------------------------------------------------------------------------


async def channel(running: RealHub, shown: str) -> str | None:
    """What a client with that token is shown of an execution; None: refused before the handshake."""
    client = await WsClient.dial(int(running.url.rpartition(":")[2]))
    async with client:
        await client.raw(request_head(f"/ws?token={shown}", (), host="localhost"))
        status = (await client.answer()).status
        if status != 101:
            assert status == 403
            return None
        await client.text('{"method":"subscribe_graph_execution","data":{"graph_exec_id":"e"}}')
        said: str = json.loads((await client.recv()).data)["channel"]
        return said


@asynccontextmanager
async def hub_with(server: KeyServer) -> AsyncIterator[RealHub]:
    async with real_hub(autogpt=AutoGpt(jwks=server.url)) as running:
        yield running


async def test_a_client_comes_in_by_a_key_that_is_fetched() -> None:
    with key_server() as server:
        async with hub_with(server) as running:
            assert server.asked == 0, "a hub starts without it"
            assert await channel(running, token("ES256", kid="es256")) == "ann|graph_exec#e"
            assert await channel(running, token("RS256", kid="rs256", sub="bob")) == "bob|graph_exec#e"
            assert await channel(running, token("ES256", OTHER, kid="es256")) is None
            assert await channel(running, token("ES256", kid="unknown")) is None
            assert await channel(running, "") is None
            assert server.asked == 1


@pytest.mark.parametrize(("status", "body"), [(500, jwks()), (200, b"<html>"), (200, b" " * (MAX_BYTES + 1))])
async def test_a_server_that_gives_no_keys_refuses_and_harms_nobody(status: int, body: bytes) -> None:
    with key_server() as server:
        server.status, server.body = status, body
        async with hub_with(server) as running:
            assert await channel(running, token("ES256", kid="es256")) is None


async def test_while_the_key_server_hangs_running_connections_and_known_keys_go_on(
    mock_clock: MockClock,
) -> None:
    with key_server() as server:
        source = jwks_source(server.url)
        assert await source.find("es256", "ES256")
        server.held = threading.Event()
        mock_clock.jump(FRESH)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(source.find, "new", "ES256")
            await wait_all_tasks_blocked()
            assert await source.find("es256", "ES256")
            server.held.set()
        assert server.asked == 2


def test_where_keys_are_asked_for_executions_are_no_projects_unless_wanted() -> None:
    assert Settings().mirrors_autogpt
    for autogpt in (AutoGpt(jwks="https://x/y"), AutoGpt(public_key="key.pem")):
        assert not Settings(autogpt=autogpt).mirrors_autogpt
    assert Settings(autogpt=AutoGpt(public_key="key.pem", mirror="on")).mirrors_autogpt
