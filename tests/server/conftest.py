from collections.abc import Iterator

import pytest

from tests.wsclient import WsClient


@pytest.fixture(autouse=True)
def _no_socket_stays_open() -> Iterator[None]:
    yield
    WsClient.close_all()
