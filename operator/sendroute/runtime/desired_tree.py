"""A tree as a plan needs it: with its commit, how that relates to those that were applied before,
and the check of its lock files."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial
from posixpath import dirname

from sendroute.following.follower import Follower, SourceSnapshot
from sendroute.following.relative import (
    check_ca_file,
    desired_within,
    finding_within,
    locate_within,
)
from sendroute.git.failures import GitFailedError
from sendroute.git.repository import FindCommit, checked_out_at, find_checkout, is_top
from sendroute.git.tree_history import history_of, tree_history
from sendroute.git.worktree import commit_of
from sendroute.manifests.tree import LoadedTree
from sendroute.model.ancestry import (
    Ancestry,
    AppliedCommit,
    CommitHistory,
    compare,
    together,
    unanswered,
)
from sendroute.model.current import Current
from sendroute.model.finding import Finding
from sendroute.reconcile.reconciler import DesiredTree, Mismatches
from sendroute.store.lock_guard import Commits, locks_of, mismatches


def tree_of_paths(
    loaded: LoadedTree, *, lock: str | None = None, records: bool = False
) -> DesiredTree:
    """Build the tree of a plan from files and directories.

    Args:
        loaded: the manifests as read.
        lock: the lock file that an apply will write, if it exists already.
        records: the plan may be applied, so the commit is needed; git must then examine the tree.

    Returns:
        The tree.
    """
    paths = loaded.files.paths
    at = cache(checked_out_at)

    def ancestry(applied: Sequence[AppliedCommit]) -> Ancestry | None:
        return _of_checkouts(loaded, applied, at) if applied or records else None

    return DesiredTree.of(
        loaded.desired,
        commit_of(paths, at) if records else None,
        loaded.locate,
        lock_check(paths, lock),
        ancestry,
    )


def tree_of_snapshot(
    follower: Follower,
    snapshot: SourceSnapshot,
    loaded: LoadedTree,
    *,
    signed: bool,
    should_stop: Callable[[], bool],
) -> DesiredTree:
    """Build the tree of a plan from a snapshot of a followed source.

    Args:
        follower: what follows the source.
        snapshot: the snapshot, as the follower found it.
        loaded: its manifests as read.
        signed: whether only signed commits are accepted.
        should_stop: checked while git is asked about the commit.

    Returns:
        The tree. Positions are relative to the top of the checkout.

    Raises:
        ProblemError: as for :func:`sendroute.following.relative.check_ca_file`.
    """

    if snapshot.root is not None:
        check_ca_file(snapshot.root, loaded.desired)

    def ancestry(applied: Sequence[AppliedCommit]) -> Ancestry | None:
        if snapshot.commit is None:
            return _of_checkouts(loaded, applied, checked_out_at)
        return _ancestry(lambda: follower.history(snapshot, should_stop), applied, signed=signed)

    return DesiredTree.of(
        desired_within(snapshot.root, loaded.desired),
        snapshot.commit or commit_of([snapshot.path]),
        locate_within(snapshot.root, loaded.locate),
        lock_check([snapshot.path], top=snapshot.root),
        ancestry,
    )


def compare_again(
    trees: Sequence[AppliedCommit], applied: Sequence[AppliedCommit], paths: Iterable[str]
) -> Ancestry | None:
    """Compare the commits of a tree that was read before with those that were applied last.

    Args:
        trees: the commits of the tree.
        applied: the commits that were applied last.
        paths: files and directories that may be in the repositories of the tree, in any checkout.

    Returns:
        The comparison; None if git cannot be asked about each commit of the tree.
    """
    directories = dict.fromkeys(path if path.endswith("/") else dirname(path) for path in paths)
    tops = (find_checkout(directory or ".") for directory in directories)
    checkouts = {checkout.top: checkout for checkout in tops if checkout is not None}
    parts = []
    for tree in trees:
        history = history_of(tree.commit, checkouts.values())
        if history is None:
            return None
        parts.append(compare(history, applied))
    return together(parts)


def _of_checkouts(
    loaded: LoadedTree, applied: Sequence[AppliedCommit], at: FindCommit
) -> Ancestry | None:
    """Compare each checkout that the manifests are in, so that no order of paths lets an older one
    pass."""
    histories = (partial(tree_history, checkout, at) for checkout in loaded.files.checkouts)
    compared = (_ancestry(find, applied) for find in histories)
    return together([part for part in compared if part is not None])


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
            return unanswered(applied, "git failed", "See there why git does not answer.")
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
    locks = locks_of(paths, is_top, written, top, others)

    def check(current: Current, commits: Commits) -> Iterator[Finding]:
        for item in mismatches(locks, current, commits, written=written):
            yield finding_within(top, item)

    return check
