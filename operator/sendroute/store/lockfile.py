"""The lock file: a store's state as JSON, kept in git beside the manifests.

It contains no history and no credentials, but everything that the next plan depends on: routes,
origins, the last declared routes and the ids of apply-alls. A store that is created from it
continues from that state. It also contains profile ids, because mail in a queue refers to a profile
by its id.
"""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from sqlalchemy import Connection, select

from sendroute.files.replacement import replacing
from sendroute.model.current import AccountState, Current, CurrentAccount, DomainState, RanApplyAll
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding
from sendroute.model.platform import Platform
from sendroute.model.problem import ProblemError
from sendroute.model.profile import Profile
from sendroute.model.provenance import Head
from sendroute.model.route import Origin, Route
from sendroute.model.secret import PLATFORM_NAMESPACE
from sendroute.model.stored_values import (
    StoredApplyAllId,
    StoredDomain,
    StoredLabel,
    StoredLogins,
)
from sendroute.store import current_state, queries
from sendroute.store.errors import problem
from sendroute.store.lock_text import (
    FORMAT_VERSION,
    CommitId,
    Lineage,
    LockCount,
    LockHeader,
    contradictory,
    edited,
    is_edited,
    load,
    parse,
    refuse_repeated_keys,
    refuse_unknown_format,
    with_digest,
)
from sendroute.store.revisions import head_of
from sendroute.store.states import profile_of, spec
from sendroute.store.tables import platform, store
from sendroute.store.url import unwritable

_Name = TypeVar("_Name", AccountKey, str, int)

Ordinal = Annotated[int, Meta(ge=1, lt=2**62)]
_MOST_VERSIONS = 2**30  # stored in 32 bits


class LockProfile(Struct, frozen=True):
    id: Ordinal
    version: Annotated[int, Meta(ge=1, lt=_MOST_VERSIONS)]
    spec: Profile

    def shared(self) -> Profile:
        """The profile; equal routes are one object."""
        return profile_of(spec(self.spec))


class LockDomain(Struct, frozen=True, omit_defaults=True):
    """Routes in the manifests' form."""

    route: dict[str, Any]
    origin: Origin
    declared: dict[str, Any] | None = None
    shadow: StoredApplyAllId | None = None
    overrides: StoredApplyAllId | None = None

    def state(self) -> DomainState:
        return DomainState(
            Route.from_manifest(self.route),
            self.origin,
            _route(self.declared),
            self.shadow,
            self.overrides,
        )


class LockApplyAll(Struct, frozen=True):
    route: dict[str, Any]
    domains: LockCount

    def record(self) -> RanApplyAll:
        return RanApplyAll(Route.from_manifest(self.route), self.domains)


class LockAccount(Struct, frozen=True, omit_defaults=True):
    """``plan`` is None for a deleted account, of which only the ids of apply-alls remain."""

    namespace: StoredLabel
    name: StoredLabel
    plan: StoredLabel | None = None
    default: dict[str, Any] | None = None
    profiles: dict[StoredLabel, LockProfile] = {}
    domains: dict[StoredDomain, LockDomain] = {}
    apply_all: dict[StoredApplyAllId, LockApplyAll] = {}
    logins: StoredLogins | UnsetType = UNSET

    @property
    def key(self) -> AccountKey:
        return AccountKey(self.namespace, self.name)

    def default_route(self) -> Route | None:
        return _route(self.default)

    def current(self, key: AccountKey) -> CurrentAccount:
        """The account's state under the given key; it has no revision."""
        return CurrentAccount(
            key,
            0,
            None
            if self.plan is None
            else AccountState(self.plan, self.default_route(), self.logins),
            {name: profile.shared() for name, profile in self.profiles.items()},
            {name: domain.state() for name, domain in self.domains.items()},
            {ran_id: ran.record() for ran_id, ran in self.apply_all.items()},
        )


class Lock(Struct, frozen=True):
    """``last_profile`` is the highest profile id ever assigned. ``commit_id`` distinguishes the
    revision from another one with the same number; None in a lock file of format 1.0."""

    format_version: str
    lineage: Lineage
    revision: LockCount
    last_profile: LockCount
    platform: Platform | None
    platform_version: Annotated[int, Meta(ge=0, lt=_MOST_VERSIONS)]
    accounts: list[LockAccount]
    commit_id: CommitId | None = None

    @property
    def head(self) -> Head:
        """The commit that the state is of."""
        return Head(self.revision, self.commit_id)

    def current(self) -> Current:
        """The state in the lock file; accounts have no revision."""
        return Current(
            self.lineage,
            self.revision,
            self.platform,
            {account.key: account.current(account.key) for account in self.accounts},
        )


def _route(form: dict[str, Any] | None) -> Route | None:
    return None if form is None else Route.from_manifest(form)


def _form(route: Route | None) -> dict[str, Any] | None:
    return None if route is None else route.as_manifest()


