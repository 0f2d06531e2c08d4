"""The client and TLS: whom it trusts, what it shows, and what it says when that fails."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from tasktree_rt.client import Publisher, open_api_client, open_orchestrator, open_watcher
from tasktree_rt.client.transport.tls import tls_context
from tasktree_rt.errors import ConnectionLost
from tasktree_rt.settings import Tls
from tests.certificates import Authority, Pair
from tests.cli.processes import finished
from tests.web.realhub import RealHub, real_hub

PATIENCE = 60


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@asynccontextmanager
async def secure_hub(pair: Pair, **more: Any) -> AsyncIterator[RealHub]:
    async with real_hub(tls=Tls(certfile=str(pair.cert), keyfile=str(pair.key), **more)) as hub:
        assert hub.url.startswith("https://")
        yield hub


async def by_watcher(url: str, **tls: Any) -> None:
    async with open_watcher(url, "a", **tls) as watcher:
        async for _ in watcher:
            return


async def by_orchestrator(url: str, **tls: Any) -> None:
    async with open_orchestrator(url, "p", flush_timeout=PATIENCE, **tls) as orchestrator:
        receipt = await orchestrator.node_update("a", "n", status="running")
        await receipt.acked()


async def by_api(url: str, **tls: Any) -> None:
    async with open_api_client(url, **tls) as client:
        await client.events("a", since=":0")


async def by_publisher(url: str, **tls: Any) -> None:
    def publish() -> None:
        with Publisher(url, "q", **tls) as publisher:
            publisher.node_update("a", "n", status="running")
            assert publisher.flush(PATIENCE)

    await trio.to_thread.run_sync(publish)


WAYS: dict[str, Callable[..., Awaitable[None]]] = {
    "orchestrator": by_orchestrator,
    "watcher": by_watcher,
    "api": by_api,
    "publisher": by_publisher,
}


@pytest.mark.parametrize("how", ["path", "context", "any"])
@pytest.mark.parametrize("scheme", ["https", "wss"])
async def test_all_clients_work_with_an_authority_of_ones_own(
    authority: Authority, how: str, scheme: str
) -> None:
    verify = {"path": str(authority.file), "context": authority.client(), "any": False}[how]
    async with secure_hub(authority.issue()) as hub:
        with trio.fail_after(PATIENCE):
            for way in WAYS.values():
                await way(hub.url.replace("https", scheme), verify=verify)


async def test_all_clients_show_their_certificate(authority: Authority) -> None:
    own = authority.issue("client")
    async with secure_hub(authority.issue(), client_ca=str(authority.file)) as hub:
        with trio.fail_after(PATIENCE):
            for way in WAYS.values():
                await way(hub.url, verify=authority.file, cert=(own.cert, own.key))
        for name in ("orchestrator", "watcher", "api"):
            with pytest.raises(ConnectionLost, match="may demand a client certificate"):
                await WAYS[name](hub.url, verify=authority.file)


FINAL = ("orchestrator", "watcher", "api")


async def told(url: str, **tls: Any) -> set[str]:
    """What each client ends with."""
    found = set()
    for name in FINAL:
        with trio.fail_after(PATIENCE), pytest.raises(ConnectionLost) as lost:
            await WAYS[name](url, **tls)
        found.add(str(lost.value))
    return found


async def test_an_unknown_authority_is_told_with_the_remedy(authority: Authority) -> None:
    async with secure_hub(authority.issue()) as hub:
        (text,) = await told(hub.url)
        assert text.startswith("the hub's certificate is from an authority that is not trusted here")
        assert "--cafile" in text


async def test_another_name_is_told(authority: Authority) -> None:
    async with secure_hub(authority.issue(names=["elsewhere.example"])) as hub:
        (text,) = await told(hub.url, verify=authority.file)
        assert text.startswith("the hub's certificate is for another name")
        assert "127.0.0.1" in text


async def test_an_expired_certificate_is_told(authority: Authority) -> None:
    with served_by(authority.issue(days=-1)) as port:
        found = await told(f"https://127.0.0.1:{port}", verify=authority.file)
        assert found == {"the hub's certificate has expired"}


async def test_a_hub_without_tls_is_told() -> None:
    async with real_hub() as hub:
        found = await told(hub.url.replace("http", "https"))
        assert found == {"the hub speaks no TLS at this address: use http:// or ws://"}


async def test_a_hub_with_tls_tells_a_client_without(authority: Authority) -> None:
    async with secure_hub(authority.issue()) as hub:
        plain = hub.url.replace("https", "http")
        with pytest.raises(ConnectionLost, match="HTTP 400, This port speaks TLS: use https:// or wss://"):
            await by_watcher(plain)
        with pytest.raises(Exception, match="This port speaks TLS"):
            await by_api(plain)


async def test_a_publisher_keeps_its_events_while_tls_fails(authority: Authority) -> None:
    def publish(url: str) -> str:
        with Publisher(url, "q", verify=str(authority.file), exit_timeout=0.1) as publisher:
            publisher.node_update("a", "n", status="running")
            assert not publisher.flush(0.5)
            found = publisher.statistics()
            assert found.waiting == 1
            return str(found.last_error)

    async with secure_hub(authority.issue(names=["elsewhere.example"])) as hub:
        text = await trio.to_thread.run_sync(publish, hub.url)
    assert "for another name" in text


@contextmanager
def served_by(pair: Pair) -> Iterator[int]:
    """A TLS server that a hub would not be: with a certificate that it would refuse."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    sock, _ = listening.accept()
                except OSError:
                    return
                try:
                    context.wrap_socket(sock, server_side=True).close()
                except OSError:
                    sock.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(PATIENCE)


