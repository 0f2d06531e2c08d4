"""List all parts of a release (``sbom``), and compare the pinned ones with known vulnerabilities (``audit``).

The work is done by pip-audit, cyclonedx-bom and npm. An audit that reached no database ends with exit code 3
and says so: silence would look like a result.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from attrs import frozen

ROOT: Final = Path(__file__).parent.parent
FRONTEND: Final = ROOT / "frontend"
DIST: Final = ROOT / "dist"
TOOLS: Final = ROOT / ".tools"
PINNED: Final = ("pip-audit==2.10.1", "cyclonedx-bom==7.5.0")
VULNERABLE, UNKNOWN = 1, 3
"""Exit codes: a part has a known vulnerability; no database was reached for some part."""


@frozen
class Finding:
    """The result of an audit.

    Attributes:
        audited: parts that a database was asked about.
        skipped: the reason, for each part that no database knows.
        vulnerable: a line for each known vulnerability.
    """

    what: str
    audited: int
    skipped: tuple[str, ...]
    vulnerable: tuple[str, ...]

    @property
    def code(self) -> int:
        """The exit code."""
        return VULNERABLE if self.vulnerable else UNKNOWN if self.skipped or not self.audited else 0

    def lines(self) -> list[str]:
        """What a person reads."""
        told = [f"{self.what}: {self.audited} parts compared, {len(self.vulnerable)} known vulnerabilities"]
        told += [f"  {line}" for line in self.vulnerable]
        if self.skipped:
            told.append(f"  NOT AUDITED: {len(self.skipped)} parts; no database answered, for example:")
            told.append(f"  {self.skipped[0]}")
        return told


def python_finding(report: str) -> Finding:
    """Read pip-audit's report (``--format json``); anything else means that it reached no database."""
    try:
        parts: list[dict[str, Any]] = json.loads(report)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return Finding("Python", 0, (_last_line(report),), ())
    skipped = tuple(one["skip_reason"] for one in parts if "skip_reason" in one)
    vulnerable = tuple(
        f"{one['name']} {one['version']}: {found['id']}" for one in parts for found in one.get("vulns", ())
    )
    return Finding("Python", len(parts) - len(skipped), skipped, vulnerable)


def npm_finding(report: str) -> Finding:
    """Read npm's report (``npm audit --json``); one without counts means that it reached no database."""
    try:
        found: dict[str, Any] = json.loads(report)
        total = int(found["metadata"]["dependencies"]["total"])
    except (ValueError, KeyError, TypeError):
        return Finding("npm", 0, (_message(report),), ())
    vulnerable = tuple(f"{name}: {one['severity']}" for name, one in found.get("vulnerabilities", {}).items())
    return Finding("npm", total, (), vulnerable)


def _message(report: str) -> str:
    try:
        return str(json.loads(report)["message"])
    except (ValueError, KeyError, TypeError):
        return _last_line(report)


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["the tool said nothing"])[-1][:300]


def _run(*command: str | Path, cwd: Path = ROOT) -> None:
    subprocess.run([str(part) for part in command], check=True, cwd=cwd)


def _output(*command: str | Path, cwd: Path = ROOT) -> str:
    """Return a tool's output, whatever its exit code: an audit that finds something fails."""
    done = subprocess.run(
        [str(part) for part in command], check=False, capture_output=True, text=True, cwd=cwd
    )
    return done.stdout or done.stderr


def _tools() -> Path:
    """Install the tools into a virtual environment of their own; return its folder of commands."""
    stamp = TOOLS / "installed"
    if not stamp.exists() or stamp.read_text() != "\n".join(PINNED):
        _run(sys.executable, "-m", "venv", "--clear", TOOLS)
        _run(TOOLS / "bin" / "pip", "install", "--quiet", *PINNED)
        stamp.write_text("\n".join(PINNED))
    return TOOLS / "bin"


def audit() -> int:
    """Compare everything in constraints.txt and package-lock.json with known vulnerabilities."""
    given = ("--requirement", "constraints.txt", "--no-deps", "--disable-pip", "--format", "json")
    findings = [
        python_finding(_output(_tools() / "pip-audit", "--progress-spinner", "off", *given)),
        npm_finding(_output("npm", "audit", "--json", cwd=FRONTEND)),
    ]
    for finding in findings:
        sys.stdout.write("\n".join((*finding.lines(), "")))
    codes = {finding.code for finding in findings}
    return VULNERABLE if VULNERABLE in codes else max(codes)


def sbom() -> int:
    """Write CycloneDX documents into dist/: the run-time parts of the wheel, and the parts of the pages."""
    DIST.mkdir(exist_ok=True)
    python, pages = DIST / "tasktree-rt.cdx.json", DIST / "tasktree-rt-pages.cdx.json"
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder) / "venv"
        _run(sys.executable, "-m", "venv", "--without-pip", environment)
        target = environment / "bin" / "python"
        pinned = ("--constraint", "constraints.txt")
        _run(sys.executable, "-m", "pip", "--python", target, "install", "--quiet", *pinned, ".")
        made = (
            "environment",
            "--pyproject",
            "pyproject.toml",
            "--output-reproducible",
            "--output-file",
            python,
        )
        _run(_tools() / "cyclonedx-py", *made, target)
    pages.write_text(
        _output("npm", "sbom", "--sbom-format", "cyclonedx", "--package-lock-only", cwd=FRONTEND)
    )
    for file in (python, pages):
        parts = len(json.loads(file.read_text())["components"])
        sys.stdout.write(f"{file.relative_to(ROOT)}: {parts} parts\n")
    return 0


def main(arguments: Sequence[str]) -> int:
    """Run ``audit`` or ``sbom``; return the exit code."""
    return {"audit": audit, "sbom": sbom}[arguments[0]]()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
