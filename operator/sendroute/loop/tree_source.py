"""The newest tree, and the last good one, which serves until the newest is good."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from msgspec.structs import replace

from sendroute.following.follower import Follower, Tree
from sendroute.model.codes import finding
from sendroute.model.desired import AccountKey, Desired
from sendroute.model.finding import Finding, Severity
from sendroute.model.problem import ProblemError
from sendroute.reconcile.reconciler import Source
from sendroute.runtime.stop import Stop

Read = Callable[[Tree], Source]

_READINGS = 5


class LoadedTree(NamedTuple):
    """A tree, and what was read of it."""

    tree: Tree
    source: Source


class TreeSource:
    """``good`` is the tree that serves, None while none does."""

    def __init__(self, follower: Follower, read: Read, stop: Stop) -> None:
        self._follower = follower
        self._read = read
        self._stop = stop
        self._fingerprint: str | None = None
        self._newest: LoadedTree | None = None
        self._unreachable: tuple[Finding, ...] = ()
        self._unfit: tuple[Finding, ...] = ()
        self._mismatch: tuple[Finding, ...] = ()
        self._unread: frozenset[Finding] = frozenset()
        self.good: LoadedTree | None = None

    @property
    def fault(self) -> tuple[Finding, ...]:
        """Why the newest tree cannot be had or does not serve; empty where it does."""
        return self._unreachable + (self._unfit or self._mismatch)

    @property
    def unreachable(self) -> bool:
        """Whether the source could not be had at the last look."""
        return bool(self._unreachable)

    @property
    def in_part(self) -> bool:
        """Whether some of the newest tree could not be read. It may be at another time, although
        nothing is seen to change: a disk or a server of files failed for a moment."""
        return bool(self._unread)

    @property
    def any(self) -> bool:
        """Whether there is a tree to reconcile at all."""
        return self.good is not None or self._newest is not None

    def look(self, *, anew: bool = False) -> bool:
        """Whether there is a tree that was not reconciled yet. ``anew``: one that was read in part
        is read again, though nothing changed."""
        try:
            found = self._look(anew and self.in_part)
            self._unreachable = ()
        except ProblemError as problem:
            self._unreachable = problem.findings
            found = False
        if self.good is None and self._newest is None and self.fault:
            found = self._recall()
        return found

    def candidates(self) -> Iterator[LoadedTree]:
        """What may be reconciled, the newest first."""
        if self._newest is not None:
            yield self._newest
        if self.good is not None:
            yield self.good

    def adopt(self, taken: LoadedTree) -> bool:
        """This one serves from now on; whether it is another than before."""
        if self._newest is None or self._newest is taken:
            self._mismatch = ()
        if taken is not self._newest:
            return False
        self._newest, self.good = None, taken
        return True

    def remember(self) -> None:
        """The tree that serves is the one to begin with after a restart. Raises
        :class:`ProblemError`."""
        if self.good is not None:
            self._follower.remember(self.good.tree)

    def refuse(self, taken: LoadedTree, why: tuple[Finding, ...]) -> None:
        """It contradicts the store. It is asked again, for the store may be put right."""
        if self._newest is None or self._newest is taken:
            self._mismatch = why

    def _look(self, anew: bool) -> bool:
        tree = self._follower.poll(self._stop.is_set)
        same = tree.fingerprint == self._fingerprint
        if same and not anew:
            return False
        tree, source = self._reading(tree)
        before, self._unread = self._unread, _unread(source)
        if same and tree.fingerprint == self._fingerprint and before == self._unread:
            return False
        self._fingerprint = tree.fingerprint
        self._unfit = faults(source)
        self._newest = None if self._unfit else LoadedTree(tree, source)
        return not self._unfit

    def _reading(self, tree: Tree) -> tuple[Tree, Source]:
        for _ in range(_READINGS):
            with self._stop.interruptible():
                source = self._read(tree)
            if self._follower.unchanged(tree):
                return tree, source
            tree = self._follower.poll(self._stop.is_set)
        raise ProblemError(
            finding(
                "source-unreachable",
                "The manifests changed again and again while they were read.",
                hint="They are read again with the next look; switch a link to a folder that is"
                " whole where they change all the time.",
            )
        )

    def _recall(self) -> bool:
        """After a start: the tree that served before, where the follower keeps one."""
        try:
            tree = self._follower.last_good(self._stop.is_set)
            if tree is None:
                return False
            with self._stop.interruptible():
                source = self._read(tree)
        except ProblemError:
            return False  # why the newest does not serve is told; that there is no other follows
        if faults(source):
            return False
        self.good = LoadedTree(tree, source)
        return True


def _unread(source: Source) -> frozenset[Finding]:
    return frozenset(found for found in source.desired.findings if found.code == "unreadable")


def faults(source: Source) -> tuple[Finding, ...]:
    """Why nothing of a tree may be applied: without a platform that can be read nothing is. With
    their places, for what they are in may be gone soon."""
    if source.desired.platform is not None:
        return ()
    return tuple(
        replace(found, position=source.locate(found.where))
        if found.position is None and found.where is not None
        else found
        for found in source.desired.findings
        if found.account is None and found.severity is Severity.ERROR
    )


def changed(before: Desired | None, after: Desired) -> frozenset[AccountKey] | None:
    """The accounts whose manifests differ; None for all of them, for the platform does. A document
    that stands elsewhere now counts too: its findings have another place."""
    if before is None or before.platform is None or after.platform is None:
        return None
    platforms = (before.platform, after.platform)
    old, new = ((each.platform, each.suspended) for each in platforms)
    if old != new:
        return None
    keys = before.accounts.keys() | after.accounts.keys()
    differ = {key for key in keys if before.accounts.get(key) != after.accounts.get(key)}
    orphans = before.orphans.keys() | after.orphans.keys()
    differ |= {key for key in orphans if before.orphans.get(key) != after.orphans.get(key)}
    return frozenset(differ | (before.stopped ^ after.stopped))
