"""The metrics of the agent, under names that dashboards and alerts rely on."""

import time
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from sendroute.model.version import __version__

_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)


class AgentMetrics:
    """The agent writes them; the HTTP server reads the registry."""

    def __init__(self, at: CollectorRegistry) -> None:
        Gauge("sendroute_build_info", "Which version runs.", ["version"], registry=at).labels(
            __version__
        ).set(1)
        self.served = Gauge(
            "sendroute_relay_served_revision", "The revision in the tables.", registry=at
        )
        self.revision = Gauge("sendroute_store_revision", "The store's revision.", registry=at)
        self.store_up = Gauge("sendroute_store_up", "1 while the store answers.", registry=at)
        self.tables_good = Gauge(
            "sendroute_relay_tables_good", "1 while the tables can be written.", registry=at
        )
        self._behind_since: float | None = None
        Gauge(
            "sendroute_relay_lag_seconds",
            "For how long the store has had a revision that is not served; 0 if there is none.",
            registry=at,
        ).set_function(self._lag)
        self._answered = time.monotonic()
        Gauge(
            "sendroute_relay_store_age_seconds",
            "Seconds since the store last answered.",
            registry=at,
        ).set_function(lambda: time.monotonic() - self._answered)
        self._rows = Gauge("sendroute_relay_rows", "Rows of the tables.", ["table"], registry=at)
        self._nexthops = Gauge(
            "sendroute_relay_nexthops", "Aliases of nexthops, by state.", ["state"], registry=at
        )
        self._updates = Counter(
            "sendroute_relay_updates", "Revisions written, by outcome.", ["outcome"], registry=at
        )
        self._reloads = Counter(
            "sendroute_relay_reloads", "Reloads of Postfix, by outcome.", ["outcome"], registry=at
        )
        for outcome in ("completed", "failed"):
            self._updates.labels(outcome)
            self._reloads.labels(outcome)
        self._seconds = Histogram(
            "sendroute_relay_update_duration_seconds",
            "How long it took to read a change and to write it to the tables.",
            buckets=_SECONDS,
            registry=at,
        )

    def _lag(self) -> float:
        since = self._behind_since
        return 0.0 if since is None else time.monotonic() - since

    def answered(self, revision: int) -> None:
        """The store answered that it is at this revision."""
        self._answered = time.monotonic()
        self.store_up.set(1)
        self.revision.set(revision)

    @property
    def store_age(self) -> float:
        """Seconds since the store last answered."""
        return time.monotonic() - self._answered

    def serves_latest(self, *, latest: bool) -> None:
        """Report whether the store's latest revision is served."""
        if latest:
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = time.monotonic()

    def updated(self, seconds: float | None) -> None:
        """Report an update and its duration; None if it failed."""
        self._updates.labels("failed" if seconds is None else "completed").inc()
        if seconds is not None:
            self._seconds.observe(seconds)

    def reloaded(self, *, completed: bool) -> None:
        """Report a reload of Postfix."""
        self._reloads.labels("completed" if completed else "failed").inc()

    def rows(self, counts: Mapping[str, int]) -> None:
        """Report the number of rows of each table."""
        for table, count in counts.items():
            self._rows.labels(table).set(count)

    def nexthops(self, counts: Mapping[str, int]) -> None:
        """Report the number of aliases in each state."""
        for state, count in counts.items():
            self._nexthops.labels(state).set(count)
