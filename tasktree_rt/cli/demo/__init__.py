"""``tasktree-rt demo``: a folder as a project, and real work on every file in it."""
