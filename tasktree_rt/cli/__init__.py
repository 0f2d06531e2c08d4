"""The composition root and the commands of ``tasktree-rt``."""
