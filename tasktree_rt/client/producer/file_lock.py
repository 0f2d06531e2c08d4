"""Lock a file for this process alone: the one place that needs ``fcntl``, which only POSIX systems have."""

from __future__ import annotations

from tasktree_rt.errors import ClientError


def lock(descriptor: int) -> None:
    """Lock a file (flock) until its descriptor is closed.

    Raises:
        BlockingIOError: another process has locked it.
        ClientError: this system has no such locks.
    """
    try:
        # Imported late: a program without a spool runs where there is no fcntl.
        import fcntl
    except ModuleNotFoundError:
        raise ClientError("a spool needs file locks (flock), which this system does not have") from None
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
