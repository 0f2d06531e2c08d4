"""What ``just audit`` says: a database that did not answer is never taken for a clean result."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest


def loaded() -> ModuleType:
    path = Path(__file__).parent.parent / "deploy" / "supply_chain.py"
    spec = importlib.util.spec_from_file_location("supply_chain", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CHAIN = loaded()
CLEAN = {"name": "attrs", "version": "26.1.0", "vulns": []}
FOUND = {"name": "jinja2", "version": "2.4.1", "vulns": [{"id": "PYSEC-2019-217"}]}
SKIPPED = {"name": "trio", "skip_reason": "Dependency not found on PyPI"}


@pytest.mark.parametrize(
    ("parts", "code", "said"),
    [
        ([CLEAN], 0, "1 parts compared, 0 known"),
        ([CLEAN, FOUND], 1, "jinja2 2.4.1: PYSEC-2019-217"),
        ([CLEAN, SKIPPED], 3, "NOT AUDITED: 1 parts"),
        ([SKIPPED], 3, "Dependency not found on PyPI"),
        ([], 3, "0 parts compared"),
    ],
)
def test_a_report_of_pip_audit(parts: list[object], code: int, said: str) -> None:
    finding = CHAIN.python_finding(json.dumps({"dependencies": parts, "fixes": []}))
    assert finding.code == code
    assert said in "\n".join(finding.lines())


NPM = {"vulnerabilities": {"lodash": {"severity": "high"}}, "metadata": {"dependencies": {"total": 7}}}


@pytest.mark.parametrize(
    ("report", "code", "said"),
    [
        (json.dumps(NPM), 1, "lodash: high"),
        (json.dumps(NPM | {"vulnerabilities": {}}), 0, "7 parts compared"),
        (json.dumps({"message": "405 Method Not Allowed", "statusCode": 405}), 3, "405 Method Not Allowed"),
        ("npm error network\n", 3, "npm error network"),
        ("", 3, "the tool said nothing"),
    ],
)
def test_a_report_of_npm(report: str, code: int, said: str) -> None:
    finding = CHAIN.npm_finding(report)
    assert finding.code == code
    assert said in "\n".join(finding.lines())


def test_a_tool_that_failed_is_no_clean_result() -> None:
    assert CHAIN.python_finding("Traceback\nConnectionError: no route").code == 3
