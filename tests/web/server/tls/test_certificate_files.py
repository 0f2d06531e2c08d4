"""What is wrong with a certificate is said at the start, with the setting and the file."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tasktree_rt.errors import SettingsError
from tasktree_rt.settings import Tls
from tasktree_rt.web.server.tls.certificate_files import load
from tests.certificates import Authority, Pair

Case = Callable[[Authority, Path], Tls]


def settings(pair: Pair, **more: Any) -> Tls:
    return Tls(certfile=str(pair.cert), keyfile=str(pair.key), **more)


def written(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


def test_a_good_pair_is_taken_with_its_end(authority: Authority) -> None:
    found = load(settings(authority.issue(days=30)), time.time())
    assert found.subject == "CN=hub"
    assert found.expires - time.time() == pytest.approx(30 * 86_400, abs=60)
    assert found.context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert found.context.options & ssl.OP_NO_COMPRESSION
    assert found.context.options & ssl.OP_NO_RENEGOTIATION
    assert not found.context.options & ssl.OP_IGNORE_UNEXPECTED_EOF, "a cut connection would look whole"
    old = [one["name"] for one in found.context.get_ciphers() if one["protocol"] == "TLSv1.2"]
    assert all("ECDHE" in one and ("GCM" in one or "CHACHA20" in one) for one in old)
    assert found.context.verify_mode is ssl.CERT_NONE


def test_key_and_certificate_may_be_one_file(authority: Authority, tmp_path: Path) -> None:
    pair = authority.issue()
    both = written(tmp_path / "both.pem", pair.cert.read_bytes() + pair.key.read_bytes())
    assert load(Tls(certfile=both), time.time()).subject == "CN=hub"


def test_an_encrypted_key_is_opened_with_its_password(authority: Authority, tmp_path: Path) -> None:
    pair = authority.issue(password="pass word")
    password = written(tmp_path / "password", b"pass word\n")
    assert load(settings(pair, keyfile_password_file=password), time.time()).subject == "CN=hub"
    load(settings(authority.issue(), keyfile_password_file=password), time.time())  # not needed, no fault


@pytest.mark.parametrize(("auth", "mode"), [("required", ssl.CERT_REQUIRED), ("optional", ssl.CERT_OPTIONAL)])
def test_authorities_make_the_hub_ask_clients(authority: Authority, auth: str, mode: ssl.VerifyMode) -> None:
    tls = settings(authority.issue(), client_ca=str(authority.file), client_auth=auth)
    assert load(tls, time.time()).context.verify_mode is mode


FAULTS: dict[str, tuple[Case, str]] = {
    "no certificate file": (
        lambda authority, folder: Tls(certfile=str(folder / "none.pem")),
        "tls.certfile: {}/none.pem: No such file or directory",
    ),
    "a folder": (
        lambda authority, folder: Tls(certfile=str(folder)),
        "tls.certfile: {}: Is a directory",
    ),
    "no certificate in it": (
        lambda authority, folder: Tls(certfile=written(folder / "text.pem", b"hello")),
        "tls.certfile: {}/text.pem: holds no certificate in PEM form",
    ),
    "no key file": (
        lambda authority, folder: Tls(certfile=str(authority.issue().cert), keyfile=str(folder / "none.key")),
        "tls.keyfile: {}/none.key: No such file or directory",
    ),
    "no key in it": (
        lambda authority, folder: Tls(certfile=str(authority.issue().cert)),
        "tls.certfile: {}/hub-1.pem: holds no private key in PEM form",
    ),
    "another key": (
        lambda authority, folder: Tls(
            certfile=str(authority.issue().cert), keyfile=str(authority.issue("other").key)
        ),
        "tls.keyfile: {}/other-2.key: the private key of another certificate than tls.certfile",
    ),
    "expired": (
        lambda authority, folder: settings(authority.issue(days=-1)),
        "tls.certfile: {}/hub-1.pem: expired on ",
    ),
    "not valid yet": (
        lambda authority, folder: settings(authority.issue(begins=5)),
        "tls.certfile: {}/hub-1.pem: not valid before ",
    ),
    "encrypted, no password": (
        lambda authority, folder: settings(authority.issue(password="secret")),
        "tls.keyfile: {}/hub-1.key: the private key is encrypted; set tls.keyfile_password_file",
    ),
    "encrypted, wrong password": (
        lambda authority, folder: settings(
            authority.issue(password="secret"), keyfile_password_file=written(folder / "password", b"wrong")
        ),
        "tls.keyfile: {}/hub-1.key: the password of tls.keyfile_password_file does not decrypt",
    ),
    "empty password": (
        lambda authority, folder: settings(
            authority.issue(), keyfile_password_file=written(folder / "password", b"\n")
        ),
        "tls.keyfile_password_file: {}/password: expected the password in the first line",
    ),
    "a key too small": (
        lambda authority, folder: settings(
            authority.issue(key=rsa.generate_private_key(65537, 1024))  # noqa: S505
        ),
        "tls.certfile: {}/hub-1.pem: ee key too small",
    ),
    "authorities missing": (
        lambda authority, folder: settings(authority.issue(), client_ca=str(folder / "none.pem")),
        "tls.client_ca: {}/none.pem: No such file or directory",
    ),
    "authorities malformed": (
        lambda authority, folder: settings(
            authority.issue(), client_ca=written(folder / "text.pem", b"hello")
        ),
        "tls.client_ca: {}/text.pem: holds no certificate in PEM form",
    ),
}


@pytest.mark.parametrize(("make", "told"), FAULTS.values(), ids=FAULTS)
def test_a_fault_names_the_setting_and_the_file(
    authority: Authority, tmp_path: Path, make: Case, told: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        load(make(authority, tmp_path), time.time())
    assert str(refused.value).startswith(told.format(tmp_path))
    assert "secret" not in str(refused.value)
