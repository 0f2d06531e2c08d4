"""A real-time hub: orchestrators push what happens in a task tree, every watcher sees it at once."""

import sys

__version__ = "0.1.0"

if sys.version_info < (3, 11):  # noqa: UP036 - older ones get this sentence in place of a syntax error
    raise ImportError(f"tasktree-rt needs Python 3.11 or newer; this is {sys.version.split()[0]}")
