"""Manifests that were read, as the source of a plan: with their commit, how it relates to those
that were applied before, and the check of their lock files."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache

from sendroute.following.follower import FollowedTree, Follower
from sendroute.following.relative import desired_within, finding_within, locate_within
from sendroute.git.failures import GitFailedError
from sendroute.git.repository import checked_out
from sendroute.git.tree_history import tree_history
from sendroute.git.worktree import commit_of
from sendroute.manifests.tree import LoadedTree
from sendroute.model.ancestry import (
    Ancestry,
    AppliedCommit,
    CommitHistory,
    compare,
    unanswered,
)
from sendroute.model.current import Current
from sendroute.model.finding import Finding
from sendroute.model.provenance import Head
from sendroute.reconcile.reconciler import Mismatches, Source
from sendroute.store.lock_guard import locks_of, mismatches


def source_of_paths(tree: LoadedTree, *, lock: str | None = None, records: bool = False) -> Source:
    """Build the source of a plan from files and directories.

    Args:
        tree: the manifests as read.
        lock: the lock file that an apply will write, if it exists already.
        records: the plan may be applied, so the commit is needed; git must then examine the tree.

    Returns:
        The source.
    """
    paths = tree.files.paths
    find = cache(checked_out)

    def ancestry(applied: Sequence[AppliedCommit]) -> Ancestry | None:
        if not applied and not records:
            return None
        return _ancestry(lambda: tree_history(paths, find), applied)

    return Source(
        tree.desired,
        commit_of(paths, find) if records else None,
        tree.locate,
        lock_check(paths, lock),
        ancestry,
    )


def source_of_follower(
    follower: Follower,
    followed: FollowedTree,
    tree: LoadedTree,
    *,
    signed: bool,
    should_stop: Callable[[], bool],
) -> Source:
    """Build the source of a plan from a tree that is followed.

    Args:
        follower: what follows it.
        followed: the tree, as the follower found it.
        tree: its manifests as read.
        signed: whether only signed commits are accepted.
        should_stop: checked while git is asked about the commit.

    Returns:
        The source. Positions are relative to the top of the checkout.
    """

    def ancestry(applied: Sequence[AppliedCommit]) -> Ancestry | None:
        return _ancestry(lambda: follower.history(followed, should_stop), applied, signed=signed)

    return Source(
        desired_within(followed.root, tree.desired),
        followed.commit or commit_of([followed.path]),
        locate_within(followed.root, tree.locate),
        lock_check([followed.path], top=followed.root),
        ancestry,
    )


def _ancestry(
    find: Callable[[], CommitHistory | None],
    applied: Sequence[AppliedCommit],
    *,
    signed: bool = False,
) -> Ancestry | None:
    try:
        history = find()
    except GitFailedError as error:
        cause = error.cause
        if cause is None:
            return unanswered(applied, "git failed", "Run git status there to see the reason.")
        return unanswered(applied, cause.sentence, cause.hint)
    return compare(history, applied, signed=signed) if history is not None else None


def lock_check(
    paths: Sequence[str],
    written: str | None = None,
    *,
    top: str | None = None,
    others: Sequence[str] = (),
) -> Mismatches:
    """Build the check of the lock files that belong to manifests. They are read now.

    Args:
        paths: the paths of the manifests; empty for a saved plan.
        written: the lock file that an apply will write, if it exists already.
        top: the top of a checkout without a repository; None for a working tree.
        others: further lock files.

    Returns:
        The check. What it says of files in a checkout is relative to its top.
    """
    locks = locks_of(paths, written, top, others)

    def check(current: Current, contains: Callable[[Head], bool]) -> Iterator[Finding]:
        for item in mismatches(locks, current, contains, written=written):
            yield finding_within(top, item)

    return check
