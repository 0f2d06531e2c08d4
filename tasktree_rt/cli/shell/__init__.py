"""Commands as nodes: ``tasktree-rt run`` and ``tasktree-sh``. Loads the standard library only."""
