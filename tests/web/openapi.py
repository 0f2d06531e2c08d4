"""openapi.json, and how an answer is held to it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

import httpx

from tasktree_rt.core.events import Json
from tests.web.realhub import Schemas, document, resolve

DOC: Final = document("openapi.json")
METHODS: Final = ("get", "post", "put", "patch", "delete")
P: Final = "/api/v1/projects"
SCHEMAS: Final = Schemas(DOC)

Seen = Counter[tuple[str, str, int]]


def operations() -> Iterator[tuple[str, str, Json]]:
    for path, item in DOC["paths"].items():
        for method in METHODS:
            if method in item:
                yield method, path, item[method]


def path_of(url: str) -> str:
    """The path of the document that an address belongs to; one without parameters comes first."""
    for path in sorted(DOC["paths"], key=lambda one: one.count("{")):
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path).replace(r"\{place\}", ".+"))
        if re.fullmatch(pattern, url):
            return str(path)
    raise AssertionError(f"{url} is not documented")


def check(answer: httpx.Response, seen: Seen) -> None:
    """Hold an answer to the document: status, headers, content type and body."""
    method, path = answer.request.method.lower(), path_of(answer.request.url.path)
    responses = DOC["paths"][path][method]["responses"]
    where = f"{method} {path} {answer.status_code}: {answer.text[:300]}"
    assert str(answer.status_code) in responses, f"not documented: {where}"
    response = resolve(DOC, responses[str(answer.status_code)])
    seen[method, path, answer.status_code] += 1
    for name, header in response.get("headers", {}).items():
        if name in answer.headers:
            assert not SCHEMAS.faults(header["schema"], answer.headers[name]), where
    if "content" not in response:
        assert answer.content == b"", where
        return
    kind = answer.headers["Content-Type"].partition(";")[0]
    assert kind in response["content"], f"not documented: {kind}: {where}"
    body = answer.json() if kind.endswith("json") else answer.text
    assert not SCHEMAS.faults(response["content"][kind]["schema"], body), (
        where,
        SCHEMAS.faults(response["content"][kind]["schema"], body),
    )
