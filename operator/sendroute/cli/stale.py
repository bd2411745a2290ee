"""A saved plan against the store as it is now."""

from sendroute.cli.proof import verifier_of
from sendroute.cli.saved_plan import decided_by, differing, load
from sendroute.cli.session import Session
from sendroute.cli.store_lock import locks_of, mismatches
from sendroute.model.codes import finding
from sendroute.model.finding import Finding, Where
from sendroute.model.problem import ProblemError
from sendroute.planner.guards import Guards
from sendroute.planner.plan import plan_tree
from sendroute.reconcile.planned import Planned, Source
from sendroute.reconcile.verifier import Scope
from sendroute.reports.report import nowhere
from sendroute.store.record import Store

_NAMED = 5


def plan_saved(
    store: Store, session: Session, path: str, guards: Guards, lock: str | None
) -> Planned:
    """The saved plan, planned again.

    It is made again with what it was made with: the secrets that had changed then, the profiles
    that had failed then. That decision must be the same to the letter. What is carried out
    differs from it only by what cannot be saved now: a secret that is gone, a test that fails
    (:meth:`Planned.tested_by`). A secret that has changed since is left to the next plan.

    Raises :class:`ProblemError`: ``stale-plan`` where the decision for any account would differ,
    ``wrong-store`` where it was made for another store, and what is wrong with the file.
    """
    saved = load(path)
    current, sealed = store.read_sealed()
    if saved.lineage != current.lineage:
        raise ProblemError(_another_store(path))
    scope = Scope(guards, frozenset(saved.only))
    desired, shown = saved.desired(), saved.shown()
    verifier = verifier_of(session, desired, current, saves=True, shown=shown)
    rotated = verifier.still_rotated(desired, current, sealed, scope)
    plan = plan_tree(
        desired, current, failed=shown.failed, rotated=rotated, guards=guards, only=scope.only
    )
    changed = differing(saved.decided, decided_by(plan))
    if changed:
        raise ProblemError(_stale(path, changed))
    mismatch = tuple(mismatches(locks_of((), lock), current, store.contains))
    verified = verifier.decide(desired, current, sealed, scope)
    source = Source(desired, saved.commit, nowhere)
    planned = Planned(store, source, current, sealed, verified, verifier, scope, mismatch)
    return planned.with_findings(mismatch)


def _stale(path: str, changed: list[str]) -> Finding:
    named = ", ".join(changed[:_NAMED])
    more = f" and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
    return finding(
        "stale-plan",
        f"The saved plan no longer fits the store: it would decide otherwise for {named}{more}.",
        hint=f"Make it again, and review it: sendroute plan PATH --out {path}",
        where=Where(path, 0),
    )


def _another_store(path: str) -> Finding:
    return finding(
        "stale-plan",
        "The saved plan was made for another store.",
        hint="Name the store that it was made for with --store, or make the plan again.",
        where=Where(path, 0),
    )
