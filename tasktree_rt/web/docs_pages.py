"""The packaged pages and documents, and their response headers.

They are read once, when the app is made: there are few, and no request ever touches the disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

from attrs import frozen
from quart import Response, request

CONTENT_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
PAGE_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""Only the package's own scripts and styles; no other page may frame this one."""


@frozen
class Page:
    """One file, as it is served."""

    body: bytes
    content_type: str
    tag: str


class Pages:
    """Every file in ``static/`` by its name."""

    def __init__(self) -> None:
        self._pages = dict(_found(resources.files("tasktree_rt.web").joinpath("static")))

    def __contains__(self, name: str) -> bool:
        return name in self._pages

    def response(self, name: str) -> Response:
        """Return the file `name`, which must exist, or 304 if the browser has it."""
        page = self._pages[name]
        is_html = page.content_type.startswith("text/html")
        known = request.if_none_match.contains_weak(page.tag)
        response = Response(
            b"" if known else page.body, 304 if known else 200, content_type=page.content_type
        )
        response.set_etag(page.tag)
        response.headers["Cache-Control"] = "no-cache"
        if is_html:
            response.headers["Content-Security-Policy"] = PAGE_POLICY
        return response


def _found(folder: Traversable) -> Iterator[tuple[str, Page]]:
    """Not what is in folders of it: the dashboard's build is `site`'s."""
    for entry in folder.iterdir():
        kind = CONTENT_TYPES.get(f".{entry.name.rpartition('.')[2]}")
        if kind is not None and entry.is_file():
            yield entry.name, _page(entry.read_bytes(), kind)


def _page(body: bytes, content_type: str) -> Page:
    return Page(body, content_type, blake2b(body, digest_size=12).hexdigest())
