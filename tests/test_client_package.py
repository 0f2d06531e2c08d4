"""The package without its extra ``hub``: what programs import needs no package of the hub's, and says so."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

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
