"""Make the Quart app: its routes, error responses, authentication and CORS. `web.server` runs it."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources.abc import Traversable
from typing import Final

import trio
from quart import Response, g, request
from quart.wrappers.base import BaseRequestWebsocket
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.routing import MapAdapter

from tasktree_rt.errors import PeerError, ProjectDamaged, SettingsError, StoreDamaged, StoreUnavailable
from tasktree_rt.hub.hub import Hub
from tasktree_rt.hub.projects.store_health import unavailable
from tasktree_rt.metrics import Metrics
from tasktree_rt.settings import Settings
from tasktree_rt.web.auth.authenticator import Authenticator, authenticator, put_authenticator
from tasktree_rt.web.auth.hooks import AskingAuthenticator
from tasktree_rt.web.auth.key_ring import keep_keys
from tasktree_rt.web.auth.origin_refusal_log import FOREIGN_ORIGIN, UNKNOWN_HOST, Refusals, refusals_of
from tasktree_rt.web.auth.origins import OriginPolicy
from tasktree_rt.web.auth.presented import token_of
from tasktree_rt.web.dashboard import ASSETS, PROJECT_PATHS, Site, packaged, read
from tasktree_rt.web.directory import project_routes
from tasktree_rt.web.docs_pages import Pages
from tasktree_rt.web.event_stream import stream_routes
from tasktree_rt.web.executions import ExecutionRoutes
from tasktree_rt.web.foreign_routes import ForeignSystem, addresses_of
from tasktree_rt.web.http import Api
from tasktree_rt.web.interactions import InteractionRoutes
from tasktree_rt.web.metrics_page import MetricsPage
from tasktree_rt.web.nodes import NodeRoutes
from tasktree_rt.web.problem_details import problem, status_problem
from tasktree_rt.web.protective_headers import PROTECTIVE
from tasktree_rt.web.request import HubRequest, put_decisions, require_admin
from tasktree_rt.web.response import LargeAnswers, reply
from tasktree_rt.web.search import search_routes
from tasktree_rt.web.server.app_addresses import put_addresses
from tasktree_rt.web.snapshots import SnapshotRoutes
from tasktree_rt.web.sockets import SocketRoutes

API: Final = "/api/v1"
API_FOLDER: Final = f"{API}/"
BODY_PATIENCE: Final = 0.5
"""Seconds to read the rest of a body that no route wanted. Then the connection ends."""
METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
NO_HOST: Final = "invalid"
"""The host for building URLs if the request's Host is invalid (RFC 2606)."""
READS: Final = frozenset({"GET", "HEAD"})
DOCUMENTS: Final = {
    "/docs": "docs.html",
    "/docs/reducer.json": "reducer.json",
    f"{API}/openapi.json": "openapi.json",
    f"{API}/asyncapi.json": "asyncapi.json",
}
"""The documents' paths and files (setting ``docs``)."""
OPEN_PATHS: Final = frozenset({"/healthz", "/readyz", *DOCUMENTS})
MAY_BE_SENT: Final = (
    "Authorization, Content-Encoding, Content-Type, Idempotency-Key, Producer-Id, Last-Event-ID"
)
"""Request headers that the CORS responses allow."""
FILES: Final = "/static/"
OPEN_FOLDERS: Final = (FILES, f"/{ASSETS}")
CODES: Final = {404: "not_found", 405: "invalid_message", 413: "too_large", 400: "invalid_message"}


class _App(QuartTrio):
    """Quart's app. It answers a malformed Host like an unknown one (403), where Quart would answer 500."""

    request_class = HubRequest

    def create_url_adapter(self, request: BaseRequestWebsocket | None) -> MapAdapter | None:
        try:
            return super().create_url_adapter(request)
        except HTTPException:
            assert request is not None
            return self.url_map.bind(
                NO_HOST,
                url_scheme=request.scheme,
                default_method=request.method,
                path_info=request.path,
                query_args=request.query_string.decode("latin-1"),
            )


