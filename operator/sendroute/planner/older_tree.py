"""The guard ``older-tree``: a tree that lacks a commit which was applied before undoes nothing.

An old checkout, a CI job that runs late or a branch that was reset would remove what a newer
tree added, and return routes to what they were. Whether a commit contains another one is a fact
that the caller asks git for.
"""

from collections import Counter
from collections.abc import Iterable
from typing import assert_never

from sendroute.model.ancestry import Ancestry, AppliedCommit
from sendroute.model.change import (
    AccountChange,
    AccountPlan,
    Action,
    DomainChange,
    ObjectChange,
    PlatformChange,
    ProfileChange,
)
from sendroute.model.codes import finding
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, Severity, Where
from sendroute.model.remedy import AllowOlderTree, Approve, GitTask, Remedy, UseGit
from sendroute.model.words import counted
from sendroute.planner.guards import Guards
from sendroute.planner.profiles import needs_test

_SHOWN = 12
"""Characters of a commit's name that are shown."""


def check_older_tree(
    key: AccountKey,
    changes: Iterable[ObjectChange],
    ancestry: Ancestry | None,
    guards: Guards,
    where: Where | None,
) -> tuple[Finding, ...]:
    """Check whether the tree of an account is older than the one that was applied last.

    Args:
        key: the account.
        changes: its changes.
        ancestry: how the tree's commit relates to those applied last; None outside git.
        guards: whether an older tree is allowed.
        where: the position of its MailAccount; None if it has none.

    Returns:
        A refusal if the tree is older and the changes would undo anything. If only signed
        commits are accepted, every change counts.
    """
    if ancestry is None or not ancestry.missing or guards.allow_older_tree:
        return ()
    counts: Counter[str] = Counter()
    for change in changes:
        effect = _effect(change)
        if effect is None and ancestry.signed and change.action is not Action.SKIP:
            effect = "change"
        if effect is not None:
            counts[effect] += 1
    if not counts:
        return ()
    effect = " and ".join(f"{verb} {counted(n, 'object')}" for verb, n in sorted(counts.items()))
    return (_refusal(ancestry, guards, f"{effect} of account {key}", key, where),)


def refuse_platform(
    change: PlatformChange | None, ancestry: Ancestry | None, guards: Guards
) -> Finding | None:
    """Refuse to change the platform by an older tree; None if it may change. Its relay and its
    service plans decide the routes of every account."""
    if ancestry is None or not ancestry.missing or guards.allow_older_tree:
        return None
    if change is None or change.action is not Action.UPDATE or change.before == change.after:
        return None
    return _refusal(ancestry, guards, "change the platform", None, change.where)


def report_unknown(
    plans: Iterable[AccountPlan], ancestry: Ancestry | None, guards: Guards
) -> Iterable[Finding]:
    """Warn once if a shallow clone does not show whether the tree is older, and it matters."""
    if ancestry is None or not ancestry.unknown or ancestry.missing or guards.allow_older_tree:
        return
    if not any(_effect(change) for plan in plans for change in plan.changes):
        return
    yield finding(
        "older-tree",
        f"Whether commit {_short(ancestry.tree)} contains commit {_short(ancestry.unknown[0])},"
        " which was applied last, cannot be checked in this shallow clone.",
        hint="Fetch more of the history before applying.",
        remedy=UseGit(GitTask.FETCH_HISTORY),
        severity=Severity.WARNING,
    )


def _effect(change: ObjectChange) -> str | None:
    """How the change undoes something; None if it only adds."""
    if change.action in (Action.CREATE, Action.SKIP):
        return None
    if change.action is Action.DELETE:
        return "delete"
    match change:
        case DomainChange():
            if change.action in (Action.REROUTE, Action.REASSIGN):
                return "reroute"
            # The right tree would then declare its route again, which ends an apply-all's effect.
            is_switched = change.before is not None and change.before.shadow is not None
            return "change" if is_switched else None
        case ProfileChange():
            # The mail of its domains goes to another host, or with another credential.
            return "reroute" if needs_test(change.before, change.written) else None
        case AccountChange():
            # A client that was named, or removed, may send again, or no longer.
            before = change.before
            is_other = before is not None and before.logins != change.written.logins
            return "change" if is_other else None
        case _:
            assert_never(change)


def _refusal(
    ancestry: Ancestry, guards: Guards, effect: str, key: AccountKey | None, where: Where | None
) -> Finding:
    last, is_elsewhere = ancestry.missing[0], ancestry.elsewhere
    if is_elsewhere:
        hint = "Check that the repository and the branch are the intended ones."
    elif ancestry.unanswered is None:
        hint = "Use a checkout that contains that commit: fetch, then merge or rebase."
    else:
        hint = ancestry.to_answer
    remedy: Remedy
    if guards.approved is not None and key is not None:
        step, remedy = "approve it", Approve(*key)
    else:
        step, remedy = "allow it", AllowOlderTree()
    hint += f" If {'this' if is_elsewhere else 'the older'} state is intended, {step}."
    if ancestry.unanswered is None:
        message = (
            f"Commit {_short(ancestry.tree)} would {effect}, and it does not contain commit"
            f" {_short(last)}, which was applied last from"
            f" {'another' if is_elsewhere else 'this'} repository."
        )
    else:
        message = (
            f"The manifests would {effect}, and git cannot say whether they contain commit"
            f" {_short(last)}, which was applied last: {ancestry.unanswered}."
        )
    return finding(
        "older-tree",
        message,
        hint=hint,
        remedy=remedy,
        where=where,
        account=key,
    )


def _short(commit: AppliedCommit) -> str:
    return commit.commit[:_SHOWN]
