"""The cases that every reducer is held to; the package ships them and a hub serves them."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any


def reducer_cases() -> list[Any]:
    """The cases, as docs/protocol.md ("The reducer") describes them."""
    found = resources.files("tasktree_rt.web").joinpath("static", "reducer.json")
    cases: list[Any] = json.loads(found.read_text(encoding="utf-8"))
    return cases
