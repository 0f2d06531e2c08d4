"""``tasktree-rt doctor`` as a process: real stores, addresses, certificates and files."""

from __future__ import annotations

import json
import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tasktree_rt.brokers.sqlite.schema import VERSION
from tasktree_rt.cli.doctor import system
from tasktree_rt.settings import Limits
from tests.brokers.redis.redisserver import NEEDED, redis_server
from tests.certificates import Authority
from tests.cli.processes import finished, hub

BIND = ("--bind", "127.0.0.1:0")


async def seen(folder: Path, *arguments: str, **env: str) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """The exit code, and the findings by subject."""
    code, output, error = await finished(folder, "doctor", "--json", *arguments, stdin=b"", **env)
    assert error == ""
    by_subject: dict[str, list[dict[str, Any]]] = {}
    for line in output.splitlines():
        finding = json.loads(line)
        assert bool(finding["remedy"]) == (finding["level"] != "ok")
        by_subject.setdefault(finding["subject"], []).append(finding)
    return code, by_subject


def only(found: dict[str, list[dict[str, Any]]], subject: str) -> tuple[str, str]:
    (one,) = found[subject]
    return one["level"], one["text"]


async def make_store(folder: Path) -> Path:
    path = folder / "hub.db"
    async with hub(folder, store=f"sqlite:{path}"):
        pass
    return path


async def test_a_machine_where_a_hub_can_start_is_exit_code_0_and_nothing_is_made(tmp_path: Path) -> None:
    code, found = await seen(tmp_path, *BIND, "--store", f"sqlite:{tmp_path}/new/hub.db")
    assert code == 0
    assert only(found, "store") == ("ok", f"{tmp_path}/new/hub.db: does not exist yet; the hub makes it")
    assert only(found, "address")[0] == "ok"
    assert only(found, "versions")[0] == "ok"
    assert list(tmp_path.iterdir()) == []


async def test_for_people_each_remedy_stands_below_its_finding(tmp_path: Path) -> None:
    code, output, _ = await finished(tmp_path, "doctor", *BIND, "--store", "memory:")
    lines = output.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("hint     store "))
    assert "in memory" in lines[at]
    assert lines[at + 1].strip().startswith("→ set store")
    assert code == 0


