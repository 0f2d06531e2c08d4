"""The Quart app: routes, errors, and who may ask from where. `create_app` makes it; `web.server` runs it."""

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

from tasktree_rt.errors import PeerError, ProjectDamaged, StoreDamaged, StoreUnavailable
from tasktree_rt.hub.hub import Hub
from tasktree_rt.hub.projects.store_health import unavailable
from tasktree_rt.metrics import Metrics
from tasktree_rt.settings import Settings
from tasktree_rt.web.auth.origins import OriginPolicy
from tasktree_rt.web.auth.refused_origins import Refusals, refusals_of
from tasktree_rt.web.auth.tokens import authenticate, token_of
from tasktree_rt.web.bodies import HubRequest
from tasktree_rt.web.caller import administers
from tasktree_rt.web.dashboard import ASSETS, PROJECT_PATHS, Site, packaged, read
from tasktree_rt.web.directory import project_routes
from tasktree_rt.web.docs_pages import Pages
from tasktree_rt.web.event_stream import stream_routes
from tasktree_rt.web.executions import ExecutionRoutes
from tasktree_rt.web.foreign_routes import ForeignSystem, addresses_of
from tasktree_rt.web.http import Api
from tasktree_rt.web.interactions import People
from tasktree_rt.web.json_response import reply
from tasktree_rt.web.large_response import LargeAnswers
from tasktree_rt.web.metrics_page import MetricsPage
from tasktree_rt.web.problem_details import problem, status_problem
from tasktree_rt.web.server.app_addresses import put_addresses
from tasktree_rt.web.snapshots import SnapshotRoutes
from tasktree_rt.web.sockets import SocketRoutes

API: Final = "/api/v1"
BODY_PATIENCE: Final = 0.5
"""Seconds for the rest of a body that nobody wanted, before its connection is given up."""
METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
NO_HOST: Final = "invalid"
"""The name to build addresses with where the request has none (RFC 2606)."""
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
DOCUMENTS: Final = {
    "/docs": "docs.html",
    "/docs/reducer.json": "reducer.json",
    f"{API}/openapi.json": "openapi.json",
    f"{API}/asyncapi.json": "asyncapi.json",
}
"""Paths of the documents (setting ``docs``), with their files."""
OPEN_PATHS: Final = frozenset({"/healthz", "/readyz", *DOCUMENTS})
MAY_BE_SENT: Final = (
    "Authorization, Content-Encoding, Content-Type, Idempotency-Key, Producer-Id, Last-Event-ID"
)
"""Headers that a page of ``cors_origins`` may send."""
FILES: Final = "/static/"
OPEN_FOLDERS: Final = (FILES, f"/{ASSETS}")
CODES: Final = {404: "not_found", 405: "invalid_message", 413: "too_large", 400: "invalid_message"}


class _App(QuartTrio):
    """Quart's app, but a Host that is no host's name is refused like any foreign one instead of failing
    (500)."""

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

    `metrics` are served at ``/metrics``, if they are given and ``settings.metrics`` is on. `built` is a
    folder with a build of the dashboard; by default it is the package's own. `compat` are the foreign
    systems whose clients the app serves too; `tasktree_rt.cli.compose.foreign_systems()` are all that
    ``tasktree-rt serve`` has.

    It serves WebSockets only under `web.server.serve`; under another ASGI server those routes answer 426.
    """
    app = _App("tasktree_rt", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.limits.max_message_size
    app.config["RESPONSE_TIMEOUT"] = None
    app.config["BODY_TIMEOUT"] = settings.limits.handshake_timeout * 3
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
    app.register_blueprint(People(hub, answers).routes(), url_prefix=API)
    app.register_blueprint(stream_routes(hub), url_prefix=API)
    app.register_blueprint(project_routes(hub), url_prefix=API)
    site = Site(read(built) if built is not None else packaged(), docs=settings.docs)
    _in_slices(app, hub, answers)
    _guard(app, settings, site)
    _errors(app, hub)
    _operations(app, hub)
    _pages(app, settings, site)
    if metrics is not None and settings.metrics:
        _scraping(app, MetricsPage(metrics, hub))
    return app


def _scraping(app: QuartTrio, page: MetricsPage) -> None:
    @app.get("/metrics")
    async def scrape() -> Response:
        administers()
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
    doorman, refusals = OriginPolicy(settings), refusals_of(app, settings)

    @app.before_request
    async def at_the_door() -> Response | None:
        kept_out = _kept_out(doorman, refusals)
        if kept_out is not None:
            return kept_out
        if request.method != "OPTIONS" and not _is_open(request.path, site):
            found = authenticate(settings.auth, token_of(request))
            g.grants = found.at(request.headers.get("Remote-Addr", ""))
        return None

    @app.after_request
    async def body_left(response: Response) -> Response:
        """An answer that comes before the body is read ends the connection: say so, or a client loses its
        next request on it."""
        if (request.content_length or "Transfer-Encoding" in request.headers) and not await _body_read():
            response.headers["Connection"] = "close"
        return response

    @app.after_request
    async def cross_origin(response: Response) -> Response:
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        origin = request.headers.get("Origin")
        if origin is not None and doorman.lists(origin):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = "Heartbeat-Interval"
            response.vary.add("Origin")
            if request.method == "OPTIONS":
                response.headers["Access-Control-Allow-Methods"] = "GET, POST, PATCH, DELETE, OPTIONS"
                response.headers["Access-Control-Allow-Headers"] = MAY_BE_SENT
                response.headers["Access-Control-Max-Age"] = "600"
        return response


def _kept_out(doorman: OriginPolicy, refusals: Refusals) -> Response | None:
    """403 for a Host that is not ours, and for a page elsewhere that wants to write."""
    host, origin = request.headers.get("Host"), request.headers.get("Origin")
    if not doorman.knows_host(host):
        refusals.host(host, request.path)
        return status_problem(403, "this hub does not go by that Host (see server_names)", "forbidden")
    if not doorman.admits(origin, host):
        refusals.origin(origin or "", host, request.path)
        if request.method not in SAFE:
            return status_problem(403, "this Origin may not talk to this hub (see cors_origins)", "forbidden")
    return None


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
        return problem(unavailable(error, "the store cannot do it"))

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
        return status_problem(500, "a fault of the hub's; it is logged", "internal")


def _is_open(path: str, site: Site) -> bool:
    """Whether no token is asked for: what is there for everybody, pages and documents."""
    known = path in OPEN_PATHS or path.startswith(OPEN_FOLDERS)
    return known or site.is_page(path) or path.removeprefix("/") in site


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

    # Slashes stay as they are: a node's id may have any number of them.
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
