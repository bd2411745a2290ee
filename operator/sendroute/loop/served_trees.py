"""The newest tree, and the last good one, which is served while the newest cannot be used."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Set
from typing import NamedTuple

from msgspec.structs import replace

from sendroute.following.follower import Follower, SourceSnapshot
from sendroute.model.codes import Trait, finding, has_trait
from sendroute.model.desired import AccountKey, Desired, DesiredAccount, ProfileName
from sendroute.model.finding import Finding, Severity, located
from sendroute.model.owner import PLATFORM, Owner
from sendroute.model.problem import ProblemError
from sendroute.planner.claim_index import declared_names
from sendroute.reconcile.reconciler import DesiredTree
from sendroute.runtime.stop import Stop

ReadTree = Callable[[SourceSnapshot], DesiredTree]

_READ_ATTEMPTS = 5
_LONG = 4
"""Times the settle time: a directory that changed in one go has settled long before."""


class Candidate(NamedTuple):
    """A tree that may be served, and the snapshot of the source that it was read from."""

    snapshot: SourceSnapshot
    tree: DesiredTree


class _Ages:
    """Since when, on the clock of ``time.monotonic``, what a directory has of each account is as it
    is, and which trees were seen since, each with the time of the last poll.

    A claim keeps what another account of its namespace holds (rules: a move). So one that vanishes
    changes every account of the namespace.

    Args:
        settle: after how many seconds an account has settled.
    """

    def __init__(self, settle: float) -> None:
        self.settle = settle
        self._last: Desired | None = None
        self._last_fingerprint = ""
        self._resumed: set[Owner] = set()
        self._unseen: set[Owner] = set()
        self._suspended: dict[Owner, frozenset[str]] = {}
        self._all_since = 0.0
        self._namespaces: dict[str, float] = {}
        self._accounts: dict[AccountKey, float] = {}
        self._seen: dict[str, float] = {}

    def read(self, desired: Desired, fingerprint: str, since: float) -> None:
        before, self._last = self._last, desired
        edited = changed(before, desired)
        self._note_resumed(before, desired, edited)
        self._last_fingerprint = fingerprint
        if before is None or edited is None:
            self._all_since = since
            self._namespaces.clear()
            self._accounts.clear()
            return
        self._accounts.update(dict.fromkeys(edited, since))
        claimed = (key.namespace for key in edited if _lost_claims(key, before, desired))
        self._namespaces.update(dict.fromkeys(claimed, since))

    def seen(self, fingerprint: str, trees: Collection[str]) -> None:
        """A poll saw this state. Those of other trees than these are forgotten."""
        self._seen[fingerprint] = time.monotonic()
        self._seen = {name: at for name, at in self._seen.items() if name in trees}
        if self._last is not None and fingerprint == self._last_fingerprint:
            settled = {
                owner
                for owner in self._resumed | self._unseen
                if _is_sound(self._last, owner) and self.is_settled(owner, fingerprint)
            }
            self._resumed -= settled
            self._unseen -= settled

    def since(self, owner: Owner) -> float:
        if owner is PLATFORM:
            return self._all_since
        of_namespace = self._namespaces.get(owner.namespace, 0.0)
        return max(self._all_since, of_namespace, self._accounts.get(owner, 0.0))

    def is_settled(self, owner: Owner, fingerprint: str) -> bool:
        """Whether a tree was seen for long enough with what it has of an account."""
        return self._seen.get(fingerprint, 0.0) - self.since(owner) >= self.settle

    def is_resumed(self, owner: Owner, *, is_stored: bool) -> bool:
        """Whether a suspension of an account, or of the platform, ended since it had settled. A
        file that lacks its last lines may lack it. Of what the store has, it may also have ended
        just before the first read."""
        return owner in self._resumed or (is_stored and owner in self._unseen)

    def _note_resumed(
        self, before: Desired | None, after: Desired, edited: frozenset[AccountKey] | None
    ) -> None:
        """What was suspended is known only of manifests without errors: an account that is absent,
        or stopped, is as it was when it was read last."""
        owners: Set[Owner] = {PLATFORM, *after.accounts} if edited is None else edited
        if before is None:
            self._unseen.update(owners)
        for owner in owners:
            if not _is_sound(after, owner):
                continue
            now = _suspended(after, owner)
            if not self._suspended.pop(owner, frozenset()) <= now:
                self._resumed.add(owner)
            if now:
                self._suspended[owner] = now


class ServedTrees:
    """``last_good`` is the tree that is served, None while there is none. ``held`` are accounts of
    it whose changes were not applied: they cannot be undone, and the directory may be in the middle
    of a change. ``settle`` is for how many seconds their manifests must not have changed."""

    def __init__(self, follower: Follower, read: ReadTree, stop: Stop, settle: float) -> None:
        self._follower = follower
        self._read = read
        self._stop = stop
        self._fingerprint: str | None = None
        self._newest: Candidate | None = None
        self._unreachable: tuple[Finding, ...] = ()
        self._unfit: tuple[Finding, ...] = ()
        self._mismatch: tuple[Finding, ...] = ()
        self._read_errors: frozenset[Finding] = frozenset()
        self.settle = settle
        self._ages = _Ages(settle)
        self._held_since = 0.0
        self.last_good: Candidate | None = None
        self.held: frozenset[Owner] = frozenset()

    @property
    def fault(self) -> tuple[Finding, ...]:
        """Why the newest tree is unavailable or cannot be used; empty if it is served."""
        unreachable = self._unreachable
        if self.last_good is not None:
            unreachable = tuple(map(_with_effect, unreachable))
        return unreachable + (self._unfit or self._mismatch)

    @property
    def overdue(self) -> tuple[Finding, ...]:
        """Why changes have been held for much longer than a directory needs to settle."""
        long = time.monotonic() - self._held_since >= _LONG * self.settle
        if not self.held or not long:
            return ()
        return (
            finding(
                "directory-changing",
                "Changes that cannot be undone are not applied yet: they wait until the manifests"
                f" of their account have not changed for {self.settle:g} s.",
                hint="Write the manifests elsewhere, and switch a symbolic link to them.",
            ),
        )

    @property
    def is_unreachable(self) -> bool:
        """Whether the last poll could not reach the source."""
        return bool(self._unreachable)

    @property
    def is_partial(self) -> bool:
        """Whether a part of the newest tree could not be read. Reading it again may succeed
        although nothing changed."""
        return bool(self._read_errors)

    @property
    def has_tree(self) -> bool:
        """Whether there is a tree to reconcile."""
        return self.last_good is not None or self._newest is not None

    def poll(self, *, reread: bool = False) -> bool:
        """Poll the source, and read its tree if it changed.

        Args:
            reread: read a tree again that was read in part, although it did not change.

        Returns:
            Whether there is a tree that was not reconciled yet, or what was held may be applied
            now. A source that is unreachable raises nothing: see :attr:`fault`.

        Raises:
            KeyboardInterrupt, StoppedError: a signal stopped the loop.
        """
        try:
            is_new = self._poll(reread and self.is_partial)
            self._unreachable = ()
        except ProblemError as problem:
            self._unreachable = problem.findings
            is_new = False
        if not self.has_tree and self.fault:
            is_new = self._load_last_good()
        return is_new

    def candidates(self) -> Iterator[Candidate]:
        """The trees that may be reconciled, the newest first."""
        if self._newest is not None:
            yield self._newest
        if self.last_good is not None:
            yield self.last_good

    def is_settled(self, candidate: Candidate, owner: Owner) -> bool:
        """Whether what cannot be undone of an account may be applied: the tree is a commit, or was
        seen in a directory, with the same manifests of the account, for long enough.

        Args:
            candidate: one of the :meth:`candidates`.
            owner: the account.

        Returns:
            Whether its change is whole.
        """
        snapshot = candidate.snapshot
        return snapshot.changed_at is None or self._ages.is_settled(owner, snapshot.fingerprint)

    def is_resumed(self, owner: Owner, *, is_stored: bool) -> bool:
        """Decide whether nothing of an account may be applied before it has settled.

        Args:
            owner: the account, or the platform.
            is_stored: the store has it already.

        Returns:
            Whether it, or something of it, was or may have been suspended before.
        """
        return self._ages.is_resumed(owner, is_stored=is_stored)

    @property
    def settles_at(self) -> float:
        """When the first of the ``held`` accounts may have settled."""
        return min(map(self._ages.since, self.held)) + self.settle

    def adopt(self, candidate: Candidate, held: frozenset[Owner]) -> bool:
        """Serve this tree from now on, without the changes of the accounts ``held``. Returns
        whether it is another tree than before."""
        if held and not self.held:
            self._held_since = time.monotonic()
        self.held = held
        if self._newest is None or self._newest is candidate:
            self._mismatch = ()
        if candidate is not self._newest:
            return False
        self._newest, self.last_good = None, candidate
        return True

    def remember(self) -> None:
        """Start with the served tree after a restart.

        Raises:
            ProblemError: the state directory cannot be written.
        """
        if self.last_good is not None:
            self._follower.remember(self.last_good.snapshot)

    def reject(self, candidate: Candidate, mismatch: tuple[Finding, ...]) -> None:
        """Reject a tree that contradicts the store. It stays a candidate, because the store may be
        fixed. ``mismatch`` are the findings about it."""
        if self._newest is None or self._newest is candidate:
            self._mismatch = mismatch

    def _poll(self, reread: bool) -> bool:
        snapshot = self._follower.poll(self._stop.is_set)
        is_new = self._read_changed(snapshot, reread)
        return self._has_settled(snapshot) or is_new

    def _has_settled(self, snapshot: SourceSnapshot) -> bool:
        """Find out whether accounts settled with this poll whose changes are held until then."""
        before = self._settled()
        trees = {candidate.snapshot.fingerprint for candidate in self.candidates()}
        self._ages.seen(snapshot.fingerprint, trees)
        return not self._settled() <= before

    def _settled(self) -> frozenset[Owner]:
        served = self.last_good
        if served is None:
            return frozenset()
        return frozenset(owner for owner in self.held if self.is_settled(served, owner))

    def _read_changed(self, snapshot: SourceSnapshot, reread: bool) -> bool:
        same = snapshot.fingerprint == self._fingerprint
        if same and not reread:
            return False
        snapshot, tree = self._read_consistently(snapshot)
        before, self._read_errors = self._read_errors, _read_errors(tree)
        if same and snapshot.fingerprint == self._fingerprint and before == self._read_errors:
            return False
        self._fingerprint = snapshot.fingerprint
        if snapshot.changed_at is not None:
            self._ages.read(tree.desired, snapshot.fingerprint, snapshot.changed_at)
        self._unfit = faults(tree)
        self._newest = None if self._unfit else Candidate(snapshot, tree)
        return not self._unfit

    def _read_consistently(self, snapshot: SourceSnapshot) -> tuple[SourceSnapshot, DesiredTree]:
        for _ in range(_READ_ATTEMPTS):
            with self._stop.interruptible():
                tree = self._read(snapshot)
            if self._follower.unchanged(snapshot):
                return snapshot, tree
            snapshot = self._follower.poll(self._stop.is_set)
        raise ProblemError(
            finding(
                "source-unreachable",
                "The manifests of the source kept changing while Sendroute read them.",
                hint="Sendroute reads the manifests again at the next poll. If they keep changing,"
                " write each version to a separate directory and switch a symbolic link to it.",
            )
        )

    def _load_last_good(self) -> bool:
        """Load, after a start, the tree that was served before, if the follower remembers one."""
        try:
            snapshot = self._follower.last_good(self._stop.is_set)
            if snapshot is None:
                return False
            with self._stop.interruptible():
                tree = self._read(snapshot)
        except ProblemError:
            return False  # the fault of the newest tree is reported
        if faults(tree):
            return False
        self.last_good = Candidate(snapshot, tree)
        return True


def _with_effect(fault: Finding) -> Finding:
    """Say what the fault means while there is a tree to serve."""
    effect = "Until then the previous version stays in effect."
    # What a front end adds for the remedy belongs to the hint's own last sentence.
    texts = (effect, fault.hint) if fault.remedy is not None else (fault.hint, effect)
    return replace(fault, hint=" ".join(filter(None, texts)))


def _read_errors(tree: DesiredTree) -> frozenset[Finding]:
    return frozenset(
        error for error in tree.desired.findings if has_trait(error.code, Trait.REREAD)
    )


def faults(tree: DesiredTree) -> tuple[Finding, ...]:
    """Why nothing of a tree may be applied: it has no readable platform. The findings carry their
    positions, because the files may be gone soon."""
    if tree.desired.platform is not None:
        return ()
    return tuple(
        located(error, tree.locate)
        for error in tree.desired.findings
        if error.account is None and error.severity is Severity.ERROR
    )


def changed(before: Desired | None, after: Desired) -> frozenset[AccountKey] | None:
    """The accounts whose manifests differ; None for all of them, if the platform differs, or if
    what could not be read may have been of any account. A document that moved counts too, because
    its findings have another position."""
    if before is None or before.platform is None or after.platform is None:
        return None
    platforms = (before.platform, after.platform)
    old, new = ((p.platform, p.suspended) for p in platforms)
    if old != new or before.accepted != after.accepted or (before.unread and after.complete):
        return None
    return frozenset(before.stopped ^ after.stopped).union(
        _differing(before.accounts, after.accounts),
        _differing(before.undefined, after.undefined),
        _differing(before.orphans, after.orphans),
        _differing(before.ill_formed, after.ill_formed),
    )


def _is_sound(desired: Desired, owner: Owner) -> bool:
    """Whether all documents of an account, or that of the platform, could be read."""
    if owner is PLATFORM:
        return desired.platform is not None
    return owner in desired.accounts and owner not in desired.stopped


def _suspended(desired: Desired, owner: Owner) -> frozenset[str]:
    """What of an account, or of the platform, is suspended: the domains, the names of the profiles,
    and an empty text for itself."""
    if owner is PLATFORM:
        platform = desired.platform
        return frozenset({""} if platform is not None and platform.suspended else ())
    account = desired.accounts[owner]
    names = [""] if account.suspended else []
    names += [item.domain for item in account.domains if item.suspended]
    names += [name for name, item in account.profiles.items() if item.suspended]
    return frozenset(names)


def _lost_claims(key: AccountKey, before: Desired, after: Desired) -> bool:
    """Whether documents of an account claim less than before, or may: some had errors."""
    if key in before.stopped - after.stopped:
        return True
    old, new = before.claiming.get(key), after.claiming.get(key)
    return old is not None and (new is None or not _claims(old) <= _claims(new))


def _claims(account: DesiredAccount) -> frozenset[str | ProfileName]:
    namespace = account.key.namespace
    profiles = (ProfileName(namespace, name or "") for name in account.profile_claims())
    return frozenset((*declared_names(account), *profiles))


def _differing(
    before: Mapping[AccountKey, object], after: Mapping[AccountKey, object]
) -> Iterator[AccountKey]:
    keys = before.keys() | after.keys()
    return (key for key in keys if before.get(key) != after.get(key))