async def test_a_running_hub_has_its_address_and_its_store(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    async with hub(tmp_path, store=f"sqlite:{path}") as (running, address):
        bind = address.removeprefix("http://")
        code, found = await seen(tmp_path, "--bind", bind, "--store", f"sqlite:{path}")
        assert code == 0
        assert only(found, "address") == ("ok", f"{bind}: a hub listens there now")
        assert f"open in a hub (process {running.process.pid})" in only(found, "store")[1]


async def test_an_address_of_another_program_is_a_problem(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        other.settimeout(0.0)
        bind = f"127.0.0.1:{other.getsockname()[1]}"
        with closing(socket.create_connection(other.getsockname())):
            code, found = await seen(tmp_path, "--bind", bind, "--store", "memory:")
    assert code == 2
    assert only(found, "address") == ("problem", f"bind '{bind}': it is in use by another program")


async def test_a_store_of_an_older_schema_is_a_hint_and_of_a_newer_one_a_problem(tmp_path: Path) -> None:
    path = await make_store(tmp_path)
    for version, level, told in [
        (VERSION - 1, "hint", f"has schema {VERSION - 1}; at its start a hub makes it schema {VERSION}"),
        (VERSION + 1, "problem", "was written by a newer version of this program"),
    ]:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"PRAGMA user_version = {version}")
        code, found = await seen(tmp_path, *BIND, "--store", f"sqlite:{path}")
        assert code == (2 if level == "problem" else 0)
        assert only(found, "store")[0] == level
        assert told in only(found, "store")[1]


async def test_a_file_that_is_no_store_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("not a database, but a text that is long enough to be read as one" * 9)
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("CREATE TABLE other (x)")
    for name, told in [("text.db", "is damaged"), ("other.db", "is a database of another program")]:
        code, found = await seen(tmp_path, *BIND, "--store", f"sqlite:{tmp_path / name}")
        assert (code, only(found, "store")[0]) == (2, "problem")
        assert told in only(found, "store")[1]


async def test_events_of_the_future_are_told(tmp_path: Path) -> None:
    path = await make_store(tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "INSERT INTO life (life, project, epoch, head, floor, covered, received, nodes)"
            " VALUES (1, 'p', 'e', 0, 0, 0, 9000000000000000, 0)"
        )
        connection.commit()
    _, found = await seen(tmp_path, *BIND, "--store", f"sqlite:{path}")
    assert any("ahead of this machine's clock" in one["text"] for one in found["clock"])


async def test_a_redis_that_is_away_is_a_problem(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # taken, and never listening
        store = f"redis://127.0.0.1:{nobody.getsockname()[1]}/0"
        code, found = await seen(tmp_path, *BIND, "--store", store)
    assert (code, only(found, "store")[0]) == (2, "problem")


@NEEDED
async def test_what_a_redis_does_when_it_is_full_decides_whether_it_can_be_a_store(tmp_path: Path) -> None:
    async with redis_server(tmp_path) as server:
        code, found = await seen(tmp_path, *BIND, "--store", server.url)
        assert (code, only(found, "store")[0]) == (0, "hint")
        assert "appendonly is off" in only(found, "store")[1]
        await server.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        code, found = await seen(tmp_path, *BIND, "--store", server.url)
        assert (code, only(found, "store")[0]) == (2, "problem")
        assert "expected maxmemory-policy noeviction, got allkeys-lru" in only(found, "store")[1]


async def test_proxies_that_clients_would_take_are_told(tmp_path: Path) -> None:
    clean = {
        name: ""
        for one in ("http", "https", "all", "no")
        for name in (f"{one}_proxy", f"{one}_PROXY".upper())
    }
    proxy = {**clean, "HTTP_PROXY": "http://proxy.example:3128"}
    _, found = await seen(tmp_path, *BIND, "--store", "memory:", **proxy)
    assert only(found, "proxies")[0] == "hint"
    _, found = await seen(tmp_path, *BIND, "--store", "memory:", **{**proxy, "no_proxy": "localhost"})
    assert "proxies" not in found


async def test_a_proxy_network_of_all_addresses_is_a_problem(tmp_path: Path) -> None:
    everyone = ("--set", "trusted_proxies=0.0.0.0/0")
    code, found = await seen(tmp_path, *BIND, "--store", "memory:", *everyone, NO_PROXY="*", no_proxy="*")
    assert (code, only(found, "proxies")[0]) == (2, "problem")


async def test_a_certificate_is_loaded_as_a_hub_does(tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue()
    tls = ("--certfile", str(pair.cert), "--keyfile", str(pair.key))
    code, found = await seen(tmp_path, *BIND, "--store", "memory:", *tls)
    assert code == 0
    assert "valid for" in only(found, "TLS")[1]
    code, found = await seen(tmp_path, *BIND, "--store", "memory:", "--certfile", str(pair.key))
    assert (code, only(found, "TLS")[0]) == (2, "problem")


async def test_secrets_that_others_can_read_and_files_that_are_missing(tmp_path: Path) -> None:
    file = tmp_path / "tasktree-rt.toml"
    file.write_text("[tasktree-rt.auth]\nsecret_file = 'keys'\n")
    code, found = await seen(tmp_path, *BIND, "--store", "memory:")
    assert code == 2
    assert any("auth.secret_file" in one["text"] for one in found["secrets"] if one["level"] == "problem")
    (tmp_path / "keys").write_text("k" * 40)
    (tmp_path / "keys").chmod(0o644)
    code, found = await seen(tmp_path, *BIND, "--store", "memory:")
    assert code == 0
    assert any("others can read a secret" in one["text"] for one in found["secrets"])


async def test_an_invalid_setting_is_one_line(tmp_path: Path) -> None:
    code, _, error = await finished(tmp_path, "doctor", "--set", "limits.max_nodes=0")
    assert code == 2
    assert error.startswith("tasktree-rt: --set limits.max_nodes: expected")


def test_a_limit_of_open_files_below_the_connections_is_a_hint() -> None:
    (few,) = system.check_open_files(Limits(max_connections=1))
    (many,) = system.check_open_files(Limits(max_connections=2**52))
    assert few.level == "ok"
    assert many.level in ("hint", "ok")  # ok where any number of files is allowed


@pytest.mark.parametrize(("now", "level"), [(0.0, "problem"), (1_735_000_000.0, "problem")])
def test_a_clock_in_the_past_is_a_problem(now: float, level: str) -> None:
    (found,) = system.check_clock(now)
    assert found.level == level
