"""What the operator needs from its adapters."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from sendroute.cluster.objects import ClusterObject, Reconciled, ReconciledPlatform
from sendroute.model.account_status import AccountStatus
from sendroute.model.desired import AccountKey
from sendroute.model.owner import Owner
from sendroute.model.provenance import Provenance
from sendroute.model.records import RouteRow
from sendroute.model.secret import SecretRef
from sendroute.reconcile.protocols import Tester
from sendroute.reconcile.reconciler import VerifierFor
from sendroute.reconcile.record import Record, RecordSnapshot
from sendroute.runtime.backoff import Random
from sendroute.runtime.followed_store import SharedStore
from sendroute.runtime.health import HealthReporter
from sendroute.runtime.transition_log import Advise


class OperatorStore(Record, SharedStore, Protocol):
    """The store as the operator needs it. Errors are as for
    :class:`~sendroute.reconcile.record.Record`."""

    def routes(
        self, domains: tuple[str, ...] = (), account: AccountKey | None = None
    ) -> list[RouteRow]:
        """The assigned routes of an account's domains."""
        ...

    def snapshot(self) -> AbstractContextManager[RecordSnapshot]:
        """A context with one revision of the store."""
        ...

    def approve(self, shown: AccountStatus, provenance: Provenance) -> bool:
        """Approve a held-back plan. Returns False if that plan is no longer held back."""
        ...

    def raise_epoch(self, leader: str) -> int:
        """Begin the epoch of a new leader. Returns its number."""
        ...

    def fence(self, epoch: int, versions: Mapping[str, int]) -> None:
        """Write nothing more once another leader has begun an epoch. Each transaction records
        ``versions``: what this leader has seen of the objects, by kind."""
        ...

    def object_versions(self) -> Mapping[str, int]:
        """What a leader had seen of the objects when it wrote last, by kind."""
        ...


class StatusReporter(Protocol):
    """Shows in the cluster what was reconciled. It must not block: what it writes, it writes in
    other threads."""

    def account(self, reconciled: Reconciled) -> None:
        """An account was reconciled, or waits for another object."""
        ...

    def platform(self, reconciled: ReconciledPlatform) -> None:
        """The platform was reconciled, or what is held back has changed."""
        ...

    def approve(
        self,
        store: OperatorStore,
        annotated: Iterable[ClusterObject],
        statuses: Mapping[Owner, AccountStatus],
    ) -> bool:
        """Record the approvals that annotations of objects give. Returns whether there are any."""
        ...

    def stop(self) -> None:
        """Write nothing more."""
        ...


class NoStatusReporter:
    """Shows nothing."""

    def account(self, reconciled: Reconciled) -> None:
        """Nothing."""

    def platform(self, reconciled: ReconciledPlatform) -> None:
        """Nothing."""

    def approve(
        self,
        store: OperatorStore,  # noqa: ARG002
        annotated: Iterable[ClusterObject],  # noqa: ARG002
        statuses: Mapping[Owner, AccountStatus],  # noqa: ARG002
    ) -> bool:
        """Nothing."""
        return False

    def stop(self) -> None:
        """Nothing."""


class Adapters(NamedTuple):
    """``changed_secrets`` are the secrets whose content changed since the last call; it reads only
    what it has not read for long. ``forget_secrets`` has those of a namespace read again."""

    open_store: Callable[[], OperatorStore]
    verifier_for: VerifierFor
    tester: Tester
    reporter: StatusReporter
    health: HealthReporter
    random: Random
    advise: Advise
    changed_secrets: Callable[[], frozenset[SecretRef]] = frozenset
    forget_secrets: Callable[[str], None] = lambda _namespace: None