def lock_of(connection: Connection) -> Lock:
    """The state of a store as a lock file, with everything in the order of names."""
    current = current_state.read(connection, None)
    last_profile = connection.execute(select(store.c.last_profile)).scalar_one()
    version = connection.execute(select(platform.c.version)).scalar()
    profiles: dict[AccountKey, dict[str, LockProfile]] = {}
    for row in queries.profiles(connection):
        profiles.setdefault(row.account, {})[row.name] = LockProfile(
            row.id, row.version, row.profile
        )
    accounts = []
    # A million domains share a few states.
    forms: dict[DomainState, LockDomain] = {}
    for key, account in sorted(current.accounts.items()):
        accounts.append(
            LockAccount(
                key.namespace,
                key.name,
                account.state.plan if account.state else None,
                _form(account.state.default) if account.state else None,
                profiles.get(key, {}),
                {
                    name: forms.get(state) or forms.setdefault(state, _domain(state))
                    for name, state in sorted(account.domains.items())
                },
                {
                    ran_id: LockApplyAll(ran.route.as_manifest(), ran.domain_count)
                    for ran_id, ran in sorted(account.completed_apply_alls.items())
                },
                account.state.logins if account.state else UNSET,
            )
        )
    return Lock(
        FORMAT_VERSION,
        current.lineage,
        current.revision,
        last_profile,
        current.platform,
        version or 0,
        accounts,
        head_of(connection).commit_id,
    )


def _domain(state: DomainState) -> LockDomain:
    return LockDomain(
        state.route.as_manifest(),
        state.origin,
        _form(state.declared),
        state.shadow,
        state.overrides,
    )


def write(lock: Lock, path: Path) -> None:
    """Write a lock file atomically: a reader sees either the old or the new file.

    Args:
        lock: the state to write.
        path: the path of the file; an existing one is replaced.

    Raises:
        ProblemError: ``path`` is not a regular file, or it cannot be written (``unwritable``).
    """
    text = with_digest(msgspec.json.format(msgspec.json.encode(lock), indent=1) + b"\n")
    try:
        if path.exists() and not path.is_file():  # root would replace /dev/null
            raise problem(
                "unwritable",
                f"The lock file cannot replace {path}, which is not a regular file.",
                "Specify a file, preferably beside the manifests.",
            )
        with replacing(path, keeps_mode=False) as file:
            file.write(text)
    except OSError as error:
        raise unwritable("The lock file", path, error) from error


def read(path: Path) -> Lock:
    """Read and check a lock file: it holds nothing that the schema of a store would refuse.

    Args:
        path: the path of the file.

    Returns:
        The state in the file.

    Raises:
        ProblemError: the file cannot be read (``unreadable``), has an unknown format
            (``store-version``), is damaged (``invalid-value``), or is not as it was written
            (``edited-lock``).
    """
    content = load(path)
    refuse_unknown_format(content, path)
    lock = parse(content, path, Lock)
    refuse_repeated_keys(content, path)
    if lock.commit_id is None:
        earlier = parse(content, path, _Earlier)
        lock = msgspec.structs.replace(lock, commit_id=earlier.attempt)
    try:
        _check(lock.accounts, lock.last_profile)
    except ValueError as error:
        raise ProblemError(contradictory(path)) from error
    if is_edited(content, parse(content, path, LockHeader)):
        raise ProblemError(edited(path))
    return lock


def faults(path: Path) -> tuple[Finding, ...]:
    """What is wrong with a lock file.

    Args:
        path: the path of the file.

    Returns:
        The findings that :func:`read` would raise; empty if the file is sound.
    """
    try:
        read(path)
    except ProblemError as problem:
        return problem.findings
    return ()


class _Earlier(Struct):
    """Up to format 1.1, ``commit_id`` was called ``attempt``."""

    attempt: CommitId | None = None


def _check(accounts: Iterable[LockAccount], last_profile: int) -> None:
    """Raises ValueError if the lock file contradicts itself. A store that is created from it would
    refuse it by its schema; one that is restored to it must not take a part of it."""
    keys: set[AccountKey] = set()
    domains: set[str] = set()
    ids: set[int] = set()
    for account in accounts:
        _add_new(keys, [account.key])
        _add_new(domains, account.domains)
        _add_new(ids, [current.id for current in account.profiles.values()])
        if account.namespace == PLATFORM_NAMESPACE:
            raise ValueError("an account is in the platform's namespace")
        if account.plan is None and (account.domains or account.profiles or account.default):
            raise ValueError("a deleted account has objects")
        account.default_route()  # may name a missing profile, which falls back to the plan's
        for domain in account.domains.values():
            _check_domain(domain.state(), account)
        for ran in account.apply_all.values():
            ran.record()
    if ids and max(ids) > last_profile:
        raise ValueError("a profile's id is above the last")


def _add_new(known: set[_Name], names: Collection[_Name]) -> None:
    count = len(known) + len(names)
    known.update(names)
    if len(known) != count:
        raise ValueError("a name or an id is there twice")


def _check_domain(state: DomainState, account: LockAccount) -> None:
    if state.route.profile is not None and state.route.profile not in account.profiles:
        raise ValueError("the profile of a route is missing")
    if state.shadow is None:
        return
    if state.origin is not Origin.APPLY_ALL or state.shadow not in account.apply_all:
        raise ValueError("the apply-all that shadows a domain is missing")
