"""What may name a project and a node. The standard library only: the lightest client needs it too."""

from __future__ import annotations

import re
from typing import Final, TypeGuard

PROJECT_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@~-]{0,127}")
NODE_ID: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,512}")


def is_node_id(value: object) -> TypeGuard[str]:
    """Return True if `value` may name a node: 1–512 characters without control characters."""
    if not isinstance(value, str):
        return False
    # Every printable text matches: nearly no id needs the regular expression.
    return 0 < len(value) <= 512 and (value.isprintable() or NODE_ID.fullmatch(value) is not None)
