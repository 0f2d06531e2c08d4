"""URLs of Redis, and the section `redis`: how the hub uses the one that `store` names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from attrs import field, frozen

from tasktree_rt.settings.checks import UnfitSetting, a_path, a_text, require, seconds, whole

if TYPE_CHECKING:
    from attrs import Attribute

_SCHEMES: Final = ("redis://", "rediss://", "unix://")
_SENTINEL: Final = "redis+sentinel://"
_SENTINEL_URL: Final = re.compile(re.escape(_SENTINEL) + r"[^/?#]+/[^/?#]+(/\d+)?")
_URLS: Final = '"redis://HOST:PORT/DB", "rediss://HOST:PORT/DB" or "unix:///PATH"'
_STORES: Final = (
    f'"sqlite:PATH", "memory:", {_URLS.replace(" or", ",")} or "redis+sentinel://HOST:PORT,…/SERVICE"'
)
_PREFIX: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def is_redis(store: str) -> bool:
    """Return whether `Settings.store` names a Redis."""
    return store.startswith((*_SCHEMES, _SENTINEL))


def a_store(_: object, attribute: Attribute[Any], value: object) -> None:
    """Require the name of a store: ``sqlite:PATH``, ``memory:``, the URL of a Redis, or nothing."""
    a_text(_, attribute, value)
    text = str(value)
    good = re.fullmatch(r"|memory:|sqlite:[^\0]+", text) is not None
    if is_redis(text):
        _refuse_password(attribute, text, "redis.password")
        good = (
            _is_url(text) or re.fullmatch(rf"{re.escape(_SENTINEL)}[^/?#]+/[^/?#]+(/\d+)?", text) is not None
        )
    require(good, attribute, _STORES, value)


def a_redis_url(_: object, attribute: Attribute[Any], value: object) -> None:
    """Require the URL of a Redis server without a password, or nothing."""
    a_text(_, attribute, value)
    _refuse_password(attribute, str(value), "autogpt.redis_password")
    require(not value or _is_url(str(value)), attribute, _URLS, value)


def _refuse_password(attribute: Attribute[Any], url: str, instead: str) -> None:
    if ":" in urlsplit(url).netloc.rpartition("@")[0]:
        raise UnfitSetting((attribute.name,), f"expected no password; set {instead} instead")


def _is_url(text: str) -> bool:
    url = urlsplit(text)
    return text.startswith(_SCHEMES) and bool(url.path if url.scheme == "unix" else url.hostname)


def _a_prefix(_: object, attribute: Attribute[Any], value: object) -> None:
    good = isinstance(value, str) and _PREFIX.fullmatch(value) is not None
    require(good, attribute, "at most 64 letters, digits and . _ -", value)


@frozen
class Redis:
    """A store in Redis. Times in seconds."""

    prefix: str = field(default="tt", validator=_a_prefix)
    """Begins the name of every key: hubs with different prefixes can share a Redis."""
    password: str = field(default="", repr=False, validator=a_text)
    """Password of the Redis that ``store`` names, which must not be in the URL."""
    password_file: str = field(default="", validator=a_path)
    """Path of a file whose first line is the password."""
    replicas: int = field(default=0, validator=whole(0))
    """Number of replicas that must have an event before the hub acknowledges it (``WAIT``)."""
    timeout: float = seconds(5.0)
    """Seconds that Redis may take for an answer; then the hub connects again and asks again."""

    def __attrs_post_init__(self) -> None:
        """Check the rules between fields."""
        if self.password and self.password_file:
            fields = ("redis.password_file", "redis.password")
            raise UnfitSetting(fields, "expected no file beside redis.password")
