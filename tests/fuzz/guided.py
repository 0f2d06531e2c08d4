"""One target under atheris, which keeps what reaches new code: ``python -m tests.fuzz.guided TARGET …``.

A process of its own: the modules must be instrumented as they are imported, and libFuzzer ends the process.
"""

from __future__ import annotations

import sys

import atheris
import structlog

with atheris.instrument_imports(include=["tasktree_rt", "websockets", "h11"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """Fuzz until libFuzzer's own arguments say that it is enough."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    name, *arguments = sys.argv[1:]
    atheris.Setup([sys.argv[0], *arguments], TARGETS[name].run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
