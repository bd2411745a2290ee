"""Step 6: what is no longer in the manifests goes; an account only with all that it owns."""

from sendroute.model.change import AccountPlan, Action, Change, Kind
from sendroute.model.codes import finding
from sendroute.model.finding import Finding, Where
from sendroute.model.held import DomainState, HeldAccount
from sendroute.model.wanted import AccountKey, Stray
from sendroute.planner.case import Claims
from sendroute.planner.spelling import did_you_mean


def remove_domain(
    key: AccountKey, name: str, held: DomainState, claims: Claims, where: Where | None
) -> Change:
    to = claims.leaving.get(name)
    if to is None:
        reason, message = "removed", f"{name} is no longer in the manifests; it may not send."
    else:
        reason, message = "moved", f"{name} moves to account {to}."
    return Change(Kind.DOMAIN, key, name, Action.DELETE, held, None, reason, message, where)


def remove_account(held: HeldAccount, claims: Claims) -> AccountPlan:
    """An account that no manifest names any more, with all that it owns."""
    key = held.key
    changes = [
        Change(
            Kind.ACCOUNT,
            key,
            key.name,
            Action.DELETE,
            held.state,
            None,
            "removed",
            f"Account {key.name} is no longer in the manifests.",
        )
    ]
    changes += [
        Change(
            Kind.PROFILE,
            key,
            name,
            Action.DELETE,
            held.profiles[name],
            None,
            "removed",
            f"Profile {name} goes with its account.",
        )
        for name in sorted(held.profiles)
    ]
    changes += [
        remove_domain(key, name, held.domains[name], claims, None)
        for name in sorted(held.domains)
        if name not in claims.kept
    ]
    return AccountPlan(key, held.revision, tuple(changes))


def keep_account(held: HeldAccount, claims: Claims) -> AccountPlan:
    """An account goes only with all that it owns, and something of it has to stay for now."""
    found = finding(
        "dependency-skipped",
        f"Account {held.key.name} is not removed yet: {min(claims.kept)} cannot leave it now.",
        hint="Settle who gets that domain; the next apply tries again.",
        account=held.key,
    )
    return AccountPlan(held.key, held.revision, (), (found,), stopped=True)


def not_empty(held: HeldAccount, strays: list[Stray]) -> AccountPlan:
    """Its MailAccount document is gone, but something of it is still declared."""
    found = finding(
        "account-not-empty",
        f"Account {held.key.name} is no longer defined, but {_count(strays)} still belong"
        f"{'s' if len(strays) == 1 else ''} to it.",
        hint="Remove these too, or bring the MailAccount document back.",
        where=strays[0].where.at("spec", "account"),
        related=tuple(stray.where for stray in strays[1:10]),
        account=held.key,
    )
    return AccountPlan(held.key, held.revision, (), (found,), stopped=True)


def unknown_account(
    key: AccountKey, strays: list[Stray], known: frozenset[AccountKey]
) -> AccountPlan:
    """Nothing, neither manifest nor store, defines the account these objects name."""
    return AccountPlan(
        key, 0, (), tuple(_unknown(key, stray, known) for stray in strays), stopped=True
    )


def _unknown(key: AccountKey, stray: Stray, known: frozenset[AccountKey]) -> Finding:
    elsewhere = sorted(other.namespace for other in known if other.name == key.name)
    siblings = [other.name for other in known if other.namespace == key.namespace]
    return finding(
        "unknown-account",
        f"{stray.kind} {stray.name} belongs to account {key.name} of namespace {key.namespace},"
        " which nothing defines.",
        hint=f"There is one in namespace {elsewhere[0]}; a reference never leaves its namespace."
        if elsewhere
        else did_you_mean(key.name, siblings, "Add its MailAccount document."),
        where=stray.where.at("spec", "account"),
        account=key,
    )


def _count(strays: list[Stray]) -> str:
    return f"{strays[0].kind} {strays[0].name}" if len(strays) == 1 else f"{len(strays)} objects"
