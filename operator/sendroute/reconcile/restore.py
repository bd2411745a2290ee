"""Restore: plan the return to a saved state, confirm it, commit it as one change."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from sendroute.model.change import (
    AccountPlan,
    Plan,
    PlatformChange,
)
from sendroute.model.codes import finding
from sendroute.model.credential import EncryptedCredentials
from sendroute.model.current import Current
from sendroute.model.finding import Finding
from sendroute.model.outcome import AccountOutcome, Outcome, Result
from sendroute.model.owner import Owner
from sendroute.model.problem import ProblemError
from sendroute.model.provenance import Head, Provenance
from sendroute.model.records import RestorePoint
from sendroute.model.remedy import Configure, ReplaceEmptyStore, Setting
from sendroute.planner.profiles import needs_test
from sendroute.planner.restore import RestorePlan, plan_restore
from sendroute.reconcile.secret_check import destinations


class SavedState(NamedTuple):
    """A state of the store as a file holds it. ``encrypted`` are its credentials: none if the file
    is a lock file."""

    file: Path
    current: Current
    encrypted: EncryptedCredentials
    head: Head
    is_backup: bool


class RestoreTarget(Protocol):
    """The store as a restore needs it; see :class:`sendroute.store.record.Store`."""

    @property
    def location(self) -> str:
        """The store's path, or its URL without a password."""
        ...

    def read(self) -> Current:
        """The whole state at one revision."""
        ...

    def contains(self, head: Any) -> bool:
        """Whether a commit is in the store's history."""
        ...

    def restore(
        self,
        plans: Sequence[AccountPlan],
        platform: PlatformChange | None,
        point: RestorePoint,
        provenance: Provenance,
        encrypted: EncryptedCredentials = ...,
    ) -> int:
        """Write the changes in one transaction, without other writers.

        Args:
            plans: the changes of the accounts.
            platform: the platform's change; None if it does not change.
            point: the earlier state.
            provenance: who restores it, and when.
            encrypted: the encrypted credentials of the restored profiles, and of the relay.

        Returns:
            The store's revision.

        Raises:
            StaleError: something was committed after the restore was planned.
        """
        ...


def restore(
    store: RestoreTarget,
    saved: SavedState,
    provenance: Provenance,
    confirm: Callable[[Plan], Finding | None],
) -> Result:
    """Return a store to a saved state of its own.

    Args:
        store: the store.
        saved: the state.
        provenance: who restores it, and when.
        confirm: called if there is anything to write. Returns None to continue, else a finding.

    Returns:
        The outcome of each account: all are committed, or none.

    Raises:
        ProblemError: ``wrong-store`` if the state is that of another store, ``stale-plan`` if
            something was committed in between.
    """
    now = store.read()
    if now.lineage != saved.current.lineage:
        raise ProblemError(_wrong_store(now, saved, store.location))
    planned = plan_restore(now, saved.current)
    if planned.is_empty and store.contains(saved.head):
        return _result(planned, Outcome.UNCHANGED, (), now.revision)
    if (refusal := confirm(planned.plan)) is not None:
        return _result(planned, Outcome.REFUSED, (refusal,), now.revision)
    revision = store.restore(
        planned.plan.accounts,
        planned.plan.platform,
        RestorePoint(saved.head, saved.file.name, planned.apply_alls, now.revision),
        provenance,
        credentials_to_restore(planned.plan, saved.encrypted),
    )
    return _result(planned, Outcome.COMMITTED, (), revision)


def _result(
    planned: RestorePlan, outcome: Outcome, findings: tuple[Finding, ...], revision: int
) -> Result:
    committed = outcome is Outcome.COMMITTED
    return Result(
        planned.plan,
        outcome if planned.plan.platform is not None else None,
        tuple(
            AccountOutcome(account.key, outcome, revision if committed else account.revision)
            for account in planned.plan.accounts
        ),
        revision,
        findings,
    )


def _wrong_store(now: Current, saved: SavedState, location: str) -> Finding:
    message = (
        f"{saved.file} belongs to the store {saved.current.lineage}, but the given store is"
        f" {now.lineage}."
    )
    if now.is_empty:
        return finding(
            "wrong-store",
            message,
            hint="Specify the store that the file belongs to. If that store was lost, move the"
            " given one away, which is empty, and create the lost one again from the file.",
            remedy=ReplaceEmptyStore(location, str(saved.file), is_backup=saved.is_backup),
        )
    return finding(
        "wrong-store",
        message,
        hint="Specify the store that the file belongs to. If that store was lost, specify a"
        " location without a store, and it is created there from the file.",
        remedy=Configure(Setting.STORE),
    )


def credentials_to_restore(plan: Plan, saved: EncryptedCredentials) -> EncryptedCredentials:
    """The ``saved`` credentials of the destinations that the restore creates or changes. An
    unchanged destination keeps its present credential, which may be newer."""
    restored: dict[Owner, dict[str, str]] = {}
    changes = [change for account in plan.accounts for change in account.changes]
    for change in (*changes, *([plan.platform] if plan.platform is not None else ())):
        for key, name, before, after in destinations(change):
            token = saved.get(key, {}).get(name)
            if after is not None and token is not None and needs_test(before, after):
                restored.setdefault(key, {})[name] = token
    return restored
