"""The answers of the team's own service about access."""

from __future__ import annotations

import json
import math
from typing import Final

from tasktree_rt.core.access import Scope
from tasktree_rt.web.auth.hooks import HookFailure, read_connection, read_verdict

ANSWER_WORDS: Final = (
    *(
        b'"allow"',
        b"true",
        b"false",
        b"null",
        b'"subject"',
        b'"grants"',
        b'"expires"',
        b'"watch"',
        b'"admin"',
    ),
    *(b"{", b"}", b"[", b"]", b":", b",", b'"*"', b'"b-*"', b"1e999", b"-1", b"1795000000", b"1e11", b"0.5"),
    *(b'"delete"', b'"history"', b'"allow":true,', b'"allow":false,', b"\xff", b"\\ud800", b"NaN"),
)


def run_answers(data: bytes) -> None:
    """An answer allows only if it says so itself, in JSON; else it is refused or a failure."""
    try:
        verdict = read_verdict(data)
    except HookFailure:
        verdict = None
    try:
        grants = read_connection(data)
    except HookFailure:
        grants = None
    if verdict is not None:
        assert verdict.allowed == (json.loads(data)["allow"] is True)
        assert verdict.until is None or (math.isfinite(verdict.until) and verdict.until >= 0)
    if grants is not None:
        said = json.loads(data)
        assert said["allow"] is True
        assert grants.admin == (said.get("grants", {}).get("admin") is True)
        assert grants.subject == said.get("subject", "")
        assert grants.watch == Scope(tuple(said.get("grants", {}).get("watch", ())))
