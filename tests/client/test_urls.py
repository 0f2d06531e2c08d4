import pytest

from tasktree_rt.client.urls import events_url, socket_url


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("http://h:8000", "ws://h:8000/ws/updates"),
        ("https://h", "wss://h/ws/updates"),
        ("ws://h:1/", "ws://h:1/ws/updates"),
        ("wss://h/proxied/hub/", "wss://h/proxied/hub/ws/updates"),
        ("ws://h/ws/updates", "ws://h/ws/updates"),
        ("http://[::1]:8000", "ws://[::1]:8000/ws/updates"),
    ],
)
def test_any_address_of_a_hub_becomes_that_of_its_socket(given: str, expected: str) -> None:
    assert socket_url(given, "/ws/updates") == expected


def test_the_query_is_escaped_and_put_behind_the_addresses_own() -> None:
    url = socket_url("http://h?a=1", "/ws/x", [("producer_id", "a b&c"), ("token", "é")])
    assert url == "ws://h/ws/x?a=1&producer_id=a+b%26c&token=%C3%A9"


def test_events_are_posted_below_the_api_with_the_project_escaped() -> None:
    assert events_url("wss://h/hub", "a:b~c@d") == "https://h/hub/api/v1/projects/a%3Ab~c%40d/events"


@pytest.mark.parametrize("given", ["", "h:8000", "ftp://h", "http://", "/ws"])
def test_what_is_no_address_is_refused_by_name(given: str) -> None:
    with pytest.raises(ValueError, match=r"expected an address like http://127\.0\.0\.1:8000"):
        socket_url(given, "/ws/updates")
