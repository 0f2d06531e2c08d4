"""Check whether Python source compiles: here, or for large sources in a process of its own.

As a program it reads source from standard input and prints the error. It imports nothing of this
package, so that it runs in an isolated interpreter.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import traceback
import warnings
from typing import Final

_one_at_a_time: Final = threading.Lock()
"""`warnings.catch_warnings` is not safe in threads, and compiling holds the interpreter lock anyway."""
_LONGEST: Final = 120.0
_LONGEST_TEXT: Final = 500


def compile_fault(source: bytes) -> str | None:
    """Return why `source` does not compile as Python, in the encoding it declares; None if it does.

    The first line is the reason; the following lines are the compiler's own text, if it has one.
    """
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(source, "<source>", "exec", dont_inherit=True)
        except SyntaxError as error:
            where = f"line {error.lineno}: " if error.lineno else ""
            return _one_line(f"{type(error).__name__}: {where}{error.msg}") + "\n" + _text_of(error)
        except (MemoryError, RecursionError) as error:
            return f"{type(error).__name__}: nested too deeply for the compiler"
        except Exception as error:
            # ValueError for null bytes, whatever a codec raises: the compiler promises no fixed set.
            return _one_line(f"{type(error).__name__}: {error}")
    return None


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _text_of(error: SyntaxError) -> str:
    """Format a syntax error as Python does, with the place in the source."""
    if error.text is not None:
        error.text = error.text[:_LONGEST_TEXT]
    return "".join(traceback.format_exception_only(error))[: 4 * _LONGEST_TEXT].rstrip()


def compile_elsewhere(handle: int) -> str | None:
    """Do the same for an open file, from its beginning, in another process.

    Gives up after two minutes. If the compiler's process dies (memory, depth), the source is at fault too.
    """
    os.lseek(handle, 0, os.SEEK_SET)
    command = [sys.executable, "-I", __file__]
    try:
        done = subprocess.run(  # noqa: S603 - this very file
            command, stdin=handle, capture_output=True, timeout=_LONGEST, check=False
        )
    except subprocess.TimeoutExpired:
        return f"does not compile within {_LONGEST:g} s"
    if done.returncode != 0:
        return "the compiler gave up: too large or nested too deeply"
    return done.stdout.decode(errors="replace").strip() or None


def main() -> None:
    """Compile the source on standard input; print the error, or nothing."""
    fault = compile_fault(sys.stdin.buffer.read()) or ""
    sys.stdout.buffer.write(fault.encode(errors="replace"))


if __name__ == "__main__":
    main()
