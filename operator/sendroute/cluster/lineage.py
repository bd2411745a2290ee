"""Whether the store is the one whose state the cluster shows.

The MailPlatform's status decides it for all, because no tenant can write it. A MailAccount's status
says it of that account alone: a tenant with all rights in its namespace may have written it. Only
if no status names the given store, and the accounts of most namespaces show another one, these too
decide for all. So it is if the MailPlatform is a file, or was created again.
"""

import logging
import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

from sendroute.cluster.desired import DesiredState
from sendroute.cluster.objects import ClusterObject
from sendroute.cluster.protocols import OperatorStore
from sendroute.cluster.reflector import Changes
from sendroute.model.codes import finding
from sendroute.model.current import CurrentAccount
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, TenantText
from sendroute.model.owner import PLATFORM, Owner
from sendroute.reconcile.record import RecordSnapshot

_log = logging.getLogger(__name__)

_LINEAGE = re.compile(r"[0-9A-Za-z-]{1,64}")
_HINT = (
    "Nothing is assigned again. Create the store from its lock file or its backup. If the new store"
    " is meant, remove status.store of the MailAccounts and of the MailPlatform."
)
_RIGHT_STORE = (
    "The MailPlatform's status names the given store, so only this account waits. It may come from"
    " another cluster, or its status was edited. To reconcile it on the given store, remove"
    " status.store of the MailAccount; its domains without a route then start on the default."
)
_ONE_ACCOUNT = (
    "Only this account waits. If the given store is the right one, remove status.store of the"
    " MailAccount. If not, create the right one from its lock file or its backup."
)


def shown_lineage(item: ClusterObject) -> str:
    """The lineage of the store in an object's status; empty if it has none."""
    status = item.status or {}
    store = status.get("store")
    lineage = store.get("lineage") if isinstance(store, dict) else None
    return lineage if isinstance(lineage, str) else ""


class StoreComparison(NamedTuple):
    """``whole`` says why nothing is reconciled, None if the store is the right one. ``accounts``
    are those that are not reconciled on it, each with why."""

    whole: Finding | None
    accounts: Mapping[AccountKey, Finding]


