"""The newest tree, and the last good one, which is served while the newest cannot be used."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from sendroute.following.follower import Follower, SourceSnapshot
from sendroute.model.codes import Trait, finding, has_trait
from sendroute.model.desired import AccountKey, Desired
from sendroute.model.finding import Finding, Severity, located
from sendroute.model.owner import Owner
from sendroute.model.problem import ProblemError
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


class ServedTrees:
    """``last_good`` is the tree that is served, None while there is none. ``held`` are accounts of
    it whose changes were not applied: they cannot be undone, and the directory may be in the middle
    of a change. ``settle`` is for how many seconds it must not have changed."""

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
        self._settled: frozenset[str] = frozenset()
        self._held_since = 0.0
        self.settles_at = 0.0
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
                "Changes that cannot be undone are not applied yet: they wait until the directory"
                f" has not changed for {self.settle:g} s.",
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

    def is_settled(self, candidate: Candidate) -> bool:
        """Whether what cannot be undone may be applied: the tree is a commit, or was seen in a
        directory that did not change for long enough.

        Args:
            candidate: one of the :meth:`candidates`.

        Returns:
            Whether it is whole.
        """
        snapshot = candidate.snapshot
        return snapshot.changed_at is None or snapshot.fingerprint in self._settled

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
        """Find out whether the directory has settled, and changes were held until then."""
        if snapshot.changed_at is None:
            return False
        before, self._settled = self._settled, self._settled & self._fingerprints()
        self.settles_at = snapshot.changed_at + self.settle
        if time.monotonic() >= self.settles_at:
            self._settled |= {snapshot.fingerprint} & self._fingerprints()
        return bool(self.held and self._settled - before)

    def _fingerprints(self) -> frozenset[str]:
        return frozenset(candidate.snapshot.fingerprint for candidate in self.candidates())

    def _read_changed(self, snapshot: SourceSnapshot, reread: bool) -> bool:
        same = snapshot.fingerprint == self._fingerprint
        if same and not reread:
            return False
        snapshot, tree = self._read_consistently(snapshot)
        before, self._read_errors = self._read_errors, _read_errors(tree)
        if same and snapshot.fingerprint == self._fingerprint and before == self._read_errors:
            return False
        self._fingerprint = snapshot.fingerprint
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
    """The accounts whose manifests differ; None for all of them, if the platform differs. A
    document that moved counts too, because its findings have another position."""
    if before is None or before.platform is None or after.platform is None:
        return None
    platforms = (before.platform, after.platform)
    old, new = ((p.platform, p.suspended) for p in platforms)
    if old != new or before.accepted != after.accepted:
        return None
    return frozenset(before.stopped ^ after.stopped).union(
        _differing(before.accounts, after.accounts),
        _differing(before.undefined, after.undefined),
        _differing(before.orphans, after.orphans),
        _differing(before.ill_formed, after.ill_formed),
    )


def _differing(
    before: Mapping[AccountKey, object], after: Mapping[AccountKey, object]
) -> Iterator[AccountKey]:
    keys = before.keys() | after.keys()
    return (key for key in keys if before.get(key) != after.get(key))
