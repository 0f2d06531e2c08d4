"""What goes to a peer when something is wrong."""

from __future__ import annotations

import pytest

from tasktree_rt.errors import HTTP_STATUS, InvalidInput, PeerError, Refused, Unavailable


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (InvalidInput("m"), "invalid_message", 400),
        (Refused("m"), "forbidden", 403),
        (Unavailable("m"), "store_unavailable", 503),
        (Refused("m", code="node_too_large"), "node_too_large", 409),
        (InvalidInput("m", code="too_large"), "too_large", 413),
        (Unavailable("m", code="overloaded", retry_after=0.5), "overloaded", 503),
    ],
)
def test_a_peer_error_has_a_code_and_a_status(error: PeerError, code: str, status: int) -> None:
    assert (error.code, error.status, error.message) == (code, status, "m")


def test_a_peer_error_tells_its_place() -> None:
    assert str(InvalidInput("expected a string, got 5", field="data.x")) == "data.x: expected a string, got 5"


def test_every_error_code_of_the_protocol_has_its_status() -> None:
    by_status = {
        400: "invalid_json invalid_message invalid_event invalid_project_id invalid_position mixed_projects",
        401: "unauthorized",
        403: "forbidden",
        404: "not_found",
        409: "node_too_large project_full subject_full idempotency_conflict invalid_transition"
        " project_damaged prompt_closed no_orchestrator ambiguous",
        410: "gone",
        413: "too_large",
        429: "too_many_subscriptions rate_limited",
        500: "internal",
        503: "overloaded access_unavailable store_unavailable draining",
    }
    assert {code: status for status, codes in by_status.items() for code in codes.split()} == HTTP_STATUS
