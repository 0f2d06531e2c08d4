"""What the caller of an HTTP request may do. The app puts the caller's grants into ``g.grants``."""

from __future__ import annotations

from quart import g

from tasktree_rt.core.access import Grants
from tasktree_rt.core.events import ProjectId, project_id
from tasktree_rt.errors import Refused


def grants() -> Grants:
    """The grants of the request's caller."""
    found: Grants = g.grants
    return found


def pushed(project: str) -> ProjectId:
    """Check a project id that the caller wants to push to.

    Raises:
        PeerError: ``invalid_project_id`` or ``forbidden``.
    """
    name = project_id(project)
    if not grants().push.covers(name):
        raise Refused(f"you may not push to {name!r}")
    return name


def watched(project: str) -> ProjectId:
    """Check a project id that the caller wants to watch.

    Raises:
        PeerError: ``invalid_project_id`` or ``forbidden``.
    """
    name = project_id(project)
    if not grants().watch.covers(name):
        raise Refused(f"you may not watch {name!r}")
    return name


def administers() -> None:
    """Check that the caller is an administrator.

    Raises:
        Refused: ``forbidden``.
    """
    if not grants().admin:
        raise Refused("this is for administrators (claim tasktree.admin)")
