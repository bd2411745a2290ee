"""Manifests that were read, as the source of a plan."""

from collections.abc import Sequence
from functools import partial

from sendroute.following.relative import desired_within, locate_within
from sendroute.manifests.tree import LoadedTree
from sendroute.model.ancestry import AncestryOf, no_ancestry
from sendroute.reconcile.reconciler import Source
from sendroute.store.lock_guard import locks_of, mismatches


def source_of(
    tree: LoadedTree,
    paths: Sequence[str],
    commit: str | None,
    *,
    root: str | None = None,
    lock: str | None = None,
    ancestry: AncestryOf = no_ancestry,
) -> Source:
    """Build the source of a plan, with the check of its lock files.

    Args:
        tree: the manifests as read.
        paths: where they were read from.
        commit: their commit; None outside git, or if it is not needed.
        root: the top of a checkout, to which positions are relative; None for a working tree.
        lock: the lock file that an apply will write, if it exists already.
        ancestry: how the commit relates to those that were applied before.

    Returns:
        The source.
    """
    return Source(
        desired_within(root, tree.desired),
        commit,
        locate_within(root, tree.locate),
        partial(mismatches, locks_of(paths, lock, root), written=lock),
        ancestry,
    )
