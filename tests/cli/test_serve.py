import signal
import sqlite3
from pathlib import Path
from urllib.error import HTTPError

import pytest

from tests.cli.processes import command, finished, get, hub, text_of


async def test_it_says_where_it_listens_and_what_it_keeps_its_logs_in(tmp_path: Path) -> None:
    async with hub(tmp_path, store=f"sqlite:{tmp_path}/x.db") as (running, address):
        assert running.lines == [f"tasktree-rt: listening on {address}, store sqlite:{tmp_path}/x.db"]
        assert (await get(f"{address}/readyz"))["status"] == "ready"


async def test_the_default_store_is_a_file_in_the_state_folder(tmp_path: Path) -> None:
    async with command(tmp_path, "serve", "--bind", "127.0.0.1:0") as running:
        line = await running.line("listening on")
        path = Path(line.partition("store sqlite:")[2])
        assert path == tmp_path / "state" / "tasktree-rt" / "hub.db"
        assert path.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_it_and_it_ends_well(tmp_path: Path, number: signal.Signals) -> None:
    async with hub(tmp_path) as (running, _):
        running.signal(number)
        assert await running.end() == (0, "")


async def test_settings_of_a_file_are_in_force(tmp_path: Path) -> None:
    (tmp_path / "tasktree-rt.toml").write_text(
        "[tasktree-rt]\nbind = '127.0.0.1:0'\nstore = 'sqlite:mine.db'\n"
    )
    async with command(tmp_path, "serve") as running:
        await running.line(f"store sqlite:{tmp_path}/mine.db")


async def test_a_port_that_is_taken_is_one_line_and_makes_no_database(tmp_path: Path) -> None:
    async with hub(tmp_path) as (_, address):
        bind = address.removeprefix("http://")
        code, out, error = await finished(
            tmp_path, "serve", "--bind", bind, "--store", f"sqlite:{tmp_path}/new.db"
        )
    assert (code, out) == (2, "")
    assert error.startswith("tasktree-rt: ")
    assert error.count("\n") == 1
    assert bind in error
    assert not (tmp_path / "new.db").exists()


async def test_a_second_hub_on_one_file_refuses(tmp_path: Path) -> None:
    store = f"sqlite:{tmp_path}/x.db"
    async with hub(tmp_path, store=store):
        code, _, error = await finished(tmp_path, "serve", "--bind", "127.0.0.1:0", "--store", store)
    assert code == 2
    assert error.count("\n") == 1
    assert "open in another hub" in error


async def test_what_is_no_database_of_ours_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("not a database, but long enough to have been one " * 100)
    with sqlite3.connect(tmp_path / "foreign.db") as foreign:
        foreign.execute("CREATE TABLE cakes (name TEXT)")
    foreign.close()
    for store in ("text.db", "foreign.db", "text.db/x.db"):
        code, out, error = await finished(
            tmp_path, "serve", "--bind", "127.0.0.1:0", "--store", f"sqlite:{store}"
        )
        assert (code, out) == (2, "")
        assert error.count("\n") == 1
        assert error.startswith("tasktree-rt: ")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--bind", "0.0.0.0:0"], '--bind: bind: "0.0.0.0:0" can be reached from other machines'),
        (["--bind", "nonsense"], "--bind: expected HOST:PORT"),
        (["--store", "oracle:x"], '--store: expected "sqlite:PATH", "memory:", "redis://HOST:PORT/DB"'),
        (["--set", "limits.max_nodes=x"], "--set limits.max_nodes: expected a whole number"),
        (["--config", "none.toml"], "none.toml: no such file"),
    ],
)
async def test_a_wrong_setting_is_one_line_and_exit_code_2(
    tmp_path: Path, arguments: list[str], told: str
) -> None:
    code, out, error = await finished(tmp_path, "serve", *arguments)
    assert (code, out) == (2, "")
    assert error.startswith(f"tasktree-rt: {told}")
    assert error.count("\n") == 1


async def test_an_open_address_is_served_when_insecure_is_said(tmp_path: Path) -> None:
    async with hub(tmp_path, "--insecure", bind="0.0.0.0:0") as (_, address):
        assert address.startswith("http://0.0.0.0:")


async def test_a_second_signal_ends_it_at_once_with_code_1(tmp_path: Path) -> None:
    # In a process that is deaf to the first signal: its event loop is stuck.
    code = (
        "import time, trio\n"
        "from tasktree_rt.cli.signals import stopping\n"
        "async def main():\n"
        "    with stopping(trio.Event()):\n"
        "        print('stuck', flush=True)\n"
        "        while True:\n"
        "            time.sleep(0.01)\n"
        "trio.run(main)\n"
    )
    async with command(tmp_path, code=code) as running:
        await running.line("stuck")
        running.signal(signal.SIGTERM)
        running.signal(signal.SIGINT)
        assert (await running.end())[0] == 1


async def test_it_counts_what_happens_unless_told_not_to(tmp_path: Path) -> None:
    async with hub(tmp_path) as (_, address):
        await finished(tmp_path, "push", "p", "--hub", address, stdin=b'{"type": "note"}')
        counted = await text_of(f"{address}/metrics")
    assert 'type="note"' in counted
    async with hub(tmp_path, "--set", "metrics=off") as (_, address):
        with pytest.raises(HTTPError, match="404") as missing:
            await text_of(f"{address}/metrics")
        missing.value.close()
