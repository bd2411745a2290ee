"""What the objects declare, kept account by account.

Objects arrive one by one. An account is compiled when it has settled; until then plans see what it
declared before. So one plan costs what its accounts cost, and never sees half of a change.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType

from sendroute.cluster.objects import APPROVE, PLATFORM_KIND, ClusterObject, ObjectKey
from sendroute.cluster.reflector import Changes
from sendroute.manifests.compile import Compilation
from sendroute.manifests.headers import LeftOut
from sendroute.model.desired import (
    AccountKey,
    Desired,
    DesiredAccount,
    DesiredPlatform,
    Orphan,
)
from sendroute.model.finding import Finding, Where, no_positions
from sendroute.model.internal_error import internal_error, is_internal
from sendroute.model.owner import PLATFORM, Owner
from sendroute.model.secret import SecretRef
from sendroute.planner.claim_index import ClaimIndex
from sendroute.reconcile.reconciler import DesiredTree

IsRead = Callable[[str], bool]
"""Whether the objects of a namespace are known."""


class DesiredState:
    """The objects, and what they declare. For one thread.

    ``claims`` is the index of the compiled accounts. ``accounts`` and ``platform`` are what was
    compiled last. ``namespace`` is the operator's own, in which no account may be.
    """

    def __init__(self, namespace: str = "") -> None:
        self._namespace = namespace
        self.claims = ClaimIndex()
        self.accounts: dict[AccountKey, DesiredAccount] = {}
        self.platform: DesiredPlatform | None = None
        self._objects: dict[AccountKey, dict[ObjectKey, ClusterObject]] = {}
        self._unowned: dict[ObjectKey, ClusterObject] = {}  # whose account cannot be read
        self._platforms: dict[ObjectKey, ClusterObject] = {}
        self._owners: dict[ObjectKey, AccountKey | None] = {}
        self._annotated: dict[ObjectKey, ClusterObject] = {}
        self._uncompiled: set[Owner] = {PLATFORM}
        self._orphans: dict[AccountKey, list[Orphan]] = {}
        self._undefined: dict[AccountKey, DesiredAccount] = {}
        self._stopped: set[AccountKey] = set()
        self._findings: dict[Owner, tuple[Finding, ...]] = {}
        self._accepted: dict[tuple[str, int], frozenset[str]] = {}
        self._accepted_by: dict[Owner, tuple[tuple[str, int], ...]] = {}

    def apply(self, changes: Changes) -> frozenset[Owner]:
        """Take what changed.

        Args:
            changes: objects as they are now; None for one that was deleted.

        Returns:
            The accounts that they concern, and the platform. A status alone concerns none.
        """
        concerned: set[Owner] = set()
        for key, changed in changes.items():
            before = self._remove(key)
            if changed is not None:
                self._add(changed)
            if before is not None and changed is not None and _same(before, changed):
                continue
            for item in filter(None, (before, changed)):
                concerned |= self._concerned_by(item)
        self._uncompiled |= concerned
        return frozenset(concerned)

    def _concerned_by(self, item: ClusterObject) -> set[Owner]:
        if item.key.kind == PLATFORM_KIND:
            return {PLATFORM}
        account = item.account
        if account is not None:
            return {account}
        return {key for key in self.mentioned if key.namespace == item.key.namespace}

    def _remove(self, key: ObjectKey) -> ClusterObject | None:
        self._annotated.pop(key, None)
        if key.kind == PLATFORM_KIND:
            return self._platforms.pop(key, None)
        owner = self._owners.pop(key, None)
        if owner is None:
            return self._unowned.pop(key, None)
        objects = self._objects[owner]
        before = objects.pop(key)
        if not objects:
            del self._objects[owner]
        return before

    def _add(self, item: ClusterObject) -> None:
        if APPROVE in item.annotations and item.key.kind in ("MailAccount", PLATFORM_KIND):
            self._annotated[item.key] = item
        if item.key.kind == PLATFORM_KIND:
            self._platforms[item.key] = item
            return
        account = item.account
        if account is None:
            self._unowned[item.key] = item
        else:
            self._owners[item.key] = account
            self._objects.setdefault(account, {})[item.key] = item

    @property
    def mentioned(self) -> frozenset[AccountKey]:
        """The accounts that any object mentions, or that were compiled."""
        return frozenset((*self._objects, *self.accounts, *self._orphans, *self._stopped))

    def objects(self, owner: Owner) -> tuple[ClusterObject, ...]:
        """The objects of an account, or the MailPlatforms, as they are now."""
        if owner is PLATFORM:
            return tuple(self._platforms.values())
        return tuple(self._objects.get(owner, {}).values())

    def referring(self, secrets: Collection[SecretRef]) -> frozenset[Owner]:
        """The accounts whose compiled profiles refer to one of these secrets, and the platform if
        one of its relays does."""
        owners: set[Owner] = set()
        names = {(ref.namespace, ref.name) for ref in secrets if not ref.of_platform}
        namespaces = {namespace for namespace, _ in names}
        for key, account in self.accounts.items():
            if key.namespace in namespaces and any(
                (key.namespace, desired.profile.secret) in names
                for desired in account.profiles.values()
            ):
                owners.add(key)
        if any(ref.of_platform for ref in secrets):
            owners.add(PLATFORM)
        return frozenset(owners)

    def findings(self, owner: Owner) -> tuple[Finding, ...]:
        """What is wrong with what was compiled."""
        return self._findings.get(owner, ())

    @property
    def mail_accounts(self) -> dict[AccountKey, ClusterObject]:
        """The MailAccount of each account that has one, valid or not."""
        items = ((key, self.mail_account(key)) for key in self._objects)
        return {key: item for key, item in items if item is not None}

    def mail_account(self, key: AccountKey) -> ClusterObject | None:
        """The MailAccount of an account, valid or not; None without one."""
        return self._objects.get(key, {}).get(ObjectKey("MailAccount", *key))

    @property
    def annotated(self) -> tuple[ClusterObject, ...]:
        """The objects with an annotation that approves a change."""
        return tuple(self._annotated.values())

    @property
    def domain_count(self) -> int:
        """The number of compiled domains."""
        return sum(len(account.domains) for account in self.accounts.values())

    @property
    def uncompiled(self) -> frozenset[Owner]:
        """The accounts whose objects changed since they were compiled, and the platform."""
        return frozenset(self._uncompiled)

    def compile(self, owners: Collection[Owner]) -> None:
        """Compile what changed of these accounts, and of the platform if it is among them."""
        for owner in self._uncompiled.intersection(owners):
            self._uncompiled.discard(owner)
            if owner is PLATFORM:
                self._compile_platform()
            else:
                self._compile_account(owner)

    def _compile_account(self, key: AccountKey) -> None:
        try:
            desired = self._compiled(key)
        except Exception as error:
            if not is_internal(error):
                raise
            item = internal_error(f"Account {key}", error, Where(f"MailAccount/{key}", 0), key)
            desired = Desired(None, {}, stopped=frozenset({key}), findings=(item,))
        self._replace(key, desired)
        self.accounts.pop(key, None)
        self._undefined.pop(key, None)
        self.accounts |= desired.accounts
        self._undefined |= desired.undefined
        claiming = desired.claiming.get(key)
        if claiming is None:
            self.claims.remove(key)
        else:
            self.claims.put(claiming)
        self._orphans.pop(key, None)
        self._orphans |= desired.orphans
        self._stopped.discard(key)
        self._stopped |= desired.stopped

    def _compiled(self, key: AccountKey) -> Desired:
        compilation = Compilation(older_first=True, reserved=self._namespace)
        objects = sorted(self.objects(key), key=_age)
        for item in objects:
            if item.document is not None:
                compilation.add(item.document, item.where)
        invalid = [item for item in objects if item.document is None]
        for item in invalid:
            compilation.leave_out(LeftOut(key, item.key.kind, item.domain, item.where))
        findings = [finding for item in invalid for finding in item.findings]
        profiles = {name for item in invalid for name in item.profiles}
        return compilation.finish(
            findings=findings,
            stopped={key: profiles} if invalid else None,
            platform_seen=True,
        )

    def _compile_platform(self) -> None:
        try:
            desired = self._compiled_platform()
        except Exception as error:
            if not is_internal(error):
                raise
            item = internal_error("The MailPlatform", error, Where("MailPlatform/default", 0))
            desired = Desired(None, {}, findings=(item,))
        self._replace(PLATFORM, desired)
        self.platform = desired.platform

    def _compiled_platform(self) -> Desired:
        compilation = Compilation()
        platforms = sorted(self._platforms.values(), key=_age)
        for item in platforms:
            if item.document is not None:
                compilation.add(item.document, item.where)
        findings = [finding for item in platforms for finding in item.findings]
        return compilation.finish(findings=findings, platform_seen=bool(findings))

    def _replace(self, owner: Owner, desired: Desired) -> None:
        """Keep the findings of what was compiled, and which of them are accepted."""
        self._findings.pop(owner, None)
        if desired.findings:
            self._findings[owner] = desired.findings
        for document in self._accepted_by.pop(owner, ()):
            del self._accepted[document]
        if desired.accepted:
            self._accepted |= desired.accepted
            self._accepted_by[owner] = tuple(desired.accepted)

    def tree(
        self,
        stored: Iterable[AccountKey],
        is_read: IsRead,
        unread: tuple[Finding, ...],
        refused: Mapping[AccountKey, Finding] = MappingProxyType({}),
    ) -> DesiredTree:
        """The desired state for a plan.

        Args:
            stored: the accounts in the store.
            is_read: says which namespaces are known. An account of another one stays as it is.
            unread: why something was not read; while there is a reason, nothing is removed.
            refused: the accounts that stay as they are, each with why.

        Returns:
            The state, which no later change reaches. Only its index of claims, which is too large
            to copy for each plan, ends with the next :meth:`compile`.
        """
        blind = {item.key.namespace for item in self._unowned.values()}
        unread_accounts = {
            key for key in stored if key.namespace in blind or not is_read(key.namespace)
        }
        of_namespace = {key for key in self.accounts if key.namespace in blind} if blind else set()
        general = (finding for item in self._unowned.values() for finding in item.findings)
        of_accounts = (item for findings in self._findings.values() for item in findings)
        desired = Desired(
            self.platform,
            dict(self.accounts),
            dict(self._orphans),
            stopped=frozenset(self._stopped | unread_accounts | of_namespace | refused.keys()),
            unread=unread,
            findings=(*of_accounts, *general, *refused.values()),
            accepted=dict(self._accepted),
            undefined=dict(self._undefined),
        )
        return DesiredTree(desired, None, no_positions, self.claims.until_changed())


def _same(before: ClusterObject, after: ClusterObject) -> bool:
    """Whether an object declares the same as before: only its status changed."""
    return (before.uid, before.annotations, before.document, before.findings) == (
        after.uid,
        after.annotations,
        after.document,
        after.findings,
    )


def _age(item: ClusterObject) -> tuple[float, str, str]:
    """The older object comes first."""
    created = item.created.timestamp() if item.created is not None else 0.0
    return created, item.key.name, item.key.kind
