"""Preconditions of claims and changes: an execution's status, its worker, the fields of a request."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from attrs import asdict, frozen

from tasktree_rt.brokers.base import Summary
from tasktree_rt.core.access import Scope
from tasktree_rt.core.events import Json, shown
from tasktree_rt.core.executions import (
    PENDING,
    RUNNING,
    STATUSES,
    Tally,
    execution_of,
    state_word,
    status_of,
    status_word,
)
from tasktree_rt.errors import InvalidInput, Refused
from tasktree_rt.hub.executions.status_notifier import counted
from tasktree_rt.hub.projects.project import Project

MAX_NAME: Final = 256
_SHOWN: Final = ("workflow_id", "input_data", "worker_id", "created_at", "started_at", "ended_at")


@frozen
class ExecutionFilter:
    """Selects executions: at most `limit`, in `scope`, of `status` and of one of `workflows` if any are
    given.
    """

    scope: Scope
    limit: int
    status: str | None = None
    workflows: frozenset[str] = frozenset()

    def matches(self, project: Project) -> bool:
        """Return whether an execution has the status and the workflow asked for."""
        workflow = project.tree.top["project"].get("workflow_id")
        named = not self.workflows or (isinstance(workflow, str) and workflow in self.workflows)
        return named and self.status in (None, applied_status(project))


class Changed(Exception):
    """The execution has changed since the events were made."""


# --- the status of a project -------------------------------------------------------------------------


async def execution_json(project: Project) -> Json:
    """Return an execution as the HTTP API shows it."""
    execution = execution_of(project.project_id)
    assert execution is not None
    tally = await counted(project)
    top = project.tree.top
    fields = asdict(
        status_of(execution, top, partial(_counted, project, tally), project.received), recurse=False
    )
    del fields["execution_id"]
    return {"id": execution, **fields, **{name: top["project"].get(name) for name in _SHOWN}}


def _counted(project: Project, tally: Tally) -> Tally:
    tally.follow(project.tree)
    return tally


def applied_status(project: Project) -> str:
    """Return the status that watchers see."""
    return status_word(project.tree.top["state"], partial(_counted, project, Tally()))


def staged_status(project: Project) -> str:
    """Return the status after every accepted publish, also those not committed yet."""
    state = project.staged.top["state"]
    return state_word(state) if type(state) is str else applied_status(project)


def may_have_status(row: Summary, status: str | None) -> bool:
    """Return False if a project's summary rules this status out."""
    return status is None or row.state is None or state_word(row.state) == status


def is_pending(project: Project) -> bool:
    """Return whether an execution waits for a worker. One without a state is not known to wait."""
    state = project.tree.top["state"]
    return type(state) is str and state_word(state) == PENDING


# --- checked when a publish is accepted ---------------------------------------------------------


def require_pending(project: Project) -> None:
    """Check that an execution is pending, so that a worker can claim it.

    Raises:
        Refused: it is not.
    """
    state = project.staged.top["state"]
    if type(state) is not str or state_word(state) != PENDING:
        raise not_pending(project)


def not_pending(project: Project) -> Refused:
    """Make the error for a claim of an execution that is not pending; it names the worker that has it."""
    top = project.staged.top
    if project.epoch == "" and not project.pending:
        return no_execution(project.project_id)
    word, worker = staged_status(project), top["project"].get("worker_id")
    return Refused(
        f"the execution does not wait for a worker: it is {word}",
        code="invalid_transition",
        field="status",
        outcome={"status": word, "worker_id": worker},
    )


def require_worker(worker: str, otherwise: Refused, project: Project) -> None:
    """Check that an execution runs and that `worker` has it.

    Raises:
        Refused: `otherwise`.
    """
    top = project.staged.top
    if top["project"].get("worker_id") != worker or staged_status(project) != RUNNING:
        raise otherwise


def unchanged_since(before: Json, worker: object) -> Callable[[Project], None]:
    """Make a precondition: the fields are `before`, and `worker` has the execution, if one is given.

    Fields are replaced, never mutated, so their identity is compared. The precondition raises `Changed` or
    `Refused`.
    """

    def precondition(project: Project) -> None:
        if project.staged.top is not before:
            raise Changed
        if worker is not None and before["project"].get("worker_id") != worker:
            raise not_pending(project)

    return precondition


def no_execution(name: str) -> Refused:
    """Make the error for an unknown execution."""
    return Refused(
        f"there is no execution {shown(execution_of(name))}", code="not_found", field="execution_id"
    )


# --- the fields of a request --------------------------------------------------------------------------------


def worker_in(given: Json) -> str | None:
    """Return the worker that a request names; None without one.

    Raises:
        InvalidInput: `worker_id` is no string of 1 to 256 characters.
    """
    worker = given.get("worker_id")
    if worker is None or (isinstance(worker, str) and 0 < len(worker) <= MAX_NAME):
        return worker
    raise InvalidInput(f"expected 1-{MAX_NAME} characters, got {shown(worker)}", field="worker_id")


def check_changes(given: Json) -> None:
    """Check the fields of a change.

    Raises:
        InvalidInput: names the first bad field and what was expected.
    """
    worker_in(given)
    for field, good, expected in (
        ("status", given.get("status") in (None, *STATUSES), f"one of {', '.join(STATUSES)}"),
        ("progress", _is_progress(given.get("progress")), "a number from 0 to 100, or null"),
        ("message", isinstance(given.get("message"), str | None), "a string or null"),
        ("error", isinstance(given.get("error"), str | dict | None), "a string, an object or null"),
    ):
        if not good:
            raise InvalidInput(f"expected {expected}, got {shown(given.get(field))}", field=field)


def _is_progress(value: Any) -> bool:  # noqa: ANN401 - any JSON
    return value is None or (type(value) in (int, float) and 0 <= value <= 100)
