"""The dashboard, as Vite built it into ``static/app``: one page for every address of it, and its files.

Hashed files under ``assets`` never change, so a browser keeps them for a year. All are read once, and are
kept compressed as well: by the build (``.br``, ``.gz`` beside the file) or, what that left out, when read.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping
from functools import cache
from hashlib import blake2b
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

from attrs import frozen
from quart import Response, request

from tasktree_rt.web.docs_pages import CONTENT_TYPES

APP_PATHS: Final = ("/", "/projects", "/series", "/search", "/inbox", "/hub", "/tv")
"""The page's own addresses, beside all below `PROJECT_PATHS`."""
PROJECT_PATHS: Final = "/p/"
ASSETS: Final = "assets/"
INDEX: Final = "index.html"
YEAR: Final = 31_536_000
APP_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "worker-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""Of the page and of its scripts: what a worker may do, its script's own policy says."""
SUFFIXES: Final = {"br": ".br", "gzip": ".gz"}
"""The codings that are offered, the better first, and what the build calls the files."""
LEAST: Final = 512
"""Bytes below which compressing is not worth a header."""
TYPES: Final = {
    **CONTENT_TYPES,
    ".gif": "image/gif",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".map": "application/json",
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
PACKED: Final = frozenset({".gif", ".ico", ".jpg", ".png", ".webp", ".woff2"})
"""Formats that are compressed already."""
NOT_BUILT: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>The hub runs; its pages are not built</title>
<h1>The hub runs; its pages are not built</h1>
<p>This copy of tasktree-rt comes from a checkout. Build the pages with <code>just ui</code>, which needs
Node 20 or newer and npm, then start the hub again. A wheel brings them along.
<p>Everything else is here: the HTTP API under <code>/api/v1</code>, WebSockets at <code>/ws/updates</code>
and <code>/ws/orchestrator</code>, and <code>tasktree-rt watch</code> for a terminal.
"""
DOCS: Final = '<p><a href="/docs">The documents</a>\n'


@frozen
class File:
    """One file as it is served: by coding, ``""`` being none."""

    content_type: str
    tag: str
    bodies: Mapping[str, bytes]


class Site:
    """The files of a build by their path in it; none if there is no build.

    Attributes:
        built: whether there is a page.
    """

    def __init__(self, files: Mapping[str, File], *, docs: bool = True) -> None:
        self._files = files
        self._notice = (NOT_BUILT + (DOCS if docs else "")).encode()

    @property
    def built(self) -> bool:
        """Whether there is a page to show."""
        return INDEX in self._files

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def is_page(self, path: str) -> bool:
        """Return whether the dashboard's page is shown at `path`."""
        return path in APP_PATHS or path.startswith(PROJECT_PATHS)

    def page(self) -> Response:
        """Make the response with the page; a notice (503) if it is not built."""
        if self.built:
            return self.response(INDEX)
        response = Response(self._notice, 503, content_type=TYPES[".html"])
        response.headers["Cache-Control"] = "no-store"
        response.headers["Content-Security-Policy"] = APP_POLICY
        return response

    def response(self, name: str) -> Response:
        """Return the file `name`, which must exist, or 304 if the browser has it."""
        file = self._files[name]
        wanted = request.accept_encodings
        coding = next((one for one in SUFFIXES if one in file.bodies and wanted[one] > 0), "")
        # One tag for each coding: what a cache keeps of one is not the other's.
        tag = f"{file.tag}-{coding}" if coding else file.tag
        known = request.if_none_match.contains_weak(tag)
        body = b"" if known else file.bodies[coding]
        response = Response(body, 304 if known else 200, content_type=file.content_type)
        response.set_etag(tag)
        hashed = name.startswith(ASSETS)
        response.headers["Cache-Control"] = f"public, max-age={YEAR}, immutable" if hashed else "no-cache"
        response.vary.add("Accept-Encoding")
        if coding and not known:
            response.headers["Content-Encoding"] = coding
        if name.endswith((".html", ".js")):
            response.headers["Content-Security-Policy"] = APP_POLICY
        return response


@cache
def packaged() -> Mapping[str, File]:
    """Return the package's own build; all apps share it."""
    return read(resources.files("tasktree_rt.web").joinpath("static", "app"))


def read(folder: Traversable) -> Mapping[str, File]:
    """Read the files of a build; none if the folder does not exist."""
    found = dict(_found(folder, ""))
    packed = tuple(SUFFIXES.values())
    return {
        name: _file(name, body, found)
        for name, body in found.items()
        if not name.endswith(packed) and _suffix(name) in TYPES and "/." not in f"/{name}"
    }


def _found(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    if not folder.is_dir():
        return
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _found(entry, f"{prefix}{entry.name}/")
        else:
            yield f"{prefix}{entry.name}", entry.read_bytes()


def _file(name: str, body: bytes, found: Mapping[str, bytes]) -> File:
    bodies = {"": body}
    if _suffix(name) not in PACKED and len(body) >= LEAST:
        # Only a hashed file is surely the one that was compressed.
        packed = {
            coding: found[name + suffix]
            for coding, suffix in SUFFIXES.items()
            if name.startswith(ASSETS) and name + suffix in found
        }
        bodies |= packed if "gzip" in packed else {**packed, "gzip": gzip.compress(body, mtime=0)}
    return File(TYPES[_suffix(name)], blake2b(body, digest_size=12).hexdigest(), bodies)


def _suffix(name: str) -> str:
    return f".{name.rpartition('.')[2]}"
