"""Read the current HTTP request: the caller's grants, the query, the idempotency key, the body.

The app puts the caller's grants into ``g.grants``. A body may be gzip. A few bytes of gzip inflate to a
thousand times as many, so the bound of a body (`limits.max_message_size`) holds before inflating and, chunk
by chunk, while inflating.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from quart import Quart, current_app, g, request
from quart_trio.wrappers import TrioRequest
from werkzeug.exceptions import UnsupportedMediaType

from tasktree_rt.core.access import Grants, Verb
from tasktree_rt.core.events import Json, ProjectId, project_id, refuse_unknown
from tasktree_rt.core.topics import branch_of
from tasktree_rt.dialects.base import decode_object, encode_json
from tasktree_rt.errors import InvalidInput
from tasktree_rt.hub.access import policy as access
from tasktree_rt.hub.access.hooks import Decisions
from tasktree_rt.hub.hub import Key
from tasktree_rt.web.auth.authenticator import authenticator
from tasktree_rt.web.inflating import GZIP as GZIP_STREAM
from tasktree_rt.web.inflating import Damaged, Oversized, inflate
from tasktree_rt.web.request_rates import request_rates

PAGE: Final = 100
"""Entries of a page if the query names no ``limit``."""
MOST: Final = 1_000
"""The highest ``limit``."""
MAX_KEY: Final = 128
"""Maximum characters of an idempotency key and of a producer's id."""
DECISIONS: Final = "tasktree_rt.decisions"
GZIP: Final = frozenset({"gzip", "x-gzip"})
PLAIN: Final = frozenset({"", "identity"})


# --- the caller -----------------------------------------------------------------------------------


def grants() -> Grants:
    """Return the grants of the request's caller."""
    found: Grants = g.grants
    return found


def put_decisions(app: Quart, found: Decisions) -> None:
    """Let `permitted` ask `found` about what grants do not cover."""
    app.extensions[DECISIONS] = found


async def permitted(verb: Verb, project: str) -> ProjectId:
    """Check that the caller may do `verb` on a project; return its id.

    Raises:
        PeerError: ``invalid_project_id`` or ``forbidden``.
    """
    name = project_id(project)
    decisions: Decisions = current_app.extensions[DECISIONS]
    if verb in decisions.asked:
        g.grants = await decisions.extended(grants(), verb, name)
    access.require(grants(), verb, name)
    return name


async def permitted_part(verb: Verb, project: str) -> tuple[ProjectId, str | None]:
    """Check that the caller may do `verb` on a project or on a branch of it; return the project's id, and the
    node of the branch that the caller may see, None: the whole project.

    Raises:
        PeerError: ``invalid_project_id`` or ``forbidden``.
    """
    name = project_id(project)
    branch = branch_of(access.readable(grants(), verb, name))
    if branch is None:
        return await permitted(verb, project), None
    return name, branch[1]


def require_admin() -> None:
    """Check that the caller is an administrator.

    Raises:
        Refused: ``forbidden``.
    """
    access.require_admin(grants())


# --- query and headers ----------------------------------------------------------------------------


def idempotency() -> Key | None:
    """Read the headers ``Idempotency-Key`` and ``Producer-Id``; None without the first.

    Raises:
        InvalidInput: names the header.
    """
    given = request.headers.get("Idempotency-Key")
    if given is None:
        return None
    producer = request.headers.get("Producer-Id", "http")
    for field, value in (("Idempotency-Key", given), ("Producer-Id", producer)):
        if not 0 < len(value) <= MAX_KEY:
            raise InvalidInput(f"expected 1-{MAX_KEY} characters", field=field)
    return Key(grants().subject, producer, encode_json(given).decode())


def page_limit() -> int:
    """Read the query's ``limit``: the entries of a page, 1 to `MOST`, by default `PAGE`.

    Raises:
        InvalidInput: names ``limit``.
    """
    return number("limit", request.args.get("limit", str(PAGE)), MOST, 1)


