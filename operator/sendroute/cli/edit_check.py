"""What an edit would cause: the findings of its result, by the store if there is one.

No edit needs a store. Without one, or with one that cannot be read, the result is compared with the
manifests as they were before the edit.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from msgspec.structs import replace

from sendroute.cli.session import Session
from sendroute.model.codes import Code, Trait, finding, has_trait
from sendroute.model.current import Current, CurrentAccount
from sendroute.model.desired import AccountKey, Desired, DesiredAccount, DesiredDomain
from sendroute.model.finding import Finding, Severity, Where
from sendroute.model.problem import InvalidSettingError, ProblemError
from sendroute.model.remedy import RaiseLimit
from sendroute.model.route import Route
from sendroute.planner.accepted import without_accepted
from sendroute.planner.guards import HeldChanges
from sendroute.planner.offline import check_tree
from sendroute.planner.plan import plan_tree
from sendroute.reconcile.assessment import held_changes
from sendroute.runtime.settings import DEFAULT_STORE
from sendroute.store.url import sqlite_path

_T = TypeVar("_T")

_NUMBER = re.compile(r"(?<!\S)[0-9][0-9,]*(?!\S)")


class StoredAccount(NamedTuple):
    """What the store knows of an account; ``known`` is false if no store was read, and ``account``
    None if the store does not have it."""

    known: bool
    account: CurrentAccount | None


class CheckedEdit(NamedTuple):
    """``new`` are the findings that the edit causes. ``guards`` are warnings of the reroutes that a
    guard would refuse, and ``change_percent`` is the limit that lets them through; 0 for the
    default."""

    new: Sequence[Finding]
    guards: Sequence[Finding]
    change_percent: int


class _StoredState(NamedTuple):
    """Everything in the store that decides the next plan."""

    current: Current
    held: HeldChanges


def stored_account(session: Session, key: AccountKey) -> StoredAccount:
    """An account in the store. No edit needs one: if no store is given, and the default store does
    not exist, none is read.

    Raises:
        ProblemError: the store that is given, or is there, cannot be read.
    """
    if not _may_be_there(session):
        return StoredAccount(False, None)
    with session.factory.open_store() as store:
        return StoredAccount(True, store.read([key]).accounts.get(key))


def stored_if_readable(session: Session, key: AccountKey) -> CurrentAccount | None:
    """An account in the store. None if the store does not have it, and if no store can be read: an
    edit never needs one. Raises :class:`~sendroute.model.problem.InvalidSettingError` if its URL is
    malformed."""
    return _if_readable(lambda: stored_account(session, key).account)


def check_edit(session: Session, after: Desired, before: Desired, *, deletes: bool) -> CheckedEdit:
    """Check the result of an edit.

    An error that the manifests had before the edit is allowed, so that they can be repaired step by
    step. Of the store counts what the next plan would report: the manifests before the edit may
    have changes that were not applied.

    Args:
        session: settings and terminal.
        after: the manifests with the edit.
        before: the manifests without it.
        deletes: the edit removes something on purpose, so that what depends on it is reassigned
            with a warning, as for an applied tree. Otherwise every declaration counts as new.

    Returns:
        What the edit causes. The findings have no position, because the new texts are not written
        yet; only what is suspended has one, which is that before the edit.

    Raises:
        ProblemError: the edit causes an error. Or, for a malformed URL of the store, an
            :class:`~sendroute.model.problem.InvalidSettingError`.
    """
    # A part of a tree cannot be planned.
    stored = _stored_state(session) if after.platform is not None else None
    if stored is not None:
        compared = _planned(after, stored)
    else:
        compared = check_tree(after, before, measured_by="in the manifests")

    def unedited() -> Sequence[Finding]:
        return check_tree(before, before) if stored is None else _planned(before, stored)

    if deletes:
        new = _new_findings(unedited(), compared)
    else:
        new = _new_findings(check_tree(before), check_tree(after))
        if stored is not None and any(map(_is_wrong, compared)):
            _new_findings(unedited(), compared)  # raises for an error that only a store shows
    guards, percent = _reroutes(compared)
    new += [item for item in _suspended(before, after) if not before.accepts(item)]
    return CheckedEdit(new, guards, percent)


def _may_be_there(session: Session) -> bool:
    url = session.settings.store
    return url != DEFAULT_STORE or sqlite_path(url).exists()


def _stored_state(session: Session) -> _StoredState | None:
    """Raises as :func:`stored_if_readable`; None if no store can be read."""
    if not _may_be_there(session):
        return None

    def read() -> _StoredState:
        with session.factory.open_store() as store:
            return _StoredState(store.read(), held_changes(store.account_statuses()))

    return _if_readable(read)


def _if_readable(read: Callable[[], _T]) -> _T | None:
    try:
        return read()
    except InvalidSettingError:
        raise
    except ProblemError:
        return None


def _planned(desired: Desired, stored: _StoredState) -> tuple[Finding, ...]:
    """What a plan would report. What is held back because a part of the tree is unreadable, and
    what an apply-all needs, is left to the plan."""
    plan = without_accepted(plan_tree(desired, stored.current, held=stored.held), desired)
    findings = plan.all_findings
    return tuple(item for item in findings if not has_trait(item.code, Trait.NEEDS_STORE))


def _new_findings(before: Iterable[Finding], after: Iterable[Finding]) -> list[Finding]:
    """The findings that are new; raises ProblemError if one is an error."""
    known = set(map(_identity, before))
    new = [
        replace(item, where=None, related=())
        for item in after
        if _identity(item) not in known and not _is_intended(item)
    ]
    if wrong := list(filter(_is_wrong, new)):
        raise ProblemError(*wrong)
    return new


def _is_wrong(item: Finding) -> bool:
    return item.severity in (Severity.ERROR, Severity.REFUSED)


def _is_intended(item: Finding) -> bool:
    """Whether an edit is meant to have this effect. Without a store every domain counts as new, so
    an apply-all overrides each of them. Guards protect from changes that nobody asked for; the plan
    enforces them. A part of a tree may lose its last document."""
    return has_trait(item.code, Trait.BY_EDIT) or has_trait(item.code, Trait.GUARD)


def _identity(item: Finding) -> tuple[str, str, str | None, str | None]:
    # An account that is defined in other files is not a new problem for each new object.
    # A number that becomes smaller is no new problem either.
    message = "" if item.code == Code.UNKNOWN_ACCOUNT else _NUMBER.sub("N", item.message)
    return item.code, message, item.namespace, item.account


def _suspended(before: Desired, after: Desired) -> Iterator[Finding]:
    """Say what the edit changes, and the next apply does not, because it is suspended."""
    for key, account in before.accounts.items():
        edited = after.accounts.get(key)
        if edited is None:
            continue
        if account.suspended and edited.suspended:
            if _declared(account) != _declared(edited):
                yield _not_applied(f"Account {key}", key, account.where)
            continue
        domains = {domain.domain: domain for domain in edited.domains}
        for domain in account.domains:
            now = domains.get(domain.domain, domain)
            if domain.suspended and now.suspended and _of_domain(domain) != _of_domain(now):
                yield _not_applied(domain.domain, key, domain.where)


def _not_applied(subject: str, key: AccountKey, where: Where) -> Finding:
    return finding(
        "suspended",
        f"{subject} is suspended, so what the manifests declare of it now is not applied.",
        hint="To apply it, remove spec.suspend.",
        where=where.at("spec", "suspend"),
        account=key,
    )


def _declared(account: DesiredAccount) -> object:
    """What an account declares, without the positions, which an edit moves."""
    profiles = {name: desired.profile for name, desired in account.profiles.items()}
    domains = sorted(map(_of_domain, account.domains), key=str)
    return account.plan, account.default, account.apply_all, account.remove, profiles, domains


def _of_domain(domain: DesiredDomain) -> tuple[str, Route | None, str | None]:
    return domain.domain, domain.route, domain.overrides


def _reroutes(compared: Iterable[Finding]) -> tuple[list[Finding], int]:
    """Warnings of what the guards would refuse for reroutes, and the limit that they need."""
    guards = [
        replace(item, where=None, related=(), severity=Severity.WARNING)
        for item in compared
        if item.code == Code.TOO_MANY_CHANGES
    ]
    remedies = (item.remedy for item in guards)
    limits = (remedy.percent for remedy in remedies if isinstance(remedy, RaiseLimit))
    return guards, max(limits, default=0)
