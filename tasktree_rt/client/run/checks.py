"""Checks what a run sends, at the call, by what the hub will take."""

from __future__ import annotations

from typing import Final

from tasktree_rt.client.joining.delivery import warn_once
from tasktree_rt.client.joining.fields import Faults, node_fields, project_fields
from tasktree_rt.client.joining.plain_json import text_of
from tasktree_rt.client.producer.checks import HubLimits, check_data
from tasktree_rt.client.run.node_sizes import NodeSizes
from tasktree_rt.core.event_schema import advised_fault, shown
from tasktree_rt.core.events import Json
from tasktree_rt.errors import InvalidInput

_OWN: Final = ("status", "deleted", "parent_id", "started_at", "ended_at")
"""Fields that a node tells itself."""


class Sayable:
    """Checks the fields that the program gives nodes of one run, and its project.

    The caller notes in `sizes` what it sends.
    """

    def __init__(self, project_id: str, limits: HubLimits, *, strict: bool) -> None:
        self.strict = strict
        self.sizes = NodeSizes(limits.node_size)
        self._project_id = project_id
        self._limits = limits

    def fields(self, node_id: str, changes: Json) -> tuple[Json, int]:
        """Fields of a node as the hub will keep them, and about how many bytes they take.

        Unless strict, they are mended first, and what does not fit even so is left out and told once.

        Raises:
            ValueError: strict, and the hub would refuse them.
        """
        try:
            return self._checked(node_id, changes)
        except Exception as error:
            if self.strict:
                raise
            faults: Faults = [text_of(error)]
        try:
            return self._checked(node_id, node_fields(changes, faults))
        except Exception as error:
            faults.append(text_of(error))
            return {}, 0
        finally:
            self._tell(faults, f"node {node_id!r}")

    def project(self, changes: Json) -> Json:
        """Fields of the project; else as `fields`.

        Raises:
            ValueError: strict, and the hub would refuse them.
        """
        try:
            return self.data("project_update", {"changes": changes})
        except Exception as error:
            if self.strict:
                raise
            faults: Faults = [text_of(error)]
        try:
            return self.data("project_update", {"changes": project_fields(changes, faults)})
        except Exception as error:
            faults.append(text_of(error))
            return {"changes": {}}
        finally:
            self._tell(faults, "the project")

    def _tell(self, faults: Faults, of: str) -> None:
        if faults:
            warn_once(f"unfit {self._project_id}", "%s: %s (told once a project)", of, "; ".join(faults))

    def _checked(self, node_id: str, changes: Json) -> tuple[Json, int]:
        for name in _OWN:
            if name in changes:
                raise ValueError(f"{name}: the node tells that itself")
        sound: Json = self.data("node_update", {"node_id": node_id, "changes": changes})["changes"]
        try:
            return sound, self.sizes.check(node_id, sound)
        except InvalidInput as error:
            raise ValueError(str(error)) from None

    def data(self, kind: str, data: Json) -> Json:
        """The data of an event as the hub will keep them.

        Raises:
            ValueError: the hub would refuse them, or those of an LLM node or of a series if it enforces the
                lifecycle.
        """
        try:
            sound = check_data(self._project_id, kind, data, self._limits)
        except InvalidInput as error:
            raise ValueError(str(error)) from None
        if (fault := advised_fault(kind, sound)) is not None:
            raise ValueError(f"{fault.path}: expected {fault.expected}, got {shown(fault.value)}")
        return sound

    def fits(self, node_id: str, changes: Json) -> bool:
        """Whether a node has room for these fields."""
        try:
            self.sizes.check(node_id, changes)
        except InvalidInput:
            return False
        return True