def create_app(
    settings: Settings,
    hub: Hub,
    metrics: Metrics | None = None,
    *,
    built: Traversable | None = None,
    compat: Iterable[ForeignSystem] = (),
) -> QuartTrio:
    """Make the hub's web app.

    The app serves WebSockets only under `web.server.serve`; under another ASGI server those routes answer
    426.

    Args:
        metrics: served at ``/metrics`` if ``settings.metrics`` is on.
        built: a folder with a build of the dashboard, by default the package's own.
        compat: foreign systems whose clients the app serves too. ``tasktree-rt serve`` passes
            `tasktree_rt.cli.compose.foreign_systems()`.
    """
    app = _App("tasktree_rt", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.limits.max_message_size
    app.config["RESPONSE_TIMEOUT"] = None
    app.config["BODY_TIMEOUT"] = settings.limits.handshake_timeout * 3
    own = Authenticator(settings.auth)
    keep_keys(app, own.ring)
    put_authenticator(app, _authenticator(own, settings, hub))
    put_decisions(app, hub.access)
    app.register_blueprint(SocketRoutes(hub, settings).routes())
    executions = ExecutionRoutes(hub, settings)
    app.register_blueprint(executions.sockets(), url_prefix=API)
    app.register_blueprint(executions.routes(), url_prefix=API)
    systems = tuple(compat)
    for system in systems:
        for blueprint in system.routes(hub, settings):
            app.register_blueprint(blueprint)
    put_addresses(app, addresses_of(systems, settings))
    answers = app.extensions["large_answers"] = LargeAnswers(settings.limits)
    app.register_blueprint(Api(hub, answers).routes(), url_prefix=API)
    app.register_blueprint(SnapshotRoutes(hub, answers).routes(), url_prefix=API)
    app.register_blueprint(InteractionRoutes(hub, answers).routes(), url_prefix=API)
    app.register_blueprint(NodeRoutes(hub, answers).routes(), url_prefix=API)
    app.register_blueprint(stream_routes(hub), url_prefix=API)
    app.register_blueprint(project_routes(hub), url_prefix=API)
    app.register_blueprint(search_routes(hub), url_prefix=API)
    site = Site(read(built) if built is not None else packaged(), docs=settings.docs)
    _in_slices(app, hub, answers)
    _guard(app, settings, site)
    _errors(app, hub)
    _operations(app, hub)
    _pages(app, settings, site)
    if metrics is not None and settings.metrics:
        _scraping(app, MetricsPage(metrics, hub))
    return app


def _authenticator(own: Authenticator, settings: Settings, hub: Hub) -> Authenticator | AskingAuthenticator:
    hooks = hub.hooks
    if hooks.connect is None:
        return own
    if not settings.auth.on:
        raise SettingsError("auth.required: expected true, since Hooks.connect verifies credentials")
    return AskingAuthenticator(own, hooks, hub.meter, lambda: hub.wall() / 1_000_000)


def _scraping(app: QuartTrio, page: MetricsPage) -> None:
    @app.get("/metrics")
    async def scrape() -> Response:
        require_admin()
        return Response(page.text(), content_type=METRICS_TYPE)


def _in_slices(app: QuartTrio, hub: Hub, answers: LargeAnswers) -> None:
    @app.after_request
    async def in_slices(response: Response) -> Response:
        try:
            return answers.in_slices(response)
        except PeerError as error:
            hub.meter.refused(error.code)
            return problem(error)


def _guard(app: QuartTrio, settings: Settings, site: Site) -> None:
    policy, refusals = OriginPolicy(settings), refusals_of(app, settings)

    @app.before_request
    async def check_access() -> Response | None:
        refused = _refused(policy, refusals, site)
        if refused is not None:
            return refused
        if request.method != "OPTIONS" and not _is_open(request.path, site):
            found = await authenticator().authenticate(token_of(request))
            g.grants = found.at(request.headers.get("Remote-Addr", ""))
        return None

    @app.after_request
    async def close_after_unread_body(response: Response) -> Response:
        """Send ``Connection: close`` if the body is not read: the connection ends then, and a client that
        does not know it would lose its next request."""
        if (request.content_length or "Transfer-Encoding" in request.headers) and not await _body_read():
            response.headers["Connection"] = "close"
        return response

    @app.after_request
    async def cross_origin(response: Response) -> Response:
        for name, value in PROTECTIVE:
            response.headers.setdefault(name, value)
        origin = request.headers.get("Origin")
        if origin is not None and policy.lists(origin):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = "Heartbeat-Interval"
            response.vary.add("Origin")
            if request.method == "OPTIONS":
                response.headers["Access-Control-Allow-Methods"] = "GET, POST, PATCH, DELETE, OPTIONS"
                response.headers["Access-Control-Allow-Headers"] = MAY_BE_SENT
                response.headers["Access-Control-Max-Age"] = "600"
        return response


def _refused(policy: OriginPolicy, refusals: Refusals, site: Site) -> Response | None:
    """Make the 403 for an unknown Host, and for a request of a foreign page; None if it may go on.

    A foreign page may link to pages and load files, but not look into them (`web.protective_headers`). With
    a token it may read; only a page of ``cors_origins`` sees the response.
    """
    if not policy.knows_host(request.headers.get("Host")):
        refusals.host(request.headers.get("Host"), request.path)
        return status_problem(403, UNKNOWN_HOST, "forbidden")
    if not policy.is_foreign(request.headers):
        return None
    is_open = _is_open(request.path, site)
    may_read = is_open or (authenticator().on and token_of(request) is not None)
    if not is_open or "Origin" in request.headers:  # a link to a page is nothing to log
        refusals.page(request.headers, request.path)
    if request.method in READS and may_read:
        return None
    return status_problem(403, FOREIGN_ORIGIN, "forbidden")


async def _body_read() -> bool:
    with trio.move_on_after(BODY_PATIENCE):
        try:
            await request.body
        except HTTPException:
            return False
        return True
    return False


def _errors(app: QuartTrio, hub: Hub) -> None:
    @app.errorhandler(PeerError)
    async def peer_error(error: PeerError) -> Response:
        hub.meter.refused(error.code)
        return problem(error)

    @app.errorhandler(StoreUnavailable)
    async def store_error(error: StoreUnavailable) -> Response:
        return problem(unavailable(error, "the store is unavailable"))

    @app.errorhandler(StoreDamaged)
    async def store_damaged(error: StoreDamaged) -> Response:
        return await peer_error(ProjectDamaged(error.topic, error.reason))

    @app.errorhandler(HTTPException)
    async def http_error(error: HTTPException) -> Response:
        status = error.code or 500
        response = status_problem(status, error.description or "", CODES.get(status, "invalid_message"))
        for name, value in error.get_headers():
            if name != "Content-Type":  # Allow, Retry-After, …
                response.headers[name] = value
        return response

    @app.errorhandler(Exception)
    async def fault(error: Exception) -> Response:
        hub.report_fault("http", error)
        return status_problem(500, "internal error of the hub; see its log", "internal")


def _is_open(path: str, site: Site) -> bool:
    """Return whether a path needs no token: health, documents, the dashboard's pages and files."""
    if path in OPEN_PATHS:
        return True
    if path.startswith(API_FOLDER):
        return False
    return path.startswith(OPEN_FOLDERS) or site.is_page(path) or path.removeprefix("/") in site


def _operations(app: QuartTrio, hub: Hub) -> None:
    @app.get("/healthz")
    async def healthz() -> Response:
        return reply({"status": "healthy"})

    @app.get("/readyz")
    async def readyz() -> Response:
        trouble = hub.health.trouble
        state = {"status": trouble or "ready", "store": hub.health.store, **hub.health.outside}
        return reply(state, 503 if trouble else 200)


def _dashboard(app: QuartTrio, site: Site) -> None:
    @app.get("/")
    async def root() -> Response:
        best = request.accept_mimetypes.best_match(["text/html", "application/json"])
        response = reply({"status": "healthy"}) if best == "application/json" else site.page()
        response.vary.add("Accept")
        return response

    # A node's id may have any number of slashes in a row.
    @app.get(f"{PROJECT_PATHS}<path:place>", merge_slashes=False)
    async def project_page(place: str) -> Response:
        return site.page()

    @app.get(f"/{ASSETS}<path:name>")
    async def asset(name: str) -> Response:
        return one_file(f"{ASSETS}{name}")

    @app.get("/<name>")
    async def page_or_file(name: str) -> Response:
        return site.page() if site.is_page(f"/{name}") else one_file(name)

    def one_file(name: str) -> Response:
        if name not in site or name.endswith((".html", ".json")):
            raise NotFound
        return site.response(name)


def _pages(app: QuartTrio, settings: Settings, site: Site) -> None:
    pages = Pages()
    _dashboard(app, site)

    @app.get(f"{FILES}<path:name>")
    async def static_file(name: str) -> Response:
        if name not in pages or name.endswith((".html", ".json")):
            raise NotFound
        return pages.response(name)

    if settings.docs:

        async def document() -> Response:
            return pages.response(DOCUMENTS[request.path])

        for path in DOCUMENTS:
            app.add_url_rule(path, f"document {path}".replace(".", ""), document)
