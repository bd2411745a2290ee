"""``/metrics``, ``/healthz`` and ``/readyz`` as a WSGI application (PEP 3333)."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from sendroute.telemetry.health import Health, HealthAnswer

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

SERVER = "sendroute"
"""The name of the server in its answers."""


def application(health: Health, registry: "CollectorRegistry") -> WSGIApplication:
    """Create the WSGI application. Health pages answer 200 or 503 with one line of plain text;
    metrics have the format that the client requests; everything else is 404 or 405."""
    pages: dict[str, WSGIApplication] = {
        "/metrics": _metrics_page(registry),
        "/healthz": _health_page(health.alive),
        "/readyz": _health_page(health.readiness),
    }

    def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        start = _named(start)
        method = environ["REQUEST_METHOD"]
        if method not in ("GET", "HEAD"):
            allowed = ("Allow", "GET, HEAD")
            return _text(start, "405 Method Not Allowed", "Only GET and HEAD.", allowed)
        page = pages.get(environ["PATH_INFO"], missing)
        body = page({**environ, "REQUEST_METHOD": "GET"}, start)
        return body if method == "GET" else []

    def missing(_: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        return _text(start, "404 Not Found", f"Not found. The pages are {', '.join(pages)}.")

    return answer


def _named(start: StartResponse) -> StartResponse:
    """Names the server. Otherwise wsgiref gives its own version and that of Python."""

    def named(status: str, headers: list[tuple[str, str]], error: Any = None, /) -> Any:
        return start(status, [*headers, ("Server", SERVER)], error)

    return named


def _metrics_page(registry: "CollectorRegistry") -> WSGIApplication:
    from prometheus_client import make_wsgi_app
    from prometheus_client.exposition import choose_encoder

    page: WSGIApplication = make_wsgi_app(registry)

    def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        try:
            choose_encoder(environ.get("HTTP_ACCEPT", ""))
        except (TypeError, ValueError):  # no version: the format that every client reads
            environ = {**environ, "HTTP_ACCEPT": ""}
        return page(environ, start)

    return answer


def _health_page(probe: Callable[[], HealthAnswer]) -> WSGIApplication:
    def page(_: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        answer = probe()
        return _text(start, "200 OK" if answer.ok else "503 Service Unavailable", answer.text)

    return page


def _text(
    start: StartResponse, status: str, text: str, *headers: tuple[str, str]
) -> Iterable[bytes]:
    body = f"{' '.join(text.split())}\n".encode()
    plain = ("Content-Type", "text/plain; charset=utf-8")
    start(status, [plain, ("Content-Length", str(len(body))), *headers])
    return [body]


def registry() -> "CollectorRegistry":
    """Return a new registry, instead of the library's global one, with the process's memory,
    processor time, open files and Python version."""
    from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector

    created = CollectorRegistry(auto_describe=True)
    ProcessCollector(registry=created)
    PlatformCollector(registry=created)
    return created
