"""How an execution stands, who may have it, and what its worker may say: what `hub.executions` judges by."""

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
    """Which executions somebody asks for: at most `limit` in `scope`, of `status` and one of `workflows` if
    any are named."""

    scope: Scope
    limit: int
    status: str | None = None
    workflows: frozenset[str] = frozenset()

    def met(self, project: Project) -> bool:
        """Whether this is one of them."""
        workflow = project.tree.top["project"].get("workflow_id")
        named = not self.workflows or (isinstance(workflow, str) and workflow in self.workflows)
        return named and self.status in (None, word_of(project))


class MovedOn(Exception):
    """The execution is no longer as it was when the events were made."""


# --- how a project stands -------------------------------------------------------------------------


async def told(project: Project) -> Json:
    """An execution as HTTP says it."""
    execution = execution_of(project.project_id)
    assert execution is not None
    tally = await counted(project)
    top = project.tree.top
    said = asdict(
        status_of(execution, top, partial(_counted, project, tally), project.received), recurse=False
    )
    del said["execution_id"]
    return {"id": execution, **said, **{name: top["project"].get(name) for name in _SHOWN}}


def _counted(project: Project, tally: Tally) -> Tally:
    tally.follow(project.tree)
    return tally


def word_of(project: Project) -> str:
    """Its status, as watchers see it."""
    return status_word(project.tree.top["state"], partial(_counted, project, Tally()))


def staged_word(project: Project) -> str:
    """Its status, as all that was accepted leaves it."""
    state = project.staged.top["state"]
    return state_word(state) if type(state) is str else word_of(project)


def may_be(row: Summary, status: str | None) -> bool:
    """Whether a project may have this status, as far as its summary tells."""
    return status is None or row.state is None or state_word(row.state) == status


def is_pending(project: Project) -> bool:
    """Whether it waits for a worker: somebody said so. (One without a state may be anything.)"""
    state = project.tree.top["state"]
    return type(state) is str and state_word(state) == PENDING


# --- what is looked at at the last moment ---------------------------------------------------------


def waits(project: Project) -> None:
    """It is to be claimed.

    Raises:
        Refused: it does not wait.
    """
    state = project.staged.top["state"]
    if type(state) is not str or state_word(state) != PENDING:
        raise taken(project)


def taken(project: Project) -> Refused:
    """Why a worker may not have it: who has."""
    top = project.staged.top
    if project.epoch == "" and not project.pending:
        return missing(project.project_id)
    word, worker = staged_word(project), top["project"].get("worker_id")
    return Refused(
        f"the execution does not wait for a worker: it is {word}",
        code="invalid_transition",
        field="status",
        outcome={"status": word, "worker_id": worker},
    )


def is_with(worker: str, otherwise: Refused, project: Project) -> None:
    """It runs, and `worker` has it.

    Raises:
        Refused: `otherwise`.
    """
    top = project.staged.top
    if top["project"].get("worker_id") != worker or staged_word(project) != RUNNING:
        raise otherwise


def as_it_was(before: Json, worker: object) -> Callable[[Project], None]:
    """It is still as it was when its fields were `before` (they are replaced, never mutated), and `worker`
    has it, if one is named. What is returned raises `MovedOn` or `Refused` where it is not.
    """

    def still(project: Project) -> None:
        if project.staged.top is not before:
            raise MovedOn
        if worker is not None and before["project"].get("worker_id") != worker:
            raise taken(project)

    return still


def missing(name: str) -> Refused:
    """There is no such execution."""
    return Refused(
        f"there is no execution {shown(execution_of(name))}", code="not_found", field="execution_id"
    )


# --- what is given --------------------------------------------------------------------------------


def worker_in(given: Json) -> str | None:
    """The worker that a request names, if it does.

    Raises:
        InvalidInput: naming the field.
    """
    worker = given.get("worker_id")
    if worker is None or (isinstance(worker, str) and 0 < len(worker) <= MAX_NAME):
        return worker
    raise InvalidInput(f"expected 1-{MAX_NAME} characters, got {shown(worker)}", field="worker_id")


def check_changes(given: Json) -> None:
    """What is to be set is something that can be.

    Raises:
        InvalidInput: naming the field.
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
