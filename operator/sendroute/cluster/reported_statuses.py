"""What the cluster shows of each account. It is reported when it changes, not in every round."""

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from sendroute.cluster.desired import DesiredState
from sendroute.cluster.lineage import shown_lineage
from sendroute.cluster.objects import ClusterObject, Reconciled, ReconciledPlatform
from sendroute.cluster.protocols import OperatorStore, StatusReporter
from sendroute.cluster.round import OperatorRoundResult
from sendroute.model.account_status import StatusReason
from sendroute.model.current import CurrentAccount
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding
from sendroute.model.outcome import Outcome
from sendroute.model.owner import PLATFORM, Owner
from sendroute.reconcile.assessment import AccountStatuses

_PORTION = 200
"""Accounts that are read from the store together."""


class ReportedStatuses:
    """Remembers what was reported. For one thread."""

    def __init__(self, reporter: StatusReporter) -> None:
        self._reporter = reporter
        self._last: dict[Owner, int] = {}
        self._lineage = ""  # of the store that was reconciled last
        self._faults: tuple[Finding, ...] = ()
        self._of_platform: tuple[tuple[Finding, ...], Outcome | None] = ((), None)

    def other_store(self, state: DesiredState, mismatch: Finding) -> None:
        """Report at every object why nothing is reconciled: the store is another one.

        Args:
            state: the objects.
            mismatch: the finding about the store.
        """
        for key in state.mentioned:
            self._report_unreconciled(state, key, (mismatch,))
        item = next(iter(state.objects(PLATFORM)), None)
        if self._is_news(PLATFORM, (mismatch,)):
            self._reporter.platform(
                ReconciledPlatform(
                    item,
                    (mismatch,),
                    None,
                    {},
                    None,
                    None,
                    shown_lineage(item) if item is not None else "",
                )
            )

    def _report_unreconciled(
        self, state: DesiredState, key: AccountKey, findings: tuple[Finding, ...]
    ) -> None:
        """Report why an account is not reconciled. What its objects have shown remains."""
        objects = state.objects(key)
        if objects and self._is_news(key, ([_seen(item) for item in objects], findings)):
            reconciled = Reconciled(
                key,
                objects,
                state.accounts.get(key),
                findings,
                None,
                None,
                None,
                None,
                lineage=next(filter(None, map(shown_lineage, objects)), ""),
            )
            self._reporter.account(reconciled)

    def show_faults(
        self,
        store: OperatorStore,
        state: DesiredState,
        faults: tuple[Finding, ...],
        waiting: Mapping[AccountKey, tuple[Finding, ...]],
    ) -> None:
        """Report what cannot be read of the cluster, at the MailPlatform and at the accounts that
        wait for it.

        Args:
            store: the store.
            state: the objects.
            faults: all faults.
            waiting: those for which each account waits.

        Raises:
            ProblemError: the store is unavailable.
        """
        for key, findings in waiting.items():
            if findings:
                self._report_unreconciled(state, key, findings)
        if faults != self._faults:
            self._faults = faults
            self._report_platform(store, state, store.account_statuses())

    def round_completed(
        self,
        store: OperatorStore,
        state: DesiredState,
        done: OperatorRoundResult,
        statuses: AccountStatuses,
    ) -> None:
        """Report what a round changed.

        Args:
            store: the store.
            state: the objects.
            done: the round.
            statuses: the account statuses after it.

        Raises:
            ProblemError: the store is unavailable.
        """
        reported = {item.key: item for item in self._accounts(state, done, statuses)}
        digests = {key: _digest(_content(item)) for key, item in reported.items()}
        news = [key for key, digest in digests.items() if self._last.get(key) != digest]
        for keys in _portions(news):
            with store.snapshot() as snapshot:
                current = snapshot.read_accounts(keys)
            for key in keys:
                self._reporter.account(
                    replace(
                        reported[key],
                        current=current.accounts.get(key),
                        platform=current.platform,
                        since=_since(store, current.accounts.get(key)),
                        lineage=current.lineage,
                    )
                )
                self._last[key] = digests[key]  # not earlier, because the store may fail before
        findings = (
            *(general for general in done.result.plan.findings if general.account is None),
            *done.result.findings,
        )
        self._of_platform = findings, done.result.platform
        self._report_platform(store, state, statuses, is_reconciled=True)

    def _accounts(
        self, state: DesiredState, done: OperatorRoundResult, statuses: AccountStatuses
    ) -> Iterator[Reconciled]:
        """The accounts of the round as far as they are known without another read."""
        general = tuple(item for item in done.result.plan.findings if item.account is None)
        plans = {plan.key: plan for plan in done.result.plan.accounts}
        of_tree: dict[AccountKey, list[Finding]] = {}
        for item in done.result.plan.findings:
            if item.account is not None:
                of_tree.setdefault(AccountKey(item.namespace or "", item.account), []).append(item)
        for outcome in done.result.accounts:
            key = outcome.key
            objects = state.objects(key)
            if not objects:
                self._last.pop(key, None)
                continue
            findings = (
                *of_tree.get(key, ()),
                *plans[key].findings,
                *outcome.findings,
                *general,
            )
            yield Reconciled(
                key,
                objects,
                state.accounts.get(key),
                findings,
                outcome,
                statuses.get(key),
                None,
                None,
                tested=done.tested.get(key, frozenset()),
            )
        for key, (reason, plan) in done.waiting.items():
            objects = state.objects(key)
            if objects:
                yield Reconciled(
                    key,
                    objects,
                    state.accounts.get(key),
                    (*state.findings(key), *plan.findings, *general),
                    None,
                    statuses.get(key),
                    None,
                    None,
                    waiting=reason,
                )

    def _report_platform(
        self,
        store: OperatorStore,
        state: DesiredState,
        statuses: AccountStatuses,
        *,
        is_reconciled: bool = False,
    ) -> None:
        item = next(iter(state.objects(PLATFORM)), None)
        with store.snapshot() as snapshot:
            current = snapshot.read_accounts(())
        if is_reconciled:
            self._lineage = current.lineage
        findings, outcome = self._of_platform
        reconciled = ReconciledPlatform(
            item,
            (*findings, *self._faults),
            outcome,
            statuses,
            current.platform,
            state.platform.platform if state.platform is not None else None,
            current.lineage if current.lineage == self._lineage else "",  # it may be another one
        )
        if self._is_news(PLATFORM, _platform_content(reconciled)):
            self._reporter.platform(reconciled)

    def _is_news(self, owner: Owner, content: Any) -> bool:
        """Whether this was not reported last."""
        digest = _digest(content)
        if self._last.get(owner) == digest:
            return False
        self._last[owner] = digest
        return True


