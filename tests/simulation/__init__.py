"""A whole deployment in one Trio run, driven by one seed, which tries to break the hub's promises.

`schedule` makes the steps of a seed, `world` carries them out, and every part of it is what a deployment
has: `process` the hub's process (the real hub, dialects, `web.transport.Connection`, SQLite broker),
`store` the disk below it, `network` the kernel's sockets, `watcher` and `producer` the peers. `truth` knows
what was committed and `view` what each watcher makes of its messages; `checks` compares them. `run` runs
one seed, `shrink` makes a failing one small, and ``python -m tests.simulation`` (``just simulate``) runs
any number of them.

What is not here: the HTTP handshake of a WebSocket (a session is put on its connection as `web.sockets`
does after it has accepted) and Hypercorn's HTTP (server-sent events end at the ASGI boundary of the real
Quart app).
"""
