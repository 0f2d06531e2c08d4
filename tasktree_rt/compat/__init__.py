"""Drop-ins for programs that spoke to another system: the same names and signatures, with a hub behind them.

Each module is imported by itself: `tasktree_rt.compat.tasktree`, `tasktree_rt.compat.aiecs`.
"""
