"""The documentation as a site, below ``/docs/manual/``: files that ``just docs`` built into the package.

Their names are listed once, when the app is made; a file is read when it is asked for, in a thread, so that a
hub which nobody asks holds none of them. The site's pages have small scripts within: the policy of each page
allows exactly those, by their digests.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from hashlib import blake2b, sha256
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

import trio
from quart import Response, request
from werkzeug.exceptions import NotFound

from tasktree_rt.web.docs_pages import CONTENT_TYPES, PAGE_POLICY

MANUAL: Final = "/docs/manual/"
INDEX: Final = "index.html"
_KINDS: Final = {**CONTENT_TYPES, ".png": "image/png", ".txt": "text/plain; charset=utf-8"}
_INLINE: Final = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
_NOT_BUILT: Final = (
    "<!doctype html><html lang=en><title>Manual</title><h1>The manual is not built here</h1>"
    "<p>In a checkout: <code>just docs</code>, then start the hub again."
    '<p><a href="/docs">The interfaces of this hub</a>'
)


def packaged_manual() -> Traversable:
    """Return the folder of the package in which the site is, if it was built."""
    return resources.files("tasktree_rt.web").joinpath("static", "manual")


class Manual:
    """The site in a folder, which may be missing."""

    def __init__(self, folder: Traversable) -> None:
        self._files = dict(_listed(folder, "")) if folder.is_dir() else {}

    async def response(self, name: str) -> Response:
        """Return a file of the site; for the empty name its first page, or what to do if it is not built.

        Raises:
            NotFound: there is no such file.
        """
        if not name and INDEX not in self._files:
            return _page(_NOT_BUILT.encode())
        found = self._files.get(name or INDEX)
        if found is None:
            raise NotFound
        body = await trio.to_thread.run_sync(found.read_bytes)
        kind = _KINDS[_suffix(found.name)]
        response = _page(body) if kind.startswith("text/html") else Response(body, content_type=kind)
        response.set_etag(blake2b(body, digest_size=12).hexdigest())
        response.headers["Cache-Control"] = "no-cache"
        return await response.make_conditional(request)


def _page(body: bytes) -> Response:
    """Make the response for a page: its policy allows the scripts within it, and the package's own files."""
    digests = [base64.b64encode(sha256(script).digest()).decode() for script in _INLINE.findall(body)]
    allowed = " ".join(["script-src 'self'", *(f"'sha256-{one}'" for one in dict.fromkeys(digests))])
    response = Response(body, content_type=CONTENT_TYPES[".html"])
    response.headers["Content-Security-Policy"] = PAGE_POLICY.replace("script-src 'self'", allowed)
    return response


def _listed(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _listed(entry, f"{prefix}{entry.name}/")
        elif _suffix(entry.name) in _KINDS:
            yield prefix + entry.name, entry


def _suffix(name: str) -> str:
    return f".{name.rpartition('.')[2]}"