class StoreCheck:
    """Compares the store with the statuses. For one thread.

    An account is compared until it was reconciled on the store. What its status names afterwards
    is overwritten, as everything in a status is.
    """

    def __init__(self) -> None:
        self._lineage = ""  # of the store that was compared as a whole
        self._uids: dict[AccountKey, str] = {}  # the MailAccounts that were reconciled on it
        self._new: set[AccountKey] = set()  # those that were not
        self._refused: dict[AccountKey, str] = {}  # those of another store, with its lineage

    def arrived(self, changes: Changes) -> frozenset[AccountKey]:
        """Take what changed. An account that was not reconciled yet must be compared.

        Args:
            changes: objects as they are now; None for one that was deleted.

        Returns:
            The accounts of another store whose status does not name it any more.
        """
        released = set()
        for key, item in changes.items():
            if key.kind != "MailAccount":
                continue
            account = AccountKey(key.namespace, key.name)
            if item is None or self._uids.get(account) != item.uid:
                self._uids.pop(account, None)
                self._new.add(account)
            refused = self._refused.get(account)
            if refused is not None and (item is None or shown_lineage(item) != refused):
                released.add(account)
        return frozenset(released)

    def compare(self, store: OperatorStore, state: DesiredState) -> StoreComparison:
        """Compare the store with the statuses: as a whole once for each store, and each account
        that was not reconciled on it yet.

        Args:
            store: the store.
            state: the objects.

        Returns:
            What must not be reconciled.

        Raises:
            ProblemError: the store is unavailable.
        """
        with store.snapshot() as snapshot:
            lineage = snapshot.read_accounts(()).lineage
            if lineage != self._lineage:
                decisive = _decisive(state, lineage)
                if decisive is not None:
                    return StoreComparison(_of_all(decisive, lineage, snapshot), {})
                self._lineage = lineage
                self._new = set(state.mail_accounts)
            others = self._of_another_store(state)
            if not others:
                return StoreComparison(None, {})
            is_right = any(shown_lineage(item) == lineage for item in state.objects(PLATFORM))
            if is_right:
                self._overwrite(others, snapshot.accounts(others.keys()))
            is_empty = not is_right and not snapshot.domain_count()
        code = "store-empty" if is_empty else "wrong-store"
        hint = _RIGHT_STORE if is_right else _ONE_ACCOUNT
        findings = {
            account: finding(
                code, _message(str(item.key), item, lineage), hint=hint, account=account
            )
            for account, item in others.items()
        }
        self._refused = {account: shown_lineage(item) for account, item in others.items()}
        return StoreComparison(None, findings)

    def _of_another_store(self, state: DesiredState) -> dict[AccountKey, ClusterObject]:
        """The new accounts whose status names another store."""
        others: dict[AccountKey, ClusterObject] = {}
        for account in tuple(self._new):
            item = state.mail_account(account)
            shown = shown_lineage(item) if item is not None else ""
            if item is None:
                self._new.discard(account)
            elif shown == self._lineage:
                self._add(account, item)
            elif shown:
                others[account] = item
        self._refused = {}
        return others

    def _overwrite(
        self,
        others: dict[AccountKey, ClusterObject],
        current: Mapping[AccountKey, CurrentAccount],
    ) -> None:
        """Leave out what the right store holds: it is the status that is wrong."""
        for account in current.keys() & others.keys():
            if current[account].state is not None:
                item = others.pop(account)
                _log.warning(
                    "The status of %s named %s. The MailPlatform's names the given one, which holds"
                    " the account, so it is written again.",
                    item.key,
                    _named(item),
                    extra={"namespace": account.namespace, "account": account.name},
                )
                self._add(account, item)

    def _add(self, account: AccountKey, item: ClusterObject) -> None:
        self._new.discard(account)
        self._uids[account] = item.uid

    def reconciled(self, owners: Collection[Owner], state: DesiredState) -> None:
        """These accounts were reconciled on the store.

        Args:
            owners: the accounts; those of another store among them are left out.
            state: the objects.
        """
        for account in self._new.intersection(owners) - self._refused.keys():
            item = state.mail_account(account)
            if item is not None:
                self._add(account, item)


def _decisive(state: DesiredState, lineage: str) -> ClusterObject | None:
    """An object that shows that the given store is another one for all; None if there is none."""
    of_platform = {shown_lineage(item): item for item in state.objects(PLATFORM)}
    of_platform.pop("", None)
    if of_platform:
        return next((item for shown, item in of_platform.items() if shown != lineage), None)
    others: dict[str, ClusterObject] = {}
    namespaces = set()
    for account, item in state.mail_accounts.items():
        shown, namespace = shown_lineage(item), account.namespace
        if shown == lineage:
            return None
        namespaces.add(namespace)
        if shown:
            others.setdefault(namespace, item)
    most = 2 * len(others) > len(namespaces)
    return next(iter(others.values())) if most else None


def _of_all(item: ClusterObject, lineage: str, snapshot: RecordSnapshot) -> Finding:
    account = item.account
    return finding(
        "wrong-store" if snapshot.domain_count() else "store-empty",
        _message(str(item.key), item, lineage),
        hint=_HINT,
        for_tenant=TenantText(
            _message("an object", item, lineage),
            _HINT,
            () if account is None else (account,),
        ),
    )


def _message(subject: str, item: ClusterObject, lineage: str) -> str:
    return (
        f"The status of {subject} was written from {_named(item)}, but the given store is"
        f" {lineage}."
    )


def _named(item: ClusterObject) -> str:
    """The store of a status. Others read it too, so a text that a tenant made up is left out."""
    shown = shown_lineage(item)
    return f"the store {shown}" if _LINEAGE.fullmatch(shown) else "another store"
