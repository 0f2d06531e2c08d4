"""A hub with TLS as a process of its own, against the programs that people use."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.lowlevel
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from websockets.sync.client import connect as connect_websocket

from tests.browser import open_page, program
from tests.certificates import Authority, Pair
from tests.cli.processes import PATIENCE, finished
from tests.secure import client_context, secure, server_pair
from tests.server.peers import Peer, node, produce, publish, watch
from tests.server.process import HubProcess, hub_process


@pytest.fixture(autouse=True)
def _with_tls() -> Iterator[None]:
    secure.on = True
    yield
    secure.on = False


def copied(folder: Path) -> Pair:
    """The usual certificate, in files of a test's own."""
    usual, pair = server_pair(), Pair(folder / "cert.pem", folder / "key.pem")
    shutil.copy(usual.cert, pair.cert)
    shutil.copy(usual.key, pair.key)
    return pair


async def ran(*command: str, stdin: bytes = b"") -> tuple[int, str]:
    """Exit code and everything that a program wrote."""
    with trio.fail_after(PATIENCE):
        done = await trio.run_process(
            command, stdin=stdin, capture_stdout=True, stderr=subprocess.STDOUT, check=False
        )
    return done.returncode, done.stdout.decode(errors="replace")


@pytest.fixture
def cafile() -> str:
    client_context()
    return str(server_pair().cert.with_name("authority.pem"))


async def test_curl_and_openssl_speak_with_it(tmp_path: Path, cafile: str) -> None:
    curl, openssl = program("curl"), program("openssl")
    async with hub_process(tmp_path) as hub:
        code, said = await ran(curl, "-sS", "--cacert", cafile, "--http2", f"{hub.url}/healthz")
        assert (code, json.loads(said)) == (0, {"status": "healthy"})
        code, said = await ran(curl, "-sS", f"{hub.url}/healthz")
        assert code == 60, said  # the authority is not known
        code, said = await ran(curl, "-sS", f"http://{hub.authority}/healthz")
        assert said == "This port speaks TLS: use https:// or wss://.\n"
        base = (openssl, "s_client", "-connect", hub.authority, "-CAfile", cafile, "-verify_return_error")
        code, said = await ran(*base, "-alpn", "h2,http/1.1")
        assert code == 0, said
        assert "ALPN protocol: http/1.1" in said
        assert "Compression: NONE" in said
        code, said = await ran(*base, "-tls1_2", "-cipher", "ECDHE", "-alpn", "http/1.1")
        assert code == 0, said
        for old in ("-tls1_1", "-tls1"):
            code, said = await ran(*base, old, "-cipher", "ALL:@SECLEVEL=0")
            assert (code, "protocol version" in said) == (1, True), said
        code, said = await ran(*base, "-tls1_2", "-cipher", "AES128-SHA:AES256-SHA256:DHE")
        assert (code, "handshake failure" in said) == (1, True), said
        # "R" asks for a renegotiation: openssl is refused, and says so.
        code, said = await ran(*base, "-tls1_2", stdin=b"R\n")
        assert "no renegotiation" in said.lower(), said
        assert (await hub.get("/healthz"))["status"] == "healthy"


async def test_the_websockets_library_watches(tmp_path: Path) -> None:
    async with hub_process(tmp_path) as hub:

        def hear() -> str:
            url = hub.url.replace("https", "wss")
            with connect_websocket(
                f"{url}/ws/updates?project_id=a&since=:0", ssl=client_context(), open_timeout=PATIENCE
            ) as socket:
                return str(socket.recv(PATIENCE))

        await hub.post("a", node("a", "n"))
        assert json.loads(await trio.to_thread.run_sync(hear))["type"] == "node_update"


def key_digest(cert: Path) -> str:
    """How Chromium names a certificate's key, to trust it."""
    key = x509.load_pem_x509_certificate(cert.read_bytes()).public_key()
    encoded = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(encoded).digest()).decode()


async def test_a_browser_shows_the_dashboard_and_follows_over_wss(tmp_path: Path) -> None:
    async with hub_process(tmp_path) as hub:
        await hub.post("a", node("a", "n", title="First"))
        trusted = f"--ignore-certificate-errors-spki-list={key_digest(server_pair().cert)}"
        async with open_page(tmp_path, trusted) as page:
            await page.go(f"{hub.url}/p/a/tree")
            if "The pages are not built" in await page.text("body"):
                pytest.skip("the dashboard is not built")
            await page.until("document.body.innerText.includes('First')")
            assert await page.evaluate("isSecureContext && location.protocol") == "https:"
            await hub.post("a", node("a", "m", title="Second"))
            await page.until("document.body.innerText.includes('Second')")
            assert not page.faults
        dialects = {one["dialect"] for one in await hub.connections()}
        assert dialects <= {"native"}


