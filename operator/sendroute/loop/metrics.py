"""The metrics of the loop, besides those of every process that reconciles accounts."""

from prometheus_client import CollectorRegistry, Gauge

from sendroute.loop.served_trees import Candidate
from sendroute.runtime.metrics import RoundMetrics


class LoopMetrics(RoundMetrics):
    """The loop writes them; the HTTP server reads the registry."""

    def __init__(self, at: CollectorRegistry) -> None:
        super().__init__(at)
        self._tree = Gauge(
            "sendroute_tree_good",
            "1 while the newest tree is served; 0 while it is unavailable or cannot be used.",
            registry=at,
        )
        self._commit = Gauge(
            "sendroute_commit_info",
            "The commit that is served.",
            ["commit"],
            registry=at,
        )

    def tree(self, *, serves_newest: bool) -> None:
        """Report whether the newest tree is served.

        Args:
            serves_newest: false while the last good tree is served instead, because the newest one
                is unusable.
        """
        self._tree.set(serves_newest)

    def serving(self, served: Candidate) -> None:
        """Report the tree that is served."""
        desired = served.tree.desired
        domains = sum(len(account.domains) for account in desired.accounts.values())
        self.declared(len(desired.accounts), domains)
        self._commit.clear()
        self._commit.labels(served.tree.commit or "").set(1)
