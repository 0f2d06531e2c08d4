"""Views of WebSocket routes that the server calls itself, without Quart's dispatch.

Quart's dispatch matches the path, makes contexts and a session, sends signals and runs hooks: twice the work
of all else in a handshake. For a route without variables the result is known before, as long as nothing of
the app takes part: no hook, session, signal's receiver or dispatch of its own. So the server looks at the app
for every handshake, and takes Quart's way as soon as there is one of these.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen
from quart import Response, signals
from quart.sessions import SecureCookieSessionInterface
from quart_trio import QuartTrio
from quart_trio.wrappers import TrioWebsocket

if TYPE_CHECKING:
    from hypercorn.typing import WebsocketScope
    from quart import Quart
    from quart.typing import ResponseTypes

Accept = Callable[[str | None], Awaitable[None]]
"""Accepts the handshake, with the subprotocol."""
Call = Callable[["Quart", "WebsocketScope", Accept], Awaitable[Response | None]]

_KEY: Final = "tasktree_rt.direct_views"
"""Key of ``app.extensions``."""
_SIGNALS: Final = (
    signals.appcontext_pushed,
    signals.appcontext_popped,
    signals.appcontext_tearing_down,
    signals.websocket_started,
    signals.websocket_finished,
    signals.websocket_tearing_down,
)
_DISPATCH: Final = (
    "dispatch_websocket",
    "finalize_websocket",
    "full_dispatch_websocket",
    "handle_websocket",
    "preprocess_websocket",
    "websocket_context",
)


@frozen
class DirectView:
    """A view and what Quart calls for the same route.

    Attributes:
        call: does what `hook` and `view` do, with the app and the handshake as arguments.
        view: the view that Quart has at `endpoint`.
        hook: the only ``before_websocket`` hook, of `blueprint`.
    """

    call: Call
    view: Callable[..., Any]
    endpoint: str
    hook: Callable[..., Any]
    blueprint: str


def put_direct_view(app: Quart, path: str, view: DirectView) -> None:
    """Let the server call `view` itself for handshakes at `path`, where no other route has that."""
    known: dict[str, DirectView] = app.extensions.setdefault(_KEY, {})
    known.setdefault(path, view)


def direct_view(app: Quart, path: str) -> Call | None:
    """Return the view of a handshake at `path`; None: it is Quart's to decide."""
    found: DirectView | None = app.extensions.get(_KEY, {}).get(path)
    return found.call if found is not None and _alone(app, found) else None


def _alone(app: Quart, found: DirectView) -> bool:
    """Return whether `found.call` does all that Quart would do."""
    name = found.blueprint
    hooks = app.before_websocket_funcs
    return not (
        hooks.get(None)
        or hooks.get(name) != [found.hook]
        or app.view_functions.get(found.endpoint) is not found.view
        or app.after_websocket_funcs.get(None)
        or app.after_websocket_funcs.get(name)
        or app.teardown_websocket_funcs.get(None)
        or app.teardown_websocket_funcs.get(name)
        or app.url_value_preprocessors.get(None)
        or app.url_value_preprocessors.get(name)
        or app.teardown_appcontext_funcs
        or app.config.get("SECRET_KEY")
        or type(app.session_interface) is not SecureCookieSessionInterface
        or app.websocket_class is not TrioWebsocket
        or app.url_map.host_matching
        or any(signal.receivers and signal.has_receivers_for(app) for signal in _SIGNALS)
        or _own_dispatch(app)
    )


def _own_dispatch(app: Quart) -> bool:
    """Return whether the app replaces a part of Quart's dispatch."""
    own, kind = vars(app), type(app)
    return any(name in own or getattr(kind, name) is not getattr(QuartTrio, name) for name in _DISPATCH)


async def answer_error(app: QuartTrio, websocket: Any, error: Exception) -> ResponseTypes | None:  # noqa: ANN401
    """Answer what a direct view raised as Quart does: with the app's error handlers, in their contexts.

    Raises:
        Exception: Quart propagates it.
    """
    async with app.websocket_context(websocket) as context:
        try:
            result = await app.handle_user_exception(error)
            return await app.finalize_websocket(result, context)
        except Exception as unhandled:
            return await app.handle_websocket_exception(unhandled)
