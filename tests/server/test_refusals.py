"""What a hub will not start on: one line that says why, exit code 2, and nothing made or changed."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.processes import finished
from tests.server.peers import node
from tests.server.process import hub_process

BIND = ("--bind", "127.0.0.1:0")


async def _refused(folder: Path, *arguments: str) -> str:
    code, out, error = await finished(folder, "serve", *arguments)
    assert (code, out) == (2, ""), error
    assert error.startswith("tasktree-rt: ")
    assert error.count("\n") == 1, error
    assert "Traceback" not in error
    return error


async def _made(folder: Path) -> Path:
    """A hub's database, closed in order."""
    async with hub_process(folder) as hub:
        await hub.post("a", *(node("a", f"n{number}", title="x" * 500) for number in range(200)))
        assert await hub.stop() == 0
    return folder / "hub.db"


async def test_a_port_that_is_taken(tmp_path: Path) -> None:
    async with hub_process(tmp_path, store="memory:") as hub:
        error = await _refused(tmp_path, "--bind", hub.authority, "--store", f"sqlite:{tmp_path}/new.db")
        assert hub.authority in error
        assert "in use" in error
        assert not (tmp_path / "new.db").exists()


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("file/hub.db", "Not a directory|File exists|cannot make"),
        ("folder", "is not a file|directory"),
        ("/proc/nowhere/hub.db", "/proc/nowhere"),
    ],
)
async def test_a_path_that_cannot_be_written(tmp_path: Path, path: str, reason: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    error = await _refused(tmp_path, *BIND, "--store", f"sqlite:{tmp_path / path}")
    assert any(one in error for one in reason.split("|")), error


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_folder_without_permission(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir(mode=0o500)
    error = await _refused(tmp_path, *BIND, "--store", f"sqlite:{tmp_path}/folder/hub.db")
    assert "Permission denied" in error


def _text(path: Path) -> None:
    path.write_text("this is a letter to my aunt, and long enough to hold a header " * 20)


def _no_header(path: Path) -> None:
    path.write_bytes(b"\0" * 100 + path.read_bytes()[100:])


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _scrambled(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for at in range(4096, len(data), 4096):
        data[at : at + 64] = b"\xff" * 64
    path.write_bytes(data)


def _foreign(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE cakes (name TEXT)")
    connection.close()


def _newer(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 1000")
    connection.close()


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (_text, "is not a SQLite database"),
        (_no_header, "is not a SQLite database"),
        (_cut, "damaged"),
        (_scrambled, "damaged|malformed"),
        (_foreign, "another program"),
        (_newer, "newer version"),
    ],
)
async def test_a_database_that_is_not_ours_or_damaged_is_left_as_it_is(
    tmp_path: Path, harm: Callable[[Path], None], reason: str
) -> None:
    path = await _made(tmp_path)
    harm(path)
    before = path.read_bytes()
    error = await _refused(tmp_path, *BIND, "--store", f"sqlite:{path}")
    assert str(path) in error
    assert any(one in error for one in reason.split("|")), error
    assert path.read_bytes() == before


async def test_a_second_hub_on_one_file_and_the_first_goes_on(tmp_path: Path) -> None:
    async with hub_process(tmp_path) as hub:
        error = await _refused(tmp_path, *BIND, "--store", hub.store)
        assert "is open in another hub" in error
        assert f"(process {hub.process.pid})" in error
        await hub.post("a", node("a", "n"))
        # A hub that is stopped for good leaves no lock behind, however it ended.
        hub.signal(signal.SIGKILL)
        await hub.ended()
        await hub.start()
        assert (await hub.state("a"))["seq"] == 1


@pytest.mark.parametrize("bind", ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "example.org:0"])
async def test_an_address_others_can_reach_needs_authentication_or_the_word_insecure(
    tmp_path: Path, bind: str
) -> None:
    error = await _refused(tmp_path, "--bind", bind, "--store", "memory:")
    assert "auth.secret" in error
    assert "--insecure" in error


async def test_an_address_this_machine_does_not_have(tmp_path: Path) -> None:
    error = await _refused(tmp_path, "--bind", "192.0.2.1:0", "--store", "memory:", "--insecure")
    assert "no such address" in error
