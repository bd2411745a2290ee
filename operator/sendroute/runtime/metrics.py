"""The metrics of every process that reconciles accounts, under names that dashboards and alerts
rely on.

No label grows with the number of domains or accounts: the log and the statuses in the
store name them.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from functools import partial

from prometheus_client import CollectorRegistry, Gauge, Histogram
from prometheus_client import Counter as Count

from sendroute.model.account_status import AccountStatus, StatusReason
from sendroute.model.desired import AccountKey
from sendroute.model.outcome import Outcome, Result
from sendroute.model.owner import PLATFORM, Owner, owner_named
from sendroute.model.version import __version__

_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)


class RoundMetrics:
    """The process writes them; the HTTP server reads the registry."""

    def __init__(self, at: CollectorRegistry) -> None:
        gauge, count = partial(Gauge, registry=at), partial(Count, registry=at)
        gauge("sendroute_build_info", "Which version runs.", ["version"]).labels(__version__).set(1)
        # How the rounds go.
        self._reconciles = count(
            "sendroute_account_reconciles", "Reconciled accounts, by outcome.", ["outcome"]
        )
        for outcome in Outcome:
            self._reconciles.labels(outcome.value)
        self._rounds = count("sendroute_rounds", "Rounds, by outcome.", ["outcome"])
        for outcome_of_round in ("completed", "failed"):
            self._rounds.labels(outcome_of_round)
        self._seconds = Histogram(
            "sendroute_round_duration_seconds",
            "How long a round took.",
            buckets=_SECONDS,
            registry=at,
        )
        self._success = gauge(
            "sendroute_last_success_timestamp_seconds",
            "When the newest tree was last reconciled with no account left open.",
        )
        self._reconciled = gauge(
            "sendroute_last_reconcile_timestamp_seconds", "When a round was last completed."
        )
        self._failures = gauge("sendroute_consecutive_failures", "Rounds that failed in a row.")
        # What the rounds left open or repaired.
        self._findings = gauge("sendroute_findings", "Open findings, by code.", ["code"])
        self._codes: dict[Owner, Counter[str]] = {}
        self._unapplied = gauge(
            "sendroute_unapplied_accounts",
            "Accounts that were not fully applied, by reason.",
            ["reason"],
        )
        self._approved = gauge(
            "sendroute_approved_accounts", "Accounts whose approved change is not applied yet."
        )
        self._drift = count(
            "sendroute_drift_repaired_changes", "Changes of the store that repaired drift."
        )
        self._drifted = count(
            "sendroute_drifted_accounts", "Accounts that had drifted, counted at each repair."
        )
        # What is declared, and the store.
        self._store = gauge("sendroute_store_up", "1 while the store answers.")
        self._revision = gauge("sendroute_store_revision", "The store's revision.")
        self._accounts = gauge("sendroute_accounts", "Declared accounts.")
        self._domains = gauge("sendroute_domains", "Declared domains.")

    def declared(self, accounts: int, domains: int) -> None:
        """Report how much is declared.

        Args:
            accounts: the number of accounts in the manifests.
            domains: the number of their domains.
        """
        self._accounts.set(accounts)
        self._domains.set(domains)

    def store(self, *, up: bool) -> None:
        """Report whether the store answers."""
        self._store.set(up)

    def revision(self, revision: int) -> None:
        """Report the store's revision."""
        self._revision.set(revision)

    def round_completed(
        self,
        result: Result,
        due: Collection[Owner] | None,
        repaired: Mapping[AccountKey, int],
        seconds: float,
        now: float,
    ) -> None:
        """Report a completed round.

        Args:
            result: the outcome of each account.
            due: the accounts of the round; None for all.
            repaired: the changes that repaired drift, by account.
            seconds: how long it took.
            now: a Unix time.
        """
        self._rounds.labels("completed").inc()
        self._seconds.observe(seconds)
        self._failures.set(0)
        self._reconciled.set(now)
        outcomes = Counter(account.outcome for account in result.accounts)
        for outcome, count in outcomes.items():
            self._reconciles.labels(outcome.value).inc(count)
        self._drift.inc(sum(repaired.values()))
        self._drifted.inc(len(repaired))
        self._count_findings(result, due)

    def _count_findings(self, result: Result, due: Collection[Owner] | None) -> None:
        """Accounts that were not in this round keep the findings of an earlier round."""
        codes: dict[Owner, Counter[str]] = {}
        for finding in result.plan.all_findings:
            key: Owner = PLATFORM
            if finding.account is not None:
                key = owner_named(finding.namespace or "", finding.account)
            codes.setdefault(key, Counter())[finding.code] += 1
        if due is None:
            self._codes = {}
        else:
            reconciled = {*due, *(account.key for account in result.accounts), PLATFORM}
            for key in reconciled:
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
        """Report all accounts with a status.

        Args:
            account_statuses: the statuses, by owner.
            is_newest: what is declared now was reconciled.
            now: the Unix time, in seconds.
        """
        statuses = list(account_statuses)
        by_reason = Counter(status.reason for status in statuses)
        for reason in StatusReason:
            self._unapplied.labels(reason.value).set(by_reason[reason])
        self._approved.set(sum(status.approved for status in statuses))
        if is_newest and not statuses:
            self._success.set(now)
