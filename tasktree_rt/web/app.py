"""Make the Quart app: its routes, error responses, authentication and CORS. `web.server` runs it."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources.abc import Traversable
from typing import Final

from quart import Response, g, request
from quart.wrappers.base import BaseRequestWebsocket
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.routing import MapAdapter

from tasktree_rt import __version__
from tasktree_rt.errors import PeerError, ProjectDamaged, SettingsError, StoreDamaged, StoreUnavailable
from tasktree_rt.hub.hub import Hub
from tasktree_rt.hub.projects.store_health import unavailable
from tasktree_rt.metrics import Metrics
from tasktree_rt.settings import Settings
from tasktree_rt.web.admin import AdminRoutes
from tasktree_rt.web.auth.authenticator import (
    Admission,
    Authenticates,
    Authenticator,
    authenticator,
    put_authenticator,
)
from tasktree_rt.web.auth.hooks import AskingAuthenticator
from tasktree_rt.web.auth.key_ring import keep_keys
from tasktree_rt.web.auth.subscription_credentials import TokenAuthenticator
from tasktree_rt.web.body_limits import body_limits
from tasktree_rt.web.compressed_response import compress_responses
from tasktree_rt.web.dashboard import ASSETS, PROJECT_PATHS, Site, packaged, read
from tasktree_rt.web.directory import project_routes
from tasktree_rt.web.docs_pages import Pages
from tasktree_rt.web.event_stream import stream_routes
from tasktree_rt.web.executions import ExecutionRoutes
from tasktree_rt.web.foreign_routes import ForeignSystem, addresses_of
from tasktree_rt.web.guard import API, DOCUMENTS, FILES, guard
from tasktree_rt.web.http import Api
from tasktree_rt.web.interactions import InteractionRoutes
from tasktree_rt.web.manual import MANUAL, Manual, packaged_manual
from tasktree_rt.web.metrics_page import MetricsPage
from tasktree_rt.web.nodes import NodeRoutes
from tasktree_rt.web.otlp.routes import OtlpRoutes
from tasktree_rt.web.problem_details import problem, status_problem
from tasktree_rt.web.request import limited, put_decisions, require_admin
from tasktree_rt.web.request_rates import RequestRates, put_request_rates
from tasktree_rt.web.response import LargeAnswers, reply
from tasktree_rt.web.search import search_routes
from tasktree_rt.web.series import series_routes
from tasktree_rt.web.server.app_addresses import put_addresses
from tasktree_rt.web.shared_projects import sharing_routes
from tasktree_rt.web.snapshots import SnapshotRoutes
from tasktree_rt.web.sockets import SocketRoutes

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
NO_HOST: Final = "invalid"
"""The host for building URLs if the request's Host is invalid (RFC 2606)."""
CODES: Final = {404: "not_found", 405: "invalid_message", 413: "too_large", 400: "invalid_message"}


class _App(QuartTrio):
    """Quart's app. It answers a malformed Host like an unknown one (403), where Quart would answer 500."""

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
    manual: Traversable | None = None,
    compat: Iterable[ForeignSystem] = (),
) -> QuartTrio:
    """Make the hub's web app.

    The app serves WebSockets only under `web.server.serve`; under another ASGI server those routes answer
    426.

    Args:
        metrics: served at ``/metrics`` if ``settings.metrics`` is on.
        built: a folder with a build of the dashboard, by default the package's own.
        manual: a folder with the documentation as a site, by default the package's own.
        compat: foreign systems whose clients the app serves too. ``tasktree-rt serve`` passes
            `tasktree_rt.composition.compose.foreign_systems()`.
    """
    app = _App("tasktree_rt", static_folder=None)
    app.request_class = limited(body_limits(settings))
    app.config["MAX_CONTENT_LENGTH"] = settings.limits.max_message_size
    app.config["RESPONSE_TIMEOUT"] = None
    app.config["BODY_TIMEOUT"] = settings.limits.handshake_timeout * 3
    own = Authenticator(settings.auth)
    keep_keys(app, own.ring)
    put_authenticator(app, Admission(_authenticator(own, settings, hub), hub.administration))
    put_decisions(app, hub.access)
    rates = RequestRates(hub.rates, settings.limits)
    put_request_rates(app, rates)
    app.register_blueprint(SocketRoutes(hub, settings).routes())
    executions = ExecutionRoutes(hub, settings)
    app.register_blueprint(executions.sockets(), url_prefix=API)
    app.register_blueprint(executions.routes(), url_prefix=API)
    systems = tuple(compat)
    for system in systems:
        for blueprint in system.routes(hub, settings):
            app.register_blueprint(blueprint)
    put_addresses(app, addresses_of(systems, settings))
    answers = app.extensions["large_answers"] = LargeAnswers(settings.limits, rates.charge)
    app.register_blueprint(Api(hub, answers).routes(), url_prefix=API)
    app.register_blueprint(SnapshotRoutes(hub, answers).routes(), url_prefix=API)
    app.register_blueprint(InteractionRoutes(hub, answers).routes(), url_prefix=API)
    app.register_blueprint(NodeRoutes(hub, answers).routes(), url_prefix=API)
    app.register_blueprint(series_routes(hub, answers), url_prefix=API)
    app.register_blueprint(AdminRoutes(hub, answers).routes(), url_prefix=f"{API}/admin")
    app.register_blueprint(stream_routes(hub), url_prefix=API)
    app.register_blueprint(project_routes(hub), url_prefix=API)
    app.register_blueprint(search_routes(hub), url_prefix=API)
    app.register_blueprint(sharing_routes(hub), url_prefix=API)
    app.register_blueprint(OtlpRoutes(hub, settings).routes(), url_prefix="/v1")
    site = Site(read(built) if built is not None else packaged(), docs=settings.docs)
    if settings.compression.http:
        compress_responses(app, hub.compressor, settings.compression.min_size)
    _in_slices(app, hub, answers)
    guard(app, settings, site)
    _errors(app, hub)
    if settings.tls.hsts_max_age:
        _strict_transport(app, settings.tls.hsts_max_age)
    _operations(app, hub)
    _pages(app, settings, site)
    if settings.docs:
        _manual(app, Manual(packaged_manual() if manual is None else manual))
    if metrics is not None and settings.metrics:
        _scraping(app, MetricsPage(metrics, hub))
    return app


def _authenticator(keys: Authenticator, settings: Settings, hub: Hub) -> Authenticates:
    own, hooks = TokenAuthenticator(keys, hub.subscription_tokens), hub.hooks
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


def _strict_transport(app: QuartTrio, max_age: int) -> None:
    @app.after_request
    async def strict_transport(response: Response) -> Response:
        response.headers["Strict-Transport-Security"] = f"max-age={max_age}"
        return response


def _errors(app: QuartTrio, hub: Hub) -> None:
    @app.errorhandler(PeerError)
    async def peer_error(error: PeerError) -> Response:
        hub.meter.refused(error.code)
        if "grants" in g:  # a refused token is in the log already
            authenticator().audit_refusal(error, g.grants, g.grants.address)
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


def _operations(app: QuartTrio, hub: Hub) -> None:
    @app.get("/healthz")
    async def healthz() -> Response:
        return reply({"status": "healthy"})

    @app.get("/version")
    async def version() -> Response:
        return reply({"version": __version__})

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


def _manual(app: QuartTrio, manual: Manual) -> None:
    @app.get(MANUAL)
    async def manual_begin() -> Response:
        return await manual.response("")

    @app.get(f"{MANUAL}<path:name>")
    async def manual_file(name: str) -> Response:
        return await manual.response(name)


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
