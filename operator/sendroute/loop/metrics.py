"""What is counted, under the names that dashboards and alerts know.

No label grows with the number of domains or accounts: which account it is, the logs and
``sendroute status`` say.
"""

from collections import Counter
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Gauge, Histogram
from prometheus_client import Counter as Count

from sendroute import __version__
from sendroute.loop.rounds import Reconciled
from sendroute.loop.tree_source import LoadedTree
from sendroute.model.account_status import AccountStatus, StatusReason
from sendroute.model.exit_status import findings_of
from sendroute.model.outcome import Outcome
from sendroute.model.owner import PLATFORM, Owner, owner_named

_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)


class Metrics:
    """Written by the loop, read by whoever asks the registry."""

    def __init__(self, at: CollectorRegistry) -> None:
        Gauge("sendroute_build_info", "Which version runs.", ["version"], registry=at).labels(
            __version__
        ).set(1)
        self._reconciles = Count(
            "sendroute_account_reconciles",
            "Accounts that were reconciled, by what became of them.",
            ["outcome"],
            registry=at,
        )
        for outcome in Outcome:
            self._reconciles.labels(outcome.value)
        self._rounds = Count(
            "sendroute_rounds", "Rounds, by whether they could be made.", ["outcome"], registry=at
        )
        for outcome_of_round in ("made", "failed"):
            self._rounds.labels(outcome_of_round)
        self._seconds = Histogram(
            "sendroute_round_duration_seconds",
            "How long a round took.",
            buckets=_SECONDS,
            registry=at,
        )
        self._findings = Gauge(
            "sendroute_findings",
            "Findings that stand, by code.",
            ["code"],
            registry=at,
        )
        self._codes: dict[Owner, Counter[str]] = {}
        self._unsettled = Gauge(
            "sendroute_unsettled_accounts",
            "Accounts that the last reconcile did not settle.",
            ["outcome"],
            registry=at,
        )
        self._approved = Gauge(
            "sendroute_approved_accounts", "Approved, and not applied yet.", registry=at
        )
        self._drift = Count(
            "sendroute_drift_repaired_changes",
            "Changes made to the store although no manifest had changed.",
            registry=at,
        )
        self._drifted = Count(
            "sendroute_drifted_accounts",
            "Accounts that were found to have drifted.",
            registry=at,
        )
        self._success = Gauge(
            "sendroute_last_success_timestamp_seconds",
            "When a round over the newest tree last ended with every account settled.",
            registry=at,
        )
        self._reconciled = Gauge(
            "sendroute_last_reconcile_timestamp_seconds",
            "When a round was last made.",
            registry=at,
        )
        self._failures = Gauge(
            "sendroute_consecutive_failures", "Rounds that failed in a row.", registry=at
        )
        self._tree = Gauge(
            "sendroute_tree_good",
            "1 while the newest tree serves; 0 while it cannot be had or used.",
            registry=at,
        )
        self._store = Gauge("sendroute_store_up", "1 while the store answers.", registry=at)
        self._revision = Gauge("sendroute_store_revision", "The store's revision.", registry=at)
        self._accounts = Gauge("sendroute_accounts", "Accounts in the tree.", registry=at)
        self._domains = Gauge("sendroute_domains", "Domains in the tree.", registry=at)
        self._commit = Gauge(
            "sendroute_commit_info",
            "Which commit is served.",
            ["commit"],
            registry=at,
        )

    def tree(self, *, good: bool) -> None:
        self._tree.set(good)

    def serving(self, taken: LoadedTree) -> None:
        desired = taken.source.desired
        self._accounts.set(len(desired.accounts))
        self._domains.set(sum(len(account.domains) for account in desired.accounts.values()))
        self._commit.clear()
        self._commit.labels(taken.source.commit or "").set(1)

    def store(self, *, up: bool) -> None:
        self._store.set(up)

    def revision(self, revision: int) -> None:
        self._revision.set(revision)

    def made(self, done: Reconciled, seconds: float, now: float) -> None:
        """``now`` is a Unix time."""
        self._rounds.labels("made").inc()
        self._seconds.observe(seconds)
        self._failures.set(0)
        self._reconciled.set(now)
        for outcome, count in Counter(one.outcome for one in done.result.accounts).items():
            self._reconciles.labels(outcome.value).inc(count)
        self._drift.inc(sum(done.drifted.values()))
        self._drifted.inc(len(done.drifted))
        self._count_findings(done)

    def _count_findings(self, done: Reconciled) -> None:
        """Of what was not reconciled in this round, those of an earlier one still stand."""
        codes: dict[Owner, Counter[str]] = {}
        for found in findings_of(done.result.plan):
            key = owner_named(found.namespace or "", found.account or "")
            codes.setdefault(key, Counter())[found.code] += 1
        if done.due.accounts is None:
            self._codes = {}
        else:
            asked = done.due.accounts | {one.key for one in done.result.accounts}
            for key in asked | {PLATFORM}:
                self._codes.pop(key, None)
        self._codes |= codes
        self._findings.clear()
        for code, count in sum(self._codes.values(), Counter[str]()).items():
            self._findings.labels(code).set(count)

    def failed(self, failures: int) -> None:
        self._rounds.labels("failed").inc()
        self._failures.set(failures)

    def standing(
        self, account_statuses: Iterable[AccountStatus], *, newest: bool, now: float
    ) -> None:
        """All that is unsettled; ``newest``: the newest tree serves."""
        known = list(account_statuses)
        by_outcome = Counter(one.outcome for one in known)
        for outcome in StatusReason:
            self._unsettled.labels(outcome.value).set(by_outcome[outcome])
        self._approved.set(sum(one.approved for one in known))
        if newest and not known:
            self._success.set(now)
