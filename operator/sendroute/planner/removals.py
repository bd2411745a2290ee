"""Step 6: objects that are no longer in the manifests are removed; an account only as a whole."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from sendroute.model.change import (
    AccountChange,
    AccountPlan,
    Action,
    ChangeReason,
    DomainChange,
    ObjectChange,
    ProfileChange,
)
from sendroute.model.codes import Code, finding
from sendroute.model.current import CurrentAccount, DomainState
from sendroute.model.desired import AccountKey, Desired, DesiredAccount, Orphan
from sendroute.model.finding import Finding, TenantText, Where
from sendroute.model.spelling import suggestions
from sendroute.model.words import first_of, unlisted
from sendroute.planner.inputs import ClaimEffect
from sendroute.planner.stopped import at_problems

_LISTED = 5
_POSITIONS = 10


def remove_domain(
    key: AccountKey,
    name: str,
    current: DomainState,
    claims: ClaimEffect,
    where: Where | None,
    *,
    with_account: bool = False,
) -> DomainChange:
    """``with_account``: its account is removed; then a document of the domain may remain."""
    to = claims.outgoing.get(name)
    if to is not None:
        reason, message = ChangeReason.MOVED, f"{name} moves from account {key} to account {to}."
    else:
        outcome = f"no longer declared by account {key}"
        if with_account:
            outcome = f"removed with its account, {key},"
        claimants = claims.given_up.get(name)
        claim = f": {_not_served(claimants, claims)}" if claimants else ""
        reason = ChangeReason.REMOVED
        message = f"{name} is {outcome} and can no longer send{claim}."
    return DomainChange(key, name, Action.DELETE, current, None, reason, message, where)


def _not_served(claimants: Sequence[AccountKey], claims: ClaimEffect) -> str:
    """Why no account gets a domain that these declare, as a clause."""
    if len(claimants) > 1:
        return (
            f"accounts {first_of(list(map(str, claimants)), _LISTED)} declare it, so none gets it"
        )
    reason = claims.why_not(claimants[0], "cannot take it now")
    return f"account {claimants[0]} declares it, but {reason}"


def removed_before_move(
    key: AccountKey, claims: ClaimEffect, where: Where | None
) -> Iterator[Finding]:
    """Report the domains that leave their account before the account that declares them can take
    them: nothing of them is sent until then.

    Args:
        key: the account that loses them.
        claims: the effect of other accounts on its domains.
        where: the document of the account; None if it has none.

    Yields:
        One warning for each account, or group of accounts, that declares domains.
    """
    domains: dict[tuple[AccountKey, ...], list[str]] = {}
    for name, claimants in sorted(claims.given_up.items()):
        domains.setdefault(claimants, []).append(name)
    for claimants, names in sorted(domains.items()):
        to = first_of(list(map(str, claimants)), _LISTED)
        named = f"account {to}" if len(claimants) == 1 else f"the accounts {to}"
        unnamed = "another account" if len(claimants) == 1 else "several other accounts"
        message, hint = _removed_before_move(key, names, claimants, (named, named), claims)
        to_tenant = _removed_before_move(
            key, names, claimants, (unnamed, "the other account"), claims
        )
        yield finding(
            "removed-before-move",
            message,
            hint=hint,
            where=where,
            account=key,
            for_tenant=TenantText(*to_tenant, claimants),
        )


def _removed_before_move(
    key: AccountKey,
    names: Sequence[str],
    claimants: Sequence[AccountKey],
    called: tuple[str, str],
    claims: ClaimEffect,
) -> tuple[str, str]:
    """The message and the hint. ``called`` is what each of the two calls the claimants."""
    first, again = called
    leave, domains = ("leaves", "it") if len(names) == 1 else ("leave", "them")
    message = f"{first_of(names, _LISTED)} {leave} account {key} and cannot send until"
    if len(claimants) > 1:
        event = f"only one of {first} declares {domains}"
        hint = "Keep one declaration of each, then apply again."
    elif claimants[0] in claims.unplanned:
        event = f"{first}, which declares {domains}, is applied too"
        hint = f"Plan {again} too: then the move is one transaction."
    else:
        event = f"{first}, which declares {domains}, can take {domains}"
        hint = f"Fix {again} first: then the move is one transaction."
    return f"{message} {event}.", hint


def remove_account(
    current: CurrentAccount, claims: ClaimEffect, desired: DesiredAccount | None
) -> AccountPlan:
    """Remove an account with all that it owns: one that is no longer in the manifests (``desired``
    is None), or whose manifest says so."""
    key = current.key
    where = desired.where.at("spec", "remove") if desired is not None else None
    reason = "is no longer in the manifests"
    if desired is not None:
        reason = "is to be removed (spec.remove)"
    changes: list[ObjectChange] = [
        AccountChange(
            key,
            key.name,
            Action.DELETE,
            current.state,
            None,
            ChangeReason.REMOVED,
            f"Account {key} {reason}.",
            where,
        )
    ]
    changes += [
        ProfileChange(
            key,
            name,
            Action.DELETE,
            current.profiles[name],
            None,
            ChangeReason.REMOVED,
            f"Profile {name} is removed with its account, {key}.",
            where,
        )
        for name in sorted(current.profiles)
    ]
    changes += [
        remove_domain(key, name, current.domains[name], claims, where, with_account=True)
        for name in sorted(current.domains)
        if name not in claims.retained
    ]
    findings = tuple(removed_before_move(key, claims, where))
    return AccountPlan(key, current.revision, tuple(changes), findings)


def keep_account(
    current: CurrentAccount, claims: ClaimEffect, desired: DesiredAccount | None
) -> AccountPlan:
    """Keep an account that is to be removed, because one of its domains or profiles must stay:
    another account of its namespace claims it, and cannot take it now."""
    where = desired.where if desired is not None else None
    if not claims.retained:
        profile, account = min(claims.unmoved_profiles.items())
        reason = (
            f"its profile {profile} cannot leave it, because {claims.why_profile_stays(account)}"
        )
        return _not_removed(current, reason, claims.next_step_of_profile(account), where)
    name = min(claims.retained)
    claimant = claims.unmoved.get(name)
    reason = "several manifests claim it"
    hint = "Decide which account gets that domain, then apply again."
    if claimant is not None:
        hint = claims.next_step(
            claimant, f"Fix what keeps account {claimant} from taking it, then apply again."
        )
        reason = f"account {claimant} {claims.why_not(claimant, 'cannot take it now')}"
    reason = f"its domain {name} cannot leave it, because {reason}"
    return _not_removed(current, reason, hint, where, domain=name)


def _not_removed(
    current: CurrentAccount,
    reason: str,
    hint: str,
    where: Where | None,
    *,
    domain: str | None = None,
) -> AccountPlan:
    """``reason`` is a clause; ``domain`` is the domain because of which the account stays."""
    key = current.key
    message = f"Account {key} is not removed yet: {reason}."
    skip = AccountChange(
        key,
        key.name,
        Action.SKIP,
        current.state,
        current.state,
        Code.DEPENDENCY_SKIPPED,
        message,
        where,
    )
    problem = finding(
        "dependency-skipped",
        message,
        hint=hint,
        where=where,
        account=key,
        domain=domain,
    )
    return AccountPlan(key, current.revision, (skip,), (problem,), stopped=True)


def not_empty(current: CurrentAccount, orphans: list[Orphan]) -> AccountPlan:
    """Report an account without its MailAccount document, of which objects are still declared."""
    documents, pronoun = (
        ("this document", "it") if len(orphans) == 1 else ("these documents", "them")
    )
    problem = finding(
        "account-not-empty",
        f"Account {current.key} is no longer defined, but still owns {_count(orphans)}."
        f"{unlisted(len(orphans) - _POSITIONS)}",
        hint=f"If the account has another name now, correct spec.account of {documents}. If it is"
        f" to be removed, remove {pronoun} too; otherwise restore the MailAccount document.",
        where=orphans[0].where.at("spec", "account"),
        related=tuple(orphan.where.at("spec", "account") for orphan in orphans[1:_POSITIONS]),
        account=current.key,
    )
    return AccountPlan(current.key, current.revision, (), (problem,), stopped=True)


def maybe_unread(current: CurrentAccount, unread: Sequence[Finding]) -> AccountPlan:
    """Hold back an account whose MailAccount document is not in what was read of the tree, while
    other documents of it are: most likely it is in the part that is unreadable."""
    problem = finding(
        "held-back",
        f"Account {current.key} is unchanged: part of the tree is unreadable, and its MailAccount"
        " is not in the rest.",
        hint="Fix the unreadable part: it may define the account.",
        account=current.key,
    )
    findings = (at_problems(problem, unread),)
    return AccountPlan(current.key, current.revision, (), findings, stopped=True)


class KnownAccounts:
    """The accounts that are defined, as the hints of objects without one need them. They are
    looked up once for a plan, and only if there is such an object."""

    def __init__(self, desired: Desired) -> None:
        self._desired = desired
        self._hints: dict[str, Mapping[str, str]] = {}

    @cached_property
    def _first_of_name(self) -> Mapping[str, AccountKey]:
        first: dict[str, AccountKey] = {}
        for key in self._desired.accounts:
            first[key.name] = min(key, first.get(key.name, key))
        return first

    @cached_property
    def _defined(self) -> Mapping[str, Collection[str]]:
        return _by_namespace(self._desired.accounts)

    @cached_property
    def _undefined(self) -> Mapping[str, Collection[str]]:
        return _by_namespace(self._desired.orphans)

    def near(self, key: AccountKey) -> str | None:
        """The hint of an account that is not defined: one of its namespace with nearly its name."""
        namespace = key.namespace
        if namespace not in self._hints:
            undefined, defined = (
                names.get(namespace, ()) for names in (self._undefined, self._defined)
            )
            self._hints[namespace] = suggestions(undefined, defined)
        return self._hints[namespace].get(key.name)

    def elsewhere(self, key: AccountKey) -> AccountKey | None:
        """If an account is not defined: one of its name in another namespace."""
        return self._first_of_name.get(key.name)


def _by_namespace(keys: Iterable[AccountKey]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for key in keys:
        names.setdefault(key.namespace, []).append(key.name)
    return names


def unknown_account(key: AccountKey, orphans: list[Orphan], known: KnownAccounts) -> AccountPlan:
    """Report objects of an account that neither the manifests nor the store define."""
    return AccountPlan(
        key, 0, (), tuple(_unknown_account(key, orphan, known) for orphan in orphans), stopped=True
    )


def _unknown_account(key: AccountKey, orphan: Orphan, known: KnownAccounts) -> Finding:
    near, elsewhere = known.near(key), known.elsewhere(key)
    message = f"{orphan.kind} {orphan.name} belongs to account {key}, which no MailAccount defines."
    hint = near or Code.UNKNOWN_ACCOUNT.fix
    for_tenant = None
    if elsewhere is not None and not near:
        for_tenant = TenantText(message, hint, (elsewhere,))
        hint = f"{hint} Account {elsewhere} is in another one."
    return finding(
        "unknown-account",
        message,
        hint=hint,
        where=orphan.where.at("spec", "account"),
        account=key,
        for_tenant=for_tenant,
    )


def _count(orphans: list[Orphan]) -> str:
    return (
        f"{orphans[0].kind} {orphans[0].name}" if len(orphans) == 1 else f"{len(orphans)} objects"
    )
