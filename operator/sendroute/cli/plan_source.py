"""Makes a plan from paths or from a saved plan, for ``plan`` and ``apply``."""

import os
import shlex
import sys
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from sendroute.cli.command_line import UsageError
from sendroute.cli.connection_tests import tester_of
from sendroute.cli.given_options import with_given_options
from sendroute.cli.lookup import accounts_named, nowhere, read_tree
from sendroute.cli.options import GuardOptions
from sendroute.cli.session import Session
from sendroute.files.reason import reason_of
from sendroute.files.regular import head_of
from sendroute.manifests.sources import STDIN
from sendroute.manifests.tree import locations_of
from sendroute.model.codes import Trait, has_trait
from sendroute.model.desired import AccountKey, Desired
from sendroute.model.finding import Finding
from sendroute.model.problem import ProblemError
from sendroute.planner.guards import Guards
from sendroute.reconcile.reconciler import Planned, PlanRequest, Reconciler
from sendroute.reconcile.replan import plan_again
from sendroute.reconcile.saved_plan import (
    SavedFinding,
    SavedPlan,
    decode,
    encode,
    is_saved_plan,
    saved_plan_of,
    unusable,
)
from sendroute.reconcile.verifier import SavedInputs
from sendroute.reports.progress import waiting
from sendroute.reports.render import Format, render
from sendroute.reports.report import of_plan
from sendroute.reports.write import write
from sendroute.runtime.desired_tree import compare_again, lock_check, tree_of_paths
from sendroute.store.record import Store

_TOP = 4096


class PlanOptions(NamedTuple):
    """What to plan, and how.

    ``only`` are names of accounts as typed. ``lock`` is the lock file that apply will write.
    ``saves``: the plan will be applied. ``test``: test connections now. ``records``: the commit of
    the manifests is needed; git must then examine the tree.
    """

    only: Sequence[str] | None = None
    guards: Guards = Guards()
    lock: str | None = None
    saves: bool = False
    test: bool = False
    records: bool = True


def reconciler_of(
    store: Store, session: Session, *, saves: bool, shown: SavedInputs | None = None
) -> Reconciler:
    """The reconciler of one command. ``saves``: its plan will be applied. ``shown``: what a saved
    plan was made with; None for a new plan."""
    tester = tester_of(session.terminal)
    return session.factory.reconciler(store, tester, saves=saves, shown=shown)


def is_saved_plan_file(path: str) -> bool:
    """Whether a file is a saved plan, valid or not, by its first bytes."""
    return path != STDIN and is_saved_plan(head_of(path, _TOP))


def refuse_saved_plans(paths: Sequence[str]) -> None:
    """Raises UsageError if a path of manifests is a saved plan."""
    for path in filter(is_saved_plan_file, paths):
        command = with_given_options(f"sendroute apply {shlex.quote(path)}")
        raise UsageError(f"`{path}` is a saved plan, not manifests. To apply it: {command}")


def plan_paths(
    store: Store, session: Session, paths: Sequence[str], options: PlanOptions
) -> Planned:
    """Read the manifests and plan them.

    Raises:
        ProblemError: an account is unknown, or the store, the secrets or a key is unusable.
        UsageError: an account that is to be removed is declared.
    """
    loaded = read_tree(paths, session, cached=True)
    only = None
    to_remove = options.guards.remove_accounts
    if options.only or to_remove:
        known = loaded.desired.mentioned.union(store.accounts())
        known |= store.removed_accounts(to_remove - known)
        accounts_named(sorted(map(str, to_remove)), known, nowhere)
        _require_undeclared(to_remove, loaded.desired)
        only = accounts_named(options.only, known, nowhere) if options.only else None
    request = PlanRequest(options.guards, only)
    tree = tree_of_paths(loaded, lock=options.lock, records=options.records)
    reconciler = reconciler_of(store, session, saves=options.saves)
    # Connection tests have a bar of their own.
    quiet = session.terminal.quiet or options.test
    with waiting("Planning", sys.stderr, quiet=quiet):
        planned = reconciler.plan(tree, request, test=options.test)
    loaded.locate.expect(locations_of(planned.plan))
    return planned


def _require_undeclared(to_remove: Collection[AccountKey], desired: Desired) -> None:
    """The removal of an account that is declared, and not to be removed, is a mistake: the path is
    wrong, or the option was left in a script. Confirming it would do nothing now, and would let the
    removal through when the document is lost."""
    for key in sorted(to_remove):
        account = desired.accounts.get(key)
        if account is not None and account.remove is None:
            raise UsageError(
                f"--remove-account {key}: {account.where.file} declares this account, so nothing"
                " would be removed. Remove its documents, or do not give the option."
            )


def plan_saved(
    store: Store, session: Session, path: str, limits: GuardOptions, lock: str | None
) -> Planned:
    """Plan the saved plan in a file again; see :func:`plan_again`. The guards have the limits of
    the saved plan, unless ``limits`` has others.

    Raises:
        ProblemError: the file is invalid, or as :func:`plan_again`.
    """
    try:
        saved = decode(Path(path).read_bytes(), path)
    except OSError as error:
        reason = f"it cannot be read ({reason_of(error)})"
        raise unusable("unreadable", path, reason) from error
    reconciler = reconciler_of(store, session, saves=True, shown=saved.shown())
    guards = limits.guards(saved.limits.guards())
    stale = _stale_locks(saved, lock)
    check = lock_check((), lock, others=sorted(stale))
    others = (item for item in saved.mismatch if _lock_of(item) not in stale)
    saved = replace(saved, mismatch=tuple(others))
    ask = partial(compare_again, paths=_paths_of(saved, path))
    return plan_again(reconciler, saved, path, guards, check, store.history, ask)


def _paths_of(saved: SavedPlan, path: str) -> list[str]:
    """What may be in a checkout of the repositories that a saved plan is of: the working directory,
    the manifests if they are still there, and the plan itself."""
    files = dict.fromkeys(account.where.file for account in saved.accounts)
    return ["./", saved.manifest, path, *files]


def _stale_locks(saved: SavedPlan, written: str | None) -> set[str]:
    """The lock files that were stale or edited when the plan was saved, and can be compared again
    or are written now."""
    locks = {lock for item in saved.mismatch if (lock := _lock_of(item))}
    rewritten = written and os.path.realpath(written)
    return {lock for lock in locks if Path(lock).is_file() or os.path.realpath(lock) == rewritten}


def _lock_of(item: SavedFinding) -> str | None:
    return item.file if has_trait(item.code, Trait.REWRITTEN) else None


def save_plan(path: str, planned: Planned) -> tuple[Finding, ...]:
    """Write a plan into a file. It names secrets, but holds none. Returns the findings if it cannot
    be written, because the plan is shown in any case."""
    report = of_plan(planned.plan, locate=planned.tree.locate)
    text, reported = "".join(render(report, Format.JSON)), locations_of(planned.plan)
    saved = saved_plan_of(planned, text, str(Path.cwd()), reported)
    try:
        write(path, [encode(saved)], subject="The saved plan", mode=0o600)
    except ProblemError as problem:
        return problem.findings
    return ()
