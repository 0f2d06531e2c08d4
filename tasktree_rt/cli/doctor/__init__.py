"""The command ``tasktree-rt doctor``: look at what a hub needs on this machine, and say what to do.

Each module of checks yields `Finding`s: `system` (versions, open files, clock), `network` (addresses, TLS,
proxies), `store_file`, `redis_store` and `secret_files`.
"""
