"""The scripts that Redis runs, each with the parts that it needs in front."""

from __future__ import annotations

from hashlib import sha1
from importlib.resources import files
from typing import Final

from attrs import field, frozen


@frozen
class Script:
    """A script in Lua: `text`, and the name under which Redis knows it."""

    text: str
    digest: str = field(init=False)

    @digest.default
    def _of_text(self) -> str:
        return sha1(self.text.encode(), usedforsecurity=False).hexdigest()


def _script(name: str, *parts: str) -> Script:
    folder = files(__package__)
    return Script("\n".join((folder / f"{one}.lua").read_text("utf-8") for one in (*parts, name)))


OPEN: Final = _script("open")
ADOPT: Final = _script("adopt")
SIGN_OF_LIFE: Final = _script("alive", "prelude")
LEAVE: Final = _script("leave", "prelude")
TAKE_COMMANDS: Final = _script("take_commands", "prelude")
APPEND: Final = _script("append", "prelude", "lives", "interactions")
LIFE: Final = _script("life", "prelude", "lives")
POSITIONS: Final = _script("positions", "prelude", "lives")
EVENTS: Final = _script("events", "prelude", "lives")
PARTS: Final = _script("parts", "prelude")
CHECKPOINT_AT: Final = _script("checkpoint_at", "prelude")
SAVE_CHECKPOINT: Final = _script("save_checkpoint", "prelude", "lives")
SAVE_SNAPSHOT: Final = _script("save_snapshot", "prelude")
DELETE_SNAPSHOT: Final = _script("delete_snapshot", "prelude")
SNAPSHOTS: Final = _script("snapshots", "prelude")
FIND_INTERACTIONS: Final = _script("find_interactions", "prelude", "interactions")
GET_INTERACTION: Final = _script("get_interaction", "prelude", "interactions")
PROJECTS: Final = _script("projects", "prelude")
CALL: Final = _script("call", "prelude")
DUE: Final = _script("due", "prelude")
TRIM_LOG: Final = _script("trim_log", "prelude")
TRIM_IDS: Final = _script("trim_ids", "prelude")
TRIM_INTERACTIONS: Final = _script("trim_interactions", "prelude", "interactions")
TRIM_DEATHS: Final = _script("trim_deaths", "prelude")
RECOVER: Final = _script("recover", "prelude", "lives", "interactions")
ACCESS: Final = _script("access", "prelude")
