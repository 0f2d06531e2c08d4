"""Which project and which node a program is, where nobody names them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from tasktree_rt.client.joining import fit_node_id, fit_project
from tasktree_rt.client.joining.plain_json import cut
from tasktree_rt.integrations.ci import ci_run

MAX_TITLE: Final = 200


class Project(NamedTuple):
    """The project of a program.

    Attributes:
        fields: of the project, to be set by whoever owns it.
        own: whether this program alone is the project: it says what state the project is in.
        made_up: whether nobody could know its id.
    """

    id: str
    fields: dict[str, Any]
    own: bool
    made_up: bool


def own_project(named: str | None, folder: str, environment: Mapping[str, str]) -> Project:
    """Return the project that is named, or inherited, or the CI run's, or a new one called after a folder.

    A new one has the folder's name as its series: the runs of one folder can be compared.
    """
    inherited = environment.get("TASKTREE_RT_PROJECT")
    if named or inherited:
        return Project(fit_project(named or inherited), {}, not inherited, False)
    run = ci_run(environment)
    if run is not None:
        fields = {"title": run.title, "url": run.url, "labels": run.labels}
        return Project(
            fit_project(run.project), {name: one for name, one in fields.items() if one}, False, False
        )
    series = fit_project(folder or "shell")[:96]
    mark = f"{time.strftime('%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    return Project(f"{series}-{mark}", {"series": series}, True, True)


def one_line(text: str) -> str:
    """Return a text in one line, cut to `MAX_TITLE` characters."""
    return cut(" ".join(text.split()), MAX_TITLE)


def new_node_id(title: str) -> str:
    """Return a node id that no other call returns, and that says what it is of."""
    words = "-".join("".join(one if one.isalnum() else " " for one in title[:48]).split())
    return fit_node_id(f"{words}-{secrets.token_hex(4)}" if words else secrets.token_hex(4))
