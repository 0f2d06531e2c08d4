"""For `just fresh`: an installed ``tasktree-rt`` serves the dashboard, on a machine without Node."""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.request


def main(command: str) -> None:
    """Start it with nothing on PATH, and load the page and all that it names."""
    process = subprocess.Popen(
        [command, "serve", "--bind", "127.0.0.1:0", "--store", "memory:"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={"PATH": "/nonexistent"},
    )
    try:
        assert process.stdout is not None
        found = re.search(r"http://[^,\s]+", process.stdout.readline())
        assert found is not None, "it does not say where it listens"
        with urllib.request.urlopen(found[0] + "/") as answer:
            page = answer.read().decode()
        named = re.findall(r'(?:src|href)="(/assets/[^"]+)"', page)
        assert named, f"no dashboard: {page[:200]}"
        for one in named:
            with urllib.request.urlopen(found[0] + one) as answer:
                assert answer.read(), one
        print(f"fresh: the dashboard is served, {len(named)} files")  # noqa: T201
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main(sys.argv[1])