async def test_a_reload_under_load_loses_no_connection_and_no_event(tmp_path: Path) -> None:
    pair = copied(tmp_path)
    (tmp_path / "new").mkdir()
    successor = Authority(tmp_path / "new")
    async with hub_on(tmp_path, pair) as hub:
        watchers = [await watch(hub, "project_id=a&since=:0&policy=disconnect") for _ in range(8)]
        producer = await produce(hub, "p")
        heard: list[list[int]] = [[] for _ in watchers]
        count, stop, over = 0, trio.Event(), False

        async def hear(watcher: Peer, found: list[int]) -> None:
            while not (over and len(found) == count):
                message = await watcher.hear()
                if message["type"] == "node_update":
                    found.append(message["seq"])

        async def load() -> None:
            nonlocal count, over
            while not stop.is_set():
                await publish(producer, count, node("a", "n", progress=count % 100))
                count += 1
            over, count = True, count + 1
            await publish(producer, count - 1, node("a", "n", progress=100))

        async with trio.open_nursery() as nursery:
            for watcher, found in zip(watchers, heard, strict=True):
                nursery.start_soon(hear, watcher, found)
            nursery.start_soon(load)
            for by_signal in (True, False, True):
                await replaced(hub, pair, successor.issue(), by_signal=by_signal)
            stop.set()
        assert all(found == list(range(1, count + 1)) for found in heard)
        before = await shown(hub.port)
        pair.cert.write_bytes(b"broken")
        hub.signal(signal.SIGHUP)
        with trio.fail_after(PATIENCE):
            while "holds no certificate in PEM form" not in hub.log:
                await trio.lowlevel.checkpoint()
        assert await shown(hub.port) == before
        await publish(producer, count, node("a", "n"))
        assert (await watchers[0].skip_to("node_update"))["seq"] == count + 1


async def replaced(hub: HubProcess, pair: Pair, new: Pair, *, by_signal: bool) -> None:
    """Replace the files, and wait until new connections get the new certificate."""
    before = await shown(hub.port)
    pair.cert.write_bytes(new.cert.read_bytes())
    pair.key.write_bytes(new.key.read_bytes())
    if by_signal:  # else the hub notices by itself
        hub.signal(signal.SIGHUP)
    with trio.fail_after(PATIENCE):
        while await shown(hub.port) == before:
            pass


@asynccontextmanager
async def hub_on(folder: Path, pair: Pair) -> AsyncIterator[HubProcess]:
    """A hub on files of the test's own, which looks at them all the time."""
    hub = HubProcess(folder, ["tls.reload_interval=0.1"], f"sqlite:{folder}/hub.db", [], {})
    hub.tls = pair
    try:
        await hub.start()
        yield hub
    finally:
        with trio.CancelScope(shield=True):
            await hub.close()


async def shown(port: int) -> bytes:
    """The certificate that a new connection is shown."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    def look() -> bytes:
        with (
            socket.create_connection(("127.0.0.1", port), PATIENCE) as sock,
            context.wrap_socket(sock) as encrypted,
        ):
            return encrypted.getpeercert(binary_form=True) or b""

    return await trio.to_thread.run_sync(look)


async def test_wrong_files_are_one_line_and_exit_code_2(tmp_path: Path) -> None:
    pair = copied(tmp_path)
    serve = ("serve", "--bind", "127.0.0.1:0", "--store", f"sqlite:{tmp_path}/new.db")
    for arguments, told in (
        (["--certfile", "none.pem"], "tls.certfile: none.pem: No such file or directory"),
        (["--keyfile", str(pair.key)], "--keyfile: tls.keyfile: expected a certificate too"),
        (["--certfile", str(pair.cert)], "holds no private key in PEM form"),
        (["--certfile", str(pair.cert), "--bind", "unix:/tmp/x"], "a Unix socket needs no TLS"),
    ):
        code, out, error = await finished(tmp_path, *serve, *arguments)
        assert (code, out, error.count("\n")) == (2, "", 1), error
        assert told in error
    assert not (tmp_path / "new.db").exists()
