"""Project names of TaskTree as project ids, and back.

TaskTree takes any text as a project's id (``-x``, ``my project``, ``项目``); a hub does not. A name that is
an id already stays as it is. Of any other, what may not stand in an id is written ``~XX``, byte by byte of
its UTF-8, behind ``tt~``; a name that is too long for that becomes ``tt~~~`` and a hash, and its events
carry the name in ``data`` (`CARRIED`), from where TaskTree's language takes it.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final

from tasktree_rt.core.events import Json, ProjectId, is_project_id

PREFIX: Final = "tt~"
HASHED: Final = "tt~~~"
CARRIED: Final = "tasktree_project_id"
"""The key in ``data`` that holds a name which is too long for an id."""
LONGEST: Final = 128
_UNFIT: Final = re.compile(r"[^A-Za-z0-9._:@-]")
_ESCAPES: Final = re.compile(rb"~([0-9A-F]{2})")
_ESCAPED: Final = re.compile(r"(?:[A-Za-z0-9._:@-]|~[0-9A-F]{2})*")


def spelled(name: str) -> ProjectId:
    """The project id of a name. No two names have the same."""
    if is_project_id(name) and not name.startswith(PREFIX):
        return ProjectId(name)
    escaped = PREFIX + _UNFIT.sub(_escape, name)
    if len(escaped) <= LONGEST:
        return ProjectId(escaped)
    return ProjectId(HASHED + blake2b(name.encode(errors="surrogatepass"), digest_size=16).hexdigest())


def carried(name: str, data: Json) -> Json:
    """The data of an event of the project `name`, with the name in it where the id does not tell it."""
    return {**data, CARRIED: name} if spelled(name).startswith(HASHED) else data


def as_given(project: str, data: Json) -> tuple[str, Json]:
    """The name of a project, and the data of an event of it without what `carried` added."""
    if not project.startswith(PREFIX):
        return project, data
    if project.startswith(HASHED):
        name = data.get(CARRIED)
        if type(name) is not str or spelled(name) != project:
            return project, data
        return name, {key: value for key, value in data.items() if key != CARRIED}
    name = _unescaped(project)
    return project if name is None else name, data


def _unescaped(project: str) -> str | None:
    text = project.removeprefix(PREFIX)
    if _ESCAPED.fullmatch(text) is None:
        return None
    written = _ESCAPES.sub(lambda hit: bytes([int(hit[1], 16)]), text.encode())
    try:
        name = written.decode()
    except UnicodeError:
        return None
    return name if spelled(name) == project else None


def _escape(hit: re.Match[str]) -> str:
    return "".join(f"~{byte:02X}" for byte in hit[0].encode(errors="surrogatepass"))
