"""Which kinds of objects cannot be read or followed, why, and since when."""

from collections.abc import Sequence

from sendroute.cluster.api import ApiError
from sendroute.cluster.reflector import Reflector
from sendroute.model.codes import finding
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, TenantText

FaultKey = tuple[Reflector, int]
"""What cannot be followed, and the status that the API answers."""


class KindFaults:
    """For one thread. A fault that lasts for ``grace_period`` seconds is shown in the cluster, by
    the sentence that it had at first: the next one may name another connection."""

    def __init__(self, reflectors: Sequence[Reflector], grace_period: float) -> None:
        self._reflectors = reflectors
        self._grace_period = grace_period
        self._begun: dict[FaultKey, tuple[float, Finding]] = {}

    def update(self, now: float) -> None:
        """Look what cannot be followed now."""
        faults = ((reflector, reflector.fault) for reflector in self._reflectors)
        current = {(item, error.status): _finding(item, error) for item, error in faults if error}
        self._begun = {key: self._begun.get(key, (now, current[key])) for key in current}

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Why the API cannot be followed."""
        return tuple(item for _, item in self._begun.values())

    def lasting(self, now: float) -> dict[FaultKey, Finding]:
        """What is shown in the cluster. If nothing can be followed, nothing can be shown either."""
        lasting = {
            key: item
            for key, (since, item) in self._begun.items()
            if now - since >= self._grace_period
        }
        return lasting if len(lasting) < len(self._reflectors) else {}


def faults_of(account: AccountKey, faults: dict[FaultKey, Finding]) -> tuple[Finding, ...]:
    """Those because of which an account waits."""
    namespaces = ("", account.namespace)
    return tuple(
        item for (reflector, _), item in faults.items() if reflector.namespace in namespaces
    )


def unread_findings(unread: Sequence[Reflector]) -> tuple[Finding, ...]:
    """Why something was never read: as long as it is so, nothing is removed."""
    return tuple(
        finding(
            "cluster-unreachable",
            f"The {reflector.kind} objects{_of(reflector)} were not read yet.",
            hint="Nothing is removed before. Check the roles of the service account.",
        )
        for reflector in unread
    )


def _finding(reflector: Reflector, error: ApiError) -> Finding:
    message = str(error).rstrip(".")
    return finding(
        "cluster-unreachable",
        f"The {reflector.kind} objects{_of(reflector)} cannot be followed: {message}.",
        hint="Nothing is removed because of it. Check the API server, and the roles of the service"
        " account.",
        for_tenant=TenantText(
            f"The {reflector.kind} objects of the namespace cannot be read now.",
            "Nothing of the account changes before.",
        ),
    )


def _of(reflector: Reflector) -> str:
    return f" of namespace {reflector.namespace}" if reflector.namespace else ""
