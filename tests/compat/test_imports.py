"""What importing a drop-in manager loads, and that the names of a package are found by their public path."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tasktree_rt.compat import aiecs, tasktree

HEAVY = {f"tasktree_rt.{name}" for name in ("hub", "web", "brokers", "settings")} | {"quart", "hypercorn"}


def loaded(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(found.stdout.split())


@pytest.mark.parametrize("system", ["aiecs", "tasktree"])
def test_a_manager_is_imported_without_the_hub(system: str) -> None:
    modules = loaded(f"from tasktree_rt.compat.{system} import WebSocketManager")
    assert f"tasktree_rt.compat.{system}.manager" in modules
    assert not modules & HEAVY


def test_the_package_of_aiecs_loads_the_manager_with_the_first_use_of_its_name() -> None:
    assert "httpx" not in loaded("import tasktree_rt.compat.aiecs")
    assert "httpx" in loaded("import tasktree_rt.compat.aiecs as a; a.WebSocketManager")


def test_every_public_name_is_where_it_was() -> None:
    for name in (
        *("TaskStepResult", "UserConfirmation", "WebSocketManager", "WAIT", "PATIENCE", "GRACE", "BETWEEN"),
        *("LAST_WORDS", "PASSING", "EVERYWHERE"),
    ):
        assert getattr(aiecs, name) is not None
    assert set(aiecs.__all__) == {"TaskStepResult", "UserConfirmation", "WebSocketManager"}
    assert set(tasktree.__all__) == {"WebSocketManager", "WebSocketMessage"}
    with pytest.raises(AttributeError, match="'nothing'"):
        _ = aiecs.nothing
