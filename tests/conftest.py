"""How much hypothesis tries: `dev` on a desk, `ci` where $CI is set, another with $HYPOTHESIS_PROFILE.

The slowest tests are listed where $CI is set.

And how often test_crash.py kills a hub, how long test_churn.py keeps one busy: options stand here because
pytest reads the conftest of a folder below only when that folder is named on the command line.
"""

import os
import signal

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tasktree_rt.client.joining import process
from tests.secure import wire

__all__ = ["wire"]

# A program's end waits two seconds for the hub; here a thread may not have run by then.
process.EXIT, process.GRACE = 60.0, 30.0

# Time says nothing on a machine that others use too.
_patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=False)
settings.register_profile("dev", _patient, max_examples=40, stateful_step_count=30)
settings.register_profile("ci", _patient, max_examples=120, stateful_step_count=40, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts a job in the background so; the commands that tests start and interrupt would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


# Structlog draws tracebacks with their source in colours, a second of CPU for each; the hub's are plain.
for _processor in structlog.get_config()["processors"]:
    if isinstance(_processor, structlog.dev.ConsoleRenderer):
        _processor.exception_formatter = structlog.dev.plain_traceback


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--crash-rounds", type=int, default=3, help="kill -9 so many times in a row (3)")
    parser.addoption(
        "--churn-cycles", type=int, default=32, help="look at memory after N and 3 N cycles (32)"
    )
    parser.addoption("--storm-connections", type=int, default=400, help="of a revocation's test (400)")
    parser.addoption("--crash-seed", type=int, help="repeat the choices of an earlier run (random)")


def pytest_configure(config: pytest.Config) -> None:
    """List the slowest tests at the end where $CI is set, unless the command line says otherwise."""
    if os.environ.get("CI") and config.option.durations is None:
        config.option.durations, config.option.durations_min = 25, 2.0
