"""How the commit of a tree relates to the commits that manifests were applied from before."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace


class AppliedCommit(Struct, frozen=True):
    """A commit that manifests were applied from.

    ``repository`` is the first commit of its history, which every complete clone has in common;
    None if it is unknown, because the clone was shallow.
    """

    commit: str
    repository: str | None = None


class Ancestry(Struct, frozen=True):
    """The commit of a tree, compared with the commits that were applied last. A tree of several
    repositories has several: ``tree`` is the one to name, ``others`` are the rest.

    ``contained`` are part of its history, ``missing`` are not: the tree is older, or its history
    was rewritten. A shallow clone does not show it of those in ``unknown``. Commits of another
    repository are in none of them. ``signed``: only signed commits are accepted. ``elsewhere``:
    the missing commits are of another repository, which counts if only signed ones are accepted.

    ``unanswered`` is why git cannot be asked about a working tree, a clause, and ``to_answer`` what
    to do about it. Then the tree's commit is empty, and every commit counts as missing: what is
    unknown is not taken for newer. Of a saved plan the tree's commit is known, and only what was
    applied after it was saved is missing.
    """

    tree: AppliedCommit
    contained: tuple[AppliedCommit, ...] = ()
    missing: tuple[AppliedCommit, ...] = ()
    unknown: tuple[AppliedCommit, ...] = ()
    signed: bool = False
    elsewhere: bool = False
    unanswered: str | None = None
    to_answer: str = ""
    others: tuple[AppliedCommit, ...] = ()

    @property
    def trees(self) -> tuple[AppliedCommit, ...]:
        """The tree's commits, one of each repository."""
        return (self.tree, *self.others)

    @property
    def compared(self) -> tuple[AppliedCommit, ...]:
        """The commits of the same repository, which an apply of the tree replaces."""
        return (*self.contained, *self.missing, *self.unknown)

    @property
    def is_recorded(self) -> bool:
        """Whether the tree's commits, and no others of their repositories, were applied last, with
        their repositories as far as the tree knows them."""
        known = {(other.commit, other.repository) for other in self.compared}
        known |= {(other.commit, None) for other in self.compared}
        commits = {tree.commit for tree in self.trees}
        return commits == {other.commit for other in self.compared} and all(
            (tree.commit, tree.repository) in known for tree in self.trees
        )

    @property
    def verdict(self) -> tuple[object, ...]:
        """What a plan depends on. Commits that the tree contains make no difference to it, nor do
        those of other repositories."""
        return self.missing, self.unknown, self.elsewhere, self.unanswered


AncestryOf = Callable[[Sequence[AppliedCommit]], Ancestry | None]
"""Compares a tree's commit with those that were applied last; None for a tree outside git."""


def no_ancestry(_applied: Sequence[AppliedCommit]) -> Ancestry | None:
    """Return the ancestry of a tree outside git: there is none."""
    return None


def unanswered(applied: Sequence[AppliedCommit], reason: str, hint: str) -> Ancestry | None:
    """The ancestry of a working tree whose repository git cannot read.

    Args:
        applied: the commits that were applied before.
        reason: why git cannot read it, as a clause.
        hint: how to make it readable.

    Returns:
        The ancestry, in which every earlier commit is missing; None if there is none.
    """
    if not applied:
        return None
    return Ancestry(AppliedCommit(""), missing=tuple(applied), unanswered=reason, to_answer=hint)


class CommitHistory(Protocol):
    """The history of a tree's commit, as far as a repository has it."""

    @property
    def commit(self) -> str:
        """The tree's commit."""
        ...

    def contains(self, earlier: str) -> bool | None:
        """Return whether another commit is part of the history.

        Args:
            earlier: the full hash of the other commit.

        Returns:
            False also if that commit is not here; None if the history of a shallow clone is cut off
            before the answer.
        """
        ...

    def has(self, commit: str) -> bool:
        """Whether a commit is here."""
        ...

    def first_commit(self) -> str | None:
        """Return the first commit of the history; None if a shallow clone does not reach it."""
        ...


def compare(
    history: CommitHistory, applied: Iterable[AppliedCommit], *, signed: bool = False
) -> Ancestry:
    """Compare a tree's commit with the commits that were applied last (rules: guards).

    Args:
        history: the history of the tree's commit.
        applied: the commits that were applied last, perhaps of several repositories.
        signed: whether only signed commits are accepted.

    Returns:
        The comparison. A commit that is not here is missing, unless it is of another repository.
        One of an unknown repository (from a shallow clone) is so if another commit is contained: of
        each repository only the last is known. If only signed commits are accepted, those of
        other repositories are missing if there are no others: a signature does not say for which
        repository it was made.
    """
    contained: list[AppliedCommit] = []
    missing: list[AppliedCommit] = []
    unknown: list[AppliedCommit] = []
    others: list[AppliedCommit] = []
    unattributed: list[AppliedCommit] = []
    first = None
    for other in applied:
        match history.contains(other.commit):
            case True:
                contained.append(other)
            case None:
                unknown.append(other)
            case False:
                first = first or history.first_commit()
                if first is None or other.repository == first or history.has(other.commit):
                    missing.append(other)
                else:
                    (others if other.repository else unattributed).append(other)
    (others if contained else missing).extend(unattributed)
    elsewhere = bool(signed and others and not (contained or missing or unknown))
    if elsewhere:
        missing = others
    repository = next((other.repository for other in contained if other.repository), None)
    tree = AppliedCommit(history.commit, repository or first or history.first_commit())
    return Ancestry(tree, tuple(contained), tuple(missing), tuple(unknown), signed, elsewhere)


def together(parts: Sequence[Ancestry]) -> Ancestry | None:
    """Compare the commits of a tree of several repositories with those that were applied last.

    Args:
        parts: the comparison of each commit of the tree.

    Returns:
        The comparison, in which a commit is missing if it is missing in one part; None without
        parts. A part that contains one of those applied last is not older than it was: it needs
        none that another part contains.
    """
    if len(parts) < 2:
        return parts[0] if parts else None
    contained = _each_once(item for part in parts for item in part.contained)

    def lacks(part: Ancestry) -> Iterable[AppliedCommit]:
        return _each_once(part.missing, contained) if part.contained else part.missing

    missing = _each_once(item for part in parts for item in lacks(part))
    unknown = _each_once((item for part in parts for item in part.unknown), (*contained, *missing))
    decisive = missing or unknown

    def rank(part: Ancestry) -> tuple[bool, bool]:
        is_the_reason = not {*part.missing, *part.unknown}.isdisjoint(decisive)
        return not is_the_reason, part.unanswered is not None

    named = min(parts, key=rank)
    others = _each_once(
        part.tree for part in parts if part.tree.commit not in ("", named.tree.commit)
    )
    return replace(named, contained=contained, missing=missing, unknown=unknown, others=others)


def _each_once(
    commits: Iterable[AppliedCommit], without: Collection[AppliedCommit] = ()
) -> tuple[AppliedCommit, ...]:
    return tuple(dict.fromkeys(item for item in commits if item not in without))
