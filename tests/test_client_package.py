"""The package without its extra ``hub``: what programs import needs no package of the hub's, and says so."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import trio
from packaging.requirements import Requirement

from tests.cli.processes import PATIENCE, events_of, hub

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
BASE = {Requirement(one).name: Requirement(one) for one in PROJECT["dependencies"]}
HUB = {Requirement(one).name: Requirement(one) for one in PROJECT["optional-dependencies"]["hub"]}
MODULES = {"PyJWT": "jwt", "prometheus-client": "prometheus_client", "typed-settings": "typed_settings"}

WITHOUT_HUB = """
import sys
from importlib import import_module
from pkgutil import walk_packages

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
"""
IMPORT_ALL = """
for package in ("client", "core", "dialects", "load", "compat.tasktree"):
    found = import_module("tasktree_rt." + package)
    for one in walk_packages(found.__path__, found.__name__ + "."):
        import_module(one.name)
import_module("tasktree_rt.compat.aiecs.manager")
for name in ("push", "watch", "logs", "search", "ask", "answer", "command", "notify", "recover", "load"):
    import_module("tasktree_rt.cli." + name)
"""
SERVE = """
from tasktree_rt.cli.main import main
sys.argv = ["tasktree-rt", "serve"]
main()
"""


def run_without_hub(code: str) -> subprocess.CompletedProcess[str]:
    blocked = {MODULES.get(name, name.replace("-", "_")) for name in HUB.keys() - BASE.keys()}
    whole = f"BLOCKED = {blocked!r}\n{WITHOUT_HUB}{code}"
    return subprocess.run([sys.executable, "-c", whole], check=False, capture_output=True, text=True)


POSIX_ONLY = """
import builtins, os, sys
HIDDEN = {"fcntl", "resource", "select", "termios", "tty", "pwd", "grp"}
real = builtins.__import__

def hiding(name, globals=None, locals=None, fromlist=(), level=0):
    if name in HIDDEN and str((globals or {}).get("__name__")).startswith("tasktree_rt"):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return real(name, globals, locals, fromlist, level)

builtins.__import__ = hiding
del os.fork
import trio
"""
PROGRAM = """
from tasktree_rt.client import ClientError, Publisher, open_orchestrator
import tasktree_rt.compat.aiecs.manager, tasktree_rt.compat.tasktree
for name in ("push", "watch", "logs", "search", "ask", "answer", "command", "notify"):
    __import__("tasktree_rt.cli." + name)
with Publisher(sys.argv[1], "elsewhere") as publisher:
    publisher.node_update("p", "a", status="running")
async def keep():
    try:
        async with open_orchestrator(sys.argv[1], "kept", spool=sys.argv[2]):
            pass
    except ClientError as error:
        print(error)
trio.run(keep)
"""


def test_the_client_works_without_what_only_posix_systems_have(tmp_path: Path) -> None:
    async def run() -> tuple[str, str, list[dict[str, Any]]]:
        async with hub(tmp_path) as (_, address):
            command = [sys.executable, "-c", POSIX_ONLY + PROGRAM, address, str(tmp_path / "spool")]
            with trio.fail_after(PATIENCE):
                done = await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)
            return done.stdout.decode(), done.stderr.decode(), await events_of(address, "p")

    printed, failed, events = trio.run(run)
    assert failed == ""
    assert printed == "a spool needs file locks (flock), which this system does not have\n"
    assert [event["data"]["node_id"] for event in events] == ["a"]


def test_an_older_python_gets_a_sentence() -> None:
    code = "import sys; sys.version_info = (3, 10, 13); import tasktree_rt"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert "ImportError: tasktree-rt needs Python 3.11 or newer; this is" in done.stderr


def test_what_programs_import_needs_no_package_of_the_hub() -> None:
    done = run_without_hub(IMPORT_ALL)
    assert done.returncode == 0, done.stderr


def test_a_command_that_needs_the_hub_says_what_to_install() -> None:
    done = run_without_hub(SERVE)
    assert done.returncode == 1
    assert "`tasktree-rt serve` needs the hub" in done.stderr
    assert "pip install '.[hub]'" in done.stderr


@pytest.mark.parametrize("requirement", BASE.values(), ids=str)
def test_no_bound_of_the_client_makes_pip_replace_a_package_by_an_older_one(requirement: Requirement) -> None:
    assert {one.operator for one in requirement.specifier} == {">="}


def test_the_hub_pins_what_the_client_has_too() -> None:
    assert BASE.keys() <= HUB.keys()
    for requirement in HUB.values():
        assert {one.operator for one in requirement.specifier} == {">=", "<"}, requirement