def number(field: str, text: str, most: int, least: int) -> int:
    """Parse `text`, a whole number from `least` to `most`; `field` is the query parameter's name.

    Raises:
        InvalidInput: names the field.
    """
    if not text.isascii() or not text.isdecimal() or len(text) > 18 or not least <= int(text) <= most:
        raise InvalidInput(f"expected a number from {least} to {most}, got {text[:40]!a}", field=field)
    return int(text)


# --- the body -------------------------------------------------------------------------------------


class UnknownCoding(UnsupportedMediaType):
    """The request's ``Content-Encoding`` is not supported; the response names those that are (RFC 9110,
    15.5.16)."""

    def __init__(self, coding: str, known: str = "gzip") -> None:
        super().__init__(f"unsupported Content-Encoding {coding[:40]!a}, expected {known}")
        self._known = known

    def get_headers(self, *given: Any) -> list[tuple[str, str]]:
        """Add ``Accept-Encoding`` to the response's headers."""
        return [*super().get_headers(*given), ("Accept-Encoding", self._known)]


class HubRequest(TrioRequest):
    """Quart's request, with a body that may be gzip.

    Attributes:
        body_limits: maximum bytes of a body by the request's path, where it is not the app's general limit.
    """

    body_limits: ClassVar[Mapping[str, int]] = {}

    def __init__(
        self,
        method: str,
        scheme: str,
        path: str,
        *given: Any,
        max_content_length: int | None = None,
        **options: Any,
    ) -> None:
        most = self.body_limits.get(path, max_content_length)
        super().__init__(method, scheme, path, *given, max_content_length=most, **options)

    async def get_data(  # type: ignore[override]
        self, cache: bool = True, as_text: bool = False, parse_form_data: bool = False
    ) -> bytes | str:
        """Read the whole body and inflate it. The parameters are Quart's.

        Raises:
            UnknownCoding: the coding is not supported; nothing of the body was read.
            InvalidInput: the body is not valid gzip, or too large.
        """
        coding = self.headers.get("Content-Encoding", "").strip().lower()
        if coding not in GZIP | PLAIN:
            raise UnknownCoding(coding)
        data = await self.received()
        if coding in GZIP:
            data = await inflated(data, self.max_content_length or 0)
        return data.decode() if as_text else data

    async def received(self) -> bytes:
        """Read the whole body as it came, in its coding.

        Raises:
            HTTPException: 413, it is too large; 408, it did not come in time.
        """
        data: bytes = await super().get_data(True, False, False)
        request_rates().charge_body(len(data))
        return data


def limited(limits: Mapping[str, int]) -> type[HubRequest]:
    """Return the class of an app's requests, with limits of their own for the bodies of some paths."""
    return type("LimitedRequest", (HubRequest,), {"body_limits": limits})


async def read_body() -> bytes:
    """Read the whole body of the current request, inflated.

    Raises:
        UnknownCoding, InvalidInput: as `HubRequest.get_data`.
        CredentialRevoked: the caller's token or API key was revoked meanwhile.
    """
    body: bytes = await request.get_data(as_text=False)  # type: ignore[assignment]
    authenticator().refuse_revoked(grants())
    return body


async def read_object(*known: str, optional: bool = False) -> Json:
    """Read the current request's body, a JSON object.

    If `known` names any fields, others are refused. With `optional` an empty body is an empty object.

    Raises:
        UnknownCoding: as `HubRequest.get_data`.
        InvalidInput: the body is no JSON object, or has a field that is not in `known`; names the field.
    """
    body = await read_body()
    given = {} if optional and not body else decode_object(body)
    if known:
        refuse_unknown(given, known)
    return given


async def inflated(data: bytes, most: int) -> bytes:
    """Inflate `data`, one whole gzip stream, to at most `most` bytes.

    Raises:
        InvalidInput: ``invalid_message`` if `data` is not one whole gzip stream; ``too_large``.
    """
    try:
        out, behind = await inflate(data, most, GZIP_STREAM)
    except Oversized:
        raise InvalidInput(f"expected at most {most} bytes, inflated", code="too_large") from None
    except Damaged as error:
        raise InvalidInput(f"the body is not valid gzip (Content-Encoding: gzip): {error}") from None
    if behind:
        raise InvalidInput("unexpected bytes after the end of the gzip body")
    return bytes(out)
