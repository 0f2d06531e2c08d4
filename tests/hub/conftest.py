"""The hub's log lines say nothing here."""

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True, scope="package")
def silence() -> Iterator[None]:
    """Log to nowhere while these tests run."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    yield
    structlog.reset_defaults()
