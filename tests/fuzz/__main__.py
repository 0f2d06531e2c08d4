"""Look longer: ``python -m tests.fuzz [TARGET …] [--seconds N] [--keep] [--input FILE]``.

With atheris (extra ``fuzz``) guided by coverage: what reaches new code is kept under build/fuzz/ from run to
run. Without it by hypothesis. An input that fails is kept there too, and ends the run.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from tests.fuzz.target import CORPUS
from tests.fuzz.targets import TARGETS
from tests.fuzz.unguided import look_for, run

ROOT: Final = Path(__file__).parents[2]
FOUND: Final = ROOT / "build" / "fuzz"
LONGEST: Final = 2048
MEGABYTES: Final = 1024
KEPT: Final = 12
SIZES: Final = range(20, 400)


def say(text: str) -> None:
    """One line, at once."""
    sys.stdout.write(f"fuzz: {text}\n")
    sys.stdout.flush()


def main() -> int:
    """See the module's docstring; 1 if something was found."""
    given = _arguments()
    if given.input is not None:
        for name in given.targets:
            run(TARGETS[name], given.input.read_bytes())
        return 0
    guided = find_spec("atheris") is not None
    say("guided by coverage" if guided else "by hypothesis: atheris is not installed")
    for name in given.targets:
        say(f"{name}, {given.seconds} s")
        if not guided:
            look_for(TARGETS[name], given.seconds)
        elif not _guided(name, given.seconds):
            return 1
        elif given.keep:
            _keep(name)
    say("nothing found")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="just fuzz", description="Fuzz the decoders that face the network.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)} (all)")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    parser.add_argument("--input", type=Path, help="only this input: what a run has found")
    parser.add_argument(
        "--keep", action="store_true", help="put some of what reached new code into the corpus"
    )
    given = parser.parse_args()
    unknown = set(given.targets) - set(TARGETS)
    if unknown:
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    given.targets = given.targets or list(TARGETS)
    return given


def _guided(name: str, seconds: int) -> bool:
    """Whether nothing was found."""
    folder = FOUND / name
    folder.mkdir(parents=True, exist_ok=True)
    words = folder.with_suffix(".dict")
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in TARGETS[name].words))
    before = set(FOUND.glob("*-*"))
    done = _fuzzer(
        name,
        *(folder, CORPUS / name),
        *(
            f"-max_total_time={seconds}",
            f"-max_len={LONGEST}",
            f"-dict={words}",
            f"-rss_limit_mb={MEGABYTES}",
        ),
        *("-timeout=10", f"-artifact_prefix={FOUND}/{name}-", "-verbosity=0", "-print_final_stats=1"),
    )
    for path in sorted(set(FOUND.glob("*-*")) - before):
        say(f"see {path}; once more: just fuzz {name} --input {path}")
    return done == 0


def _keep(name: str) -> None:
    """Add to the corpus a few inputs of a readable size that reached what nothing before them had."""
    found = [path for path in (FOUND / name).iterdir() if path.stat().st_size in SIZES]
    for path in sorted(found, key=lambda one: (one.stat().st_size, one.name))[-KEPT:]:
        shutil.copyfile(path, CORPUS / name / f"found-{path.name[:12]}")
    say(f"{min(len(found), KEPT)} kept in {CORPUS / name}")


def _fuzzer(name: str, *arguments: str | Path) -> int:
    command = [sys.executable, "-m", "tests.fuzz.guided", name, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    sys.exit(main())
