"""The metrics of the loop, under names that dashboards and alerts rely on.

No label grows with the number of domains or accounts: the log and ``sendroute status`` name them.
"""

from collections import Counter
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Gauge, Histogram
from prometheus_client import Counter as Count

from sendroute.loop.rounds import RoundResult
from sendroute.loop.served_trees import Candidate
from sendroute.model.account_status import AccountStatus, StatusReason
from sendroute.model.outcome import Outcome
from sendroute.model.owner import PLATFORM, Owner, owner_named
from sendroute.model.version import __version__

_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)


class Metrics:
    """The loop writes them; the HTTP server reads the registry."""

    def __init__(self, at: CollectorRegistry) -> None:
        Gauge("sendroute_build_info", "Which version runs.", ["version"], registry=at).labels(
            __version__
        ).set(1)
        self._create_rounds(at)
        self._create_accounts(at)
        self._create_state(at)

    def _create_rounds(self, at: CollectorRegistry) -> None:
        """How the rounds go."""
        self._reconciles = Count(
            "sendroute_account_reconciles",
            "Reconciled accounts, by outcome.",
            ["outcome"],
            registry=at,
        )
        for outcome in Outcome:
            self._reconciles.labels(outcome.value)
        self._rounds = Count("sendroute_rounds", "Rounds, by outcome.", ["outcome"], registry=at)
        for outcome_of_round in ("completed", "failed"):
            self._rounds.labels(outcome_of_round)
        self._seconds = Histogram(
            "sendroute_round_duration_seconds",
            "How long a round took.",
            buckets=_SECONDS,
            registry=at,
        )

    def _create_accounts(self, at: CollectorRegistry) -> None:
        """What the rounds left open or repaired."""
        self._findings = Gauge(
            "sendroute_findings",
            "Open findings, by code.",
            ["code"],
            registry=at,
        )
        self._codes: dict[Owner, Counter[str]] = {}
        self._unsettled = Gauge(
            "sendroute_unsettled_accounts",
            "Accounts that the last round left open, by reason.",
            ["reason"],
            registry=at,
        )
        self._approved = Gauge(
            "sendroute_approved_accounts",
            "Accounts whose approved change is not applied yet.",
            registry=at,
        )
        self._drift = Count(
            "sendroute_drift_repaired_changes",
            "Changes of the store that repaired drift.",
            registry=at,
        )
        self._drifted = Count(
            "sendroute_drifted_accounts",
            "Accounts that had drifted, counted at each repair.",
            registry=at,
        )
        self._success = Gauge(
            "sendroute_last_success_timestamp_seconds",
            "When the newest tree was last reconciled with no account left open.",
            registry=at,
        )
        self._reconciled = Gauge(
            "sendroute_last_reconcile_timestamp_seconds",
            "When a round was last completed.",
            registry=at,
        )
        self._failures = Gauge(
            "sendroute_consecutive_failures", "Rounds that failed in a row.", registry=at
        )

    def _create_state(self, at: CollectorRegistry) -> None:
        """What is served, and the store."""
        self._tree = Gauge(
            "sendroute_tree_good",
            "1 while the newest tree is served; 0 while it is unavailable or cannot be used.",
            registry=at,
        )
        self._store = Gauge("sendroute_store_up", "1 while the store answers.", registry=at)
        self._revision = Gauge("sendroute_store_revision", "The store's revision.", registry=at)
        self._accounts = Gauge("sendroute_accounts", "Accounts in the tree.", registry=at)
        self._domains = Gauge("sendroute_domains", "Domains in the tree.", registry=at)
        self._commit = Gauge(
            "sendroute_commit_info",
            "The commit that is served.",
            ["commit"],
            registry=at,
        )

    def tree(self, *, good: bool) -> None:
        """Report whether the newest tree is served."""
        self._tree.set(good)

    def serving(self, served: Candidate) -> None:
        """Report the tree that is served."""
        desired = served.tree.desired
        self._accounts.set(len(desired.accounts))
        self._domains.set(sum(len(account.domains) for account in desired.accounts.values()))
        self._commit.clear()
        self._commit.labels(served.tree.commit or "").set(1)

    def store(self, *, up: bool) -> None:
        """Report whether the store answers."""
        self._store.set(up)

    def revision(self, revision: int) -> None:
        """Report the store's revision."""
        self._revision.set(revision)

    def round_completed(self, round_result: RoundResult, seconds: float, now: float) -> None:
        """Report a completed round, its duration in ``seconds``, and ``now``, a Unix time."""
        self._rounds.labels("completed").inc()
        self._seconds.observe(seconds)
        self._failures.set(0)
        self._reconciled.set(now)
        for outcome, count in Counter(
            account.outcome for account in round_result.result.accounts
        ).items():
            self._reconciles.labels(outcome.value).inc(count)
        self._drift.inc(sum(round_result.drifted.values()))
        self._drifted.inc(len(round_result.drifted))
        self._count_findings(round_result)

    def _count_findings(self, round_result: RoundResult) -> None:
        """Accounts that were not in this round keep the findings of an earlier round."""
        codes: dict[Owner, Counter[str]] = {}
        for finding in round_result.result.plan.all_findings:
            key = owner_named(finding.namespace or "", finding.account or "")
            codes.setdefault(key, Counter())[finding.code] += 1
        if round_result.due.accounts is None:
            self._codes = {}
        else:
            reconciled = round_result.due.accounts | {
                account.key for account in round_result.result.accounts
            }
            for key in reconciled | {PLATFORM}:
                self._codes.pop(key, None)
        self._codes |= codes
        self._findings.clear()
        for code, count in sum(self._codes.values(), Counter[str]()).items():
            self._findings.labels(code).set(count)

    def round_failed(self) -> None:
        """Report a failed round."""
        self._rounds.labels("failed").inc()
        self._failures.inc()

    def statuses(
        self, account_statuses: Iterable[AccountStatus], *, is_newest: bool, now: float
    ) -> None:
        """Report all accounts with a status. ``is_newest``: the newest tree is served."""
        statuses = list(account_statuses)
        by_reason = Counter(status.reason for status in statuses)
        for reason in StatusReason:
            self._unsettled.labels(reason.value).set(by_reason[reason])
        self._approved.set(sum(status.approved for status in statuses))
        if is_newest and not statuses:
            self._success.set(now)