def _digest(content: Any) -> int:
    return hash(repr(content))


def _content(item: Reconciled) -> tuple[Any, ...]:
    """What decides whether an account must be reported again."""
    outcome = item.outcome
    return (
        [_seen(o) for o in item.objects],
        item.findings,
        outcome.revision if outcome is not None else None,
        outcome.outcome is Outcome.FAILED if outcome is not None else None,
        item.status,
        item.waiting,
    )


def _seen(item: ClusterObject) -> tuple[Any, ...]:
    """What of an object its status depends on: an annotation raises no generation. Its status is
    part of it, so that one which was deleted or edited is written again."""
    return item.uid, item.generation, sorted(item.annotations.items()), hash(item.held_status)


def _platform_content(item: ReconciledPlatform) -> tuple[Any, ...]:
    held_back = sorted(
        (str(owner), status.digest, status.approved)
        for owner, status in item.statuses.items()
        if status.reason is StatusReason.HELD_BACK
    )
    seen = item.object
    return (
        _seen(seen) if seen is not None else None,
        item.findings,
        item.outcome in (None, Outcome.UNCHANGED, Outcome.COMMITTED),
        item.statuses.get(PLATFORM),
        held_back,
        item.current,
        item.lineage,
    )


def _since(store: OperatorStore, current: CurrentAccount | None) -> Mapping[str, Any]:
    """Since when each domain of an account has its route."""
    if current is None or not current.domains:
        return {}
    return {row.domain: row.since for row in store.routes(account=current.key)}


def _portions(keys: list[AccountKey]) -> Iterator[frozenset[AccountKey]]:
    for start in range(0, len(keys), _PORTION):
        yield frozenset(keys[start : start + _PORTION])
