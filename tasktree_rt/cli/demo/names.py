"""Names of files as node ids, titles and project ids.

A name is bytes and need not be UTF-8. A node id is the path relative to the folder, where every byte
that cannot stand in an id (not UTF-8, a control character) is written ``%XX``, and so is a ``%`` that
would else read as such an escape: `path_of` gives the path back, so no two files share an id. An id
over the limit is cut and ends in ``//`` and a hash of the whole path; ``//`` stands in no other id.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final

from tasktree_rt.cli.safe_text import printable
from tasktree_rt.core.events import ProjectId

ROOT: Final = "."
"""Node id of the folder itself."""
LONGEST_ID: Final = 512
LONGEST_PROJECT: Final = 128
_UNFIT: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]|%(?=[0-9A-Fa-f]{2})")
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")


def node_id(path: bytes) -> str:
    """Return the node id of a path relative to the folder; ``b""`` is the folder."""
    if not path:
        return ROOT
    text = _UNFIT.sub(_escaped, path.decode("utf-8", "surrogateescape"))
    if len(text) <= LONGEST_ID:
        return text
    ending = "//" + blake2b(path, digest_size=16).hexdigest()
    return text[: LONGEST_ID - len(ending)] + ending


def path_of(name: str) -> bytes | None:
    """Return the path of a node id; None if the id was cut."""
    if "//" in name:
        return None
    return b"" if name == ROOT else _ESCAPE.sub(lambda hit: bytes([int(hit[1], 16)]), name.encode())


def title(path: bytes) -> str:
    """Return the last part of a path for people; undisplayable characters become ``�``."""
    return printable(path.rpartition(b"/")[2].decode("utf-8", "replace"))


def project_id(folder: bytes) -> ProjectId:
    """Return a project id for a folder name; invalid characters become ``-``."""
    words = re.sub(r"[^A-Za-z0-9._:@~-]+", "-", folder.decode("utf-8", "replace"))
    return ProjectId(re.sub(r"^[^A-Za-z0-9]+", "", words)[:LONGEST_PROJECT].rstrip("-") or "folder")


def _escaped(hit: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in hit[0].encode("utf-8", "surrogateescape"))
