"""The golden transcript of AutoGPT's language: what is said, pushed and heard, line by line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

Json = dict[str, Any]
GOLDEN = Path(__file__).parent.parent / "golden" / "autogpt.jsonl"
LINES: list[Json] = [json.loads(line) for line in GOLDEN.read_text().splitlines()]
USER = "3e53486c-cf57-477e-ba2a-cb02dc828e1a"


def spelled(messages: list[Any]) -> list[str]:
    """Messages so that the order of their keys counts too."""
    return [json.dumps(one) for one in messages]


def check(index: int, heard: list[Any]) -> None:
    """What was heard is what the line says."""
    line = LINES[index]
    if spelled(heard) != spelled(line["hear"]):
        pytest.fail(f"line {index + 1}: {line}\nheard instead: {heard}")
