import json
from pathlib import Path
from typing import Any

import pytest

from tasktree_rt.core.run_times import ran

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "cases" / "ran.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_when_it_ran_is_what_the_shared_cases_say(case: dict[str, Any]) -> None:
    running = case["fields"].get("status") == "running"
    assert ran(case["fields"], running=running) == (case["started"], case["ended"])
