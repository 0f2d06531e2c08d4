"""Names in backquotes in docstrings and comments are those of modules, classes and attributes that exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

import tasktree_rt

PACKAGE: Final = Path(tasktree_rt.__file__).parent
FILES: Final = sorted(one for one in PACKAGE.rglob("*.py") if "static" not in one.parts)
QUOTED: Final = re.compile(r"(?<!`)`([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+)`(?!`)")
ELSEWHERE: Final = frozenset({"trio", "typed_settings"})
"""Packages that docstrings name without importing them."""


@cache
def modules() -> frozenset[str]:
    """Every module by its path, and by each shorter end of it: ``hub.publish.committer``, ``committer``."""
    found = set[str]()
    for file in FILES:
        parts = list(file.relative_to(PACKAGE).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        found.update(".".join(parts[begin:]) for begin in range(len(parts)))
    return frozenset(found)


@cache
def names() -> frozenset[str]:
    """Everything that the package defines, imports, or reaches by a dot."""
    return frozenset(name for file in FILES for name in _names(file))


def _names(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                yield name
            case ast.alias(name=name, asname=alias):
                yield (alias or name).partition(".")[0]
            case _:
                pass


def is_known(quoted: str) -> bool:
    """Whether a dotted name leads from a module of the package, or from a name in it, to names in it."""
    parts = quoted.removeprefix("tasktree_rt.").split(".")
    if parts[0] in ELSEWHERE:
        return True
    for end in range(len(parts), 0, -1):
        if ".".join(parts[:end]) in modules():
            return names().issuperset(parts[end:])
    return names().issuperset(parts)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_docstring_names_only_what_exists(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    unknown = [one for one in QUOTED.findall(text) if not is_known(one)]
    assert unknown == []


def test_a_name_that_does_not_exist_is_noticed() -> None:
    assert is_known("hub.publish.committer")
    assert is_known("committer.Committer.run")
    assert not is_known("hub.ingest.Ingest")
    assert not is_known("committer.Ingest")
