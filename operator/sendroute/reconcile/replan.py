"""A saved plan is planned again: it is applied only if the decision is the one that was shown."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from msgspec.structs import replace

from sendroute.model.ancestry import Ancestry, AppliedCommit
from sendroute.model.change import Action, Plan
from sendroute.model.codes import finding
from sendroute.model.finding import Finding, whole_file
from sendroute.model.owner import PLATFORM
from sendroute.model.problem import ProblemError
from sendroute.model.remedy import Configure, Perform, Setting, Task
from sendroute.model.words import first_of
from sendroute.planner.guards import Guards
from sendroute.planner.plan import plan_accounts
from sendroute.reconcile.applied_plan import History, applied_revisions, stopped_accounts
from sendroute.reconcile.reconciler import DesiredTree, Mismatches, Planned, PlanRequest, Reconciler
from sendroute.reconcile.saved_plan import SavedPlan, decided_by, differing

AskAgain = Callable[[Sequence[AppliedCommit], Sequence[AppliedCommit]], Ancestry | None]
"""Asks git how commits of a tree relate to those that were applied last; None if git cannot say,
because the repository of the tree is elsewhere."""

_LISTED = 5
_UNASKED = "it was applied after the plan was saved, and the repository of the plan is not here"
_PLAN_AGAIN = "Plan again, from a checkout of that repository."


def plan_again(
    reconciler: Reconciler,
    saved: SavedPlan,
    path: str,
    guards: Guards,
    mismatches: Mismatches,
    history: History,
    ask: AskAgain,
) -> Planned:
    """Plan a saved plan again, with the same rotated secrets and failed profiles as before.

    The decision must be identical. If a part of the plan was applied, because a guard refused the
    rest, the rest must be identical, and the other accounts must have no changes left. The
    committed changes differ from it only by what cannot be saved now: a secret no longer exists, or
    a test fails. A secret that was rotated after the plan was saved is left to the next plan.

    Args:
        reconciler: the reconciler, whose verifier compares secrets with ``saved.shown()``.
        saved: the saved plan.
        path: its file, for findings.
        guards: the guards that apply now.
        mismatches: compares lock files with the store, see :class:`DesiredTree`.
        history: reads the store's history.
        ask: compares the plan's commits again, with what was applied after it was saved.

    Returns:
        The plan to commit.

    Raises:
        ProblemError: ``stale-plan`` if the decision for any account would differ, if the plan was
            applied already, or if it was made for another store; or the store, the secrets or a
            key is unusable.
    """
    with reconciler.store.snapshot() as snapshot:
        if saved.lineage != snapshot.read_accounts(()).lineage:
            raise ProblemError(_other_store(path))
    tree = DesiredTree.of(
        saved.desired(),
        saved.commit,
        saved.locate(),
        mismatches,
        lambda applied: _with_later(saved.ancestry, applied, ask),
    )
    request = PlanRequest(guards, frozenset(saved.only), pending=dict(saved.pending))
    planned = reconciler.plan(tree, request)
    _require_same(saved, path, planned, history)
    refused = tuple(item.as_finding() for item in saved.mismatch)
    return replace(planned, mismatch=(*refused, *planned.mismatch)) if refused else planned


def _require_same(saved: SavedPlan, path: str, planned: Planned, history: History) -> None:
    """Raises :class:`ProblemError` (``stale-plan``) unless the decision is the saved one, or the
    rest of it after a part was applied."""
    same = plan_accounts(
        planned.tree.desired,
        planned.current,
        planned.scope,
        failed=saved.shown().failed,
        rotated=planned.verified.secrets.rotated,
    )
    changed = differing(saved.decided, decided_by(same))
    if changed:
        applied = applied_revisions(saved.report, changed, history)
        rest = _to_write(same) - set(changed)
        if not (applied.revisions and applied.complete):
            raise ProblemError(_stale(path, changed, applied.revisions))
        if not rest:
            raise ProblemError(_applied(path, applied.revisions))
        if rest - stopped_accounts(saved.report) or not _to_write(same).isdisjoint(changed):
            raise ProblemError(_stale(path, changed, applied.revisions))


def _with_later(
    ancestry: Ancestry | None, applied: Sequence[AppliedCommit], ask: AskAgain
) -> Ancestry | None:
    """A saved ancestry with the commits that were applied after the plan was saved. If git cannot
    be asked about them, they count as missing: what is unknown is not taken for older."""
    if ancestry is None:
        return None
    known = {item.commit for item in (*ancestry.trees, *ancestry.compared)}
    later = [item for item in applied if item.commit not in known]
    now = ask(ancestry.trees, applied) if later else None
    if now is not None:
        return replace(
            ancestry,
            contained=(*ancestry.contained, *_among(later, now.contained)),
            missing=(*ancestry.missing, *_among(later, now.missing)),
            unknown=(*ancestry.unknown, *_among(later, now.unknown)),
        )
    repositories = {None, *(tree.repository for tree in ancestry.trees)}
    unasked = tuple(item for item in later if item.repository in repositories)
    if not unasked or ancestry.missing:
        return replace(ancestry, missing=(*ancestry.missing, *unasked))
    return replace(ancestry, missing=unasked, unanswered=_UNASKED, to_answer=_PLAN_AGAIN)


def _among(
    later: Sequence[AppliedCommit], commits: Sequence[AppliedCommit]
) -> Iterator[AppliedCommit]:
    return (item for item in commits if item in later)


def _to_write(plan: Plan) -> set[str]:
    """Whose changes a plan has, besides skips: accounts as NAMESPACE/NAME, and ``the platform``."""
    platform = [str(PLATFORM)] if plan.platform is not None else []
    accounts = (
        str(account.key)
        for account in plan.accounts
        if any(change.action is not Action.SKIP for change in account.changes)
    )
    return {*platform, *accounts}


def _stale(path: str, changed: list[str], applied: list[int]) -> Finding:
    """``applied`` are the revisions at which a part of the plan was applied."""
    listed = first_of(changed, _LISTED)
    reason = (
        f"was applied already in part, {_at(applied)}" if applied else "no longer fits the store"
    )
    return finding(
        "stale-plan",
        f"The saved plan {path} {reason}: the decision would differ for {listed}.",
        hint="Save the plan again and review it.",
        remedy=Perform(Task.SAVE_PLAN, path),
        where=whole_file(path),
    )


def _applied(path: str, revisions: list[int]) -> Finding:
    """The decision differs because the plan is in effect."""
    return finding(
        "stale-plan",
        f"The saved plan {path} was applied already, {_at(revisions)}.",
        hint="For further changes, save a new plan.",
        remedy=Perform(Task.SAVE_PLAN, path),
        where=whole_file(path),
    )


def _at(revisions: list[int]) -> str:
    """``at revision 3``, or ``at revisions 1 to 3 and 5``: only those that the plan wrote."""
    runs = [(run[0], run[-1]) for run in _consecutive(revisions)]
    texts = [str(first) if first == last else f"{first} to {last}" for first, last in runs]
    *others, final = texts
    listed = f"{', '.join(others)} and {final}" if others else final
    return f"at revision{'s' if len(revisions) > 1 else ''} {listed}"


def _consecutive(revisions: list[int]) -> Iterator[list[int]]:
    for _, run in groupby(enumerate(revisions), key=lambda pair: pair[1] - pair[0]):
        yield [revision for _, revision in run]


def _other_store(path: str) -> Finding:
    return finding(
        "stale-plan",
        f"The saved plan {path} was made for another store.",
        hint="Save the plan again, or specify the store that the plan was made for.",
        remedy=Configure(Setting.STORE),
        where=whole_file(path),
    )