@pytest.mark.parametrize(
    ("tls", "told"),
    [
        ({"verify": "/none.pem"}, "verify: /none.pem: No such file"),
        ({"verify": __file__}, "holds no certificate in PEM form"),
        ({"cert": ("/none.pem", "/none.key")}, "cert: /none.pem: no such file"),
        ({"cert": __file__}, "not a certificate with its key"),
        ({"verify": ssl.create_default_context(), "cert": "x"}, "expected no certificate beside a context"),
    ],
)
async def test_a_file_that_cannot_be_used_is_told_before_connecting(tls: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        tls_context("https://hub", tls.get("verify", True), tls.get("cert"))
    assert tls_context("http://hub", tls.get("verify", True), tls.get("cert")) is None


async def test_an_encrypted_key_asks_nobody(authority: Authority) -> None:
    own = authority.issue(password="secret")
    with pytest.raises(ValueError, match="not a certificate with its key"):
        tls_context("https://hub", True, (own.cert, own.key))


async def test_the_commands_trust_an_authority_of_ones_own(authority: Authority, tmp_path: Path) -> None:
    own = authority.issue("client")
    async with secure_hub(authority.issue(), client_ca=str(authority.file)) as hub:
        notify = ["notify", "ada", "hello", "--hub", hub.url]
        certificate = ["--client-cert", str(own.cert), "--client-key", str(own.key)]
        for trust in (["--cafile", str(authority.file)], ["--insecure-tls"]):
            code, _, error = await finished(tmp_path, *notify, *trust, *certificate)
            assert (code, error) == (0, "")
        code, _, error = await finished(tmp_path, *notify, "--cafile", str(authority.file))
        assert (code, "client certificate" in error) == (2, True)
        code, _, error = await finished(tmp_path, *notify)
        assert (code, "--cafile" in error) == (2, True)
    for wrong, told_ in (
        (["--cafile", "none.pem"], "--cafile: none.pem: No such file"),
        (["--client-key", "x"], "--client-key: expected --client-cert too"),
        (["--cafile", str(authority.file), "--insecure-tls"], "--insecure-tls: expected no --cafile"),
    ):
        code, _, error = await finished(tmp_path, *notify, *wrong)
        assert (code, told_ in error) == (2, True), error
