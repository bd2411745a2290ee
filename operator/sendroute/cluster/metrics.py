"""The metrics of the operator, besides those of every process that reconciles accounts."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from sendroute.cluster.objects import PLURALS
from sendroute.runtime.metrics import RoundMetrics

_SECONDS = (0.005, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30)


class OperatorMetrics(RoundMetrics):
    """The operator writes them, from several threads; the HTTP server reads the registry."""

    def __init__(self, at: CollectorRegistry) -> None:
        super().__init__(at)
        self._queue = Gauge(
            "sendroute_queue_depth",
            "Accounts whose changed objects were not reconciled yet.",
            registry=at,
        )
        self._leader = Gauge("sendroute_leader", "1 while this process is the leader.", registry=at)
        self._objects = Gauge("sendroute_objects", "Objects, by kind.", ["kind"], registry=at)
        self._synced = Gauge(
            "sendroute_kind_synced",
            "1 while the objects of a kind are followed; 0 while the API refuses or fails.",
            ["kind"],
            registry=at,
        )
        self._restarts = Counter(
            "sendroute_api_restarts",
            "Complete lists and watches that began, by kind.",
            ["kind", "verb"],
            registry=at,
        )
        self._latency = Histogram(
            "sendroute_api_request_duration_seconds",
            "How long the Kubernetes API took to answer, by verb and HTTP status; 0 is no answer.",
            ["verb", "status"],
            buckets=_SECONDS,
            registry=at,
        )
        for kind in PLURALS:
            for verb in ("list", "watch"):
                self._restarts.labels(kind, verb)
        self._leader.set(0)

    def queue(self, depth: int) -> None:
        """Report how many accounts wait."""
        self._queue.set(depth)

    def leader(self, *, leads: bool) -> None:
        """Report whether this process is the leader."""
        self._leader.set(leads)

    def kind(self, kind: str, count: int, *, followed: bool) -> None:
        """Report the objects of a kind, and whether they are followed."""
        self._objects.labels(kind).set(count)
        self._synced.labels(kind).set(followed)

    def restarted(self, kind: str, verb: str) -> None:
        """Count a list or a watch that begins."""
        self._restarts.labels(kind, verb).inc()

    def answered(self, verb: str, status: int, seconds: float) -> None:
        """Observe an answer of the Kubernetes API.

        Args:
            verb: the kind of request: list, watch, or a method of HTTP.
            status: the status of HTTP, or :data:`~sendroute.cluster.api.NO_ANSWER`.
            seconds: how long the answer took.
        """
        self._latency.labels(verb, str(status)).observe(seconds)
