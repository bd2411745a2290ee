"""The lock file: a store's state as JSON, to be kept in git beside the manifests.

It holds no history and no credential, but all that the next plan depends on: routes, origins,
declared routes last seen, the ids of apply-alls. A store made from it goes on where the lost one
stood. Profile ids go with it, for mail that waits in a queue knows a profile by its id.
"""

import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from sqlalchemy import Connection, select

from sendroute.model.codes import finding
from sendroute.model.current import AccountState, Current, CurrentAccount, DomainState, RanApplyAll
from sendroute.model.desired import AccountKey
from sendroute.model.platform import Platform
from sendroute.model.problem import ProblemError
from sendroute.model.profile import Profile
from sendroute.model.provenance import Head
from sendroute.model.remedy import Perform, Task
from sendroute.model.route import Origin, Route
from sendroute.store import queries, reading
from sendroute.store.errors import problem
from sendroute.store.revisions import head_of
from sendroute.store.states import profile_of, spec
from sendroute.store.tables import platform, store
from sendroute.store.url import unusable

FORMAT_VERSION = "1.2"

# Counted by us and kept in 64 bits, with room to count on.
Count = Annotated[int, Meta(ge=0, lt=2**62)]
Ordinal = Annotated[int, Meta(ge=1, lt=2**62)]
Lineage = Annotated[str, Meta(pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
CommitId = Lineage


class LockProfile(Struct, frozen=True):
    id: Ordinal
    version: Ordinal
    spec: Profile

    def shared(self) -> Profile:
        return profile_of(spec(self.spec))


class LockDomain(Struct, frozen=True, omit_defaults=True):
    """Routes in the manifests' form."""

    route: dict[str, Any]
    origin: Origin
    declared: dict[str, Any] | None = None
    shadow: str | None = None

    def state(self) -> DomainState:
        return DomainState(
            Route.from_manifest(self.route), self.origin, _route(self.declared), self.shadow
        )


class LockApplyAll(Struct, frozen=True):
    route: dict[str, Any]
    domains: Count

    def record(self) -> RanApplyAll:
        return RanApplyAll(Route.from_manifest(self.route), self.domains)


class LockAccount(Struct, frozen=True, omit_defaults=True):
    """``plan`` is None for an account that is gone but whose apply-alls' ids remain."""

    namespace: str
    name: str
    plan: str | None = None
    default: dict[str, Any] | None = None
    profiles: dict[str, LockProfile] = {}
    domains: dict[str, LockDomain] = {}
    apply_all: dict[str, LockApplyAll] = {}

    @property
    def key(self) -> AccountKey:
        return AccountKey(self.namespace, self.name)

    def default_route(self) -> Route | None:
        return _route(self.default)

    def current(self, key: AccountKey) -> CurrentAccount:
        return CurrentAccount(
            key,
            0,
            None if self.plan is None else AccountState(self.plan, self.default_route()),
            {name: profile.shared() for name, profile in self.profiles.items()},
            {name: domain.state() for name, domain in self.domains.items()},
            {ran_id: ran.record() for ran_id, ran in self.apply_all.items()},
        )


class Lock(Struct, frozen=True):
    """``last_profile`` is the highest profile id ever given. ``commit_id`` distinguishes the
    revision from another of the same number; None in a lock file of format 1.0."""

    format_version: str
    lineage: Lineage
    revision: Count
    last_profile: Count
    platform: Platform | None
    platform_version: Count
    accounts: list[LockAccount]
    commit_id: CommitId | None = None

    @property
    def head(self) -> Head:
        return Head(self.revision, self.commit_id)

    def current(self) -> Current:
        """The state that it holds; no account has a revision."""
        return Current(
            self.lineage,
            self.revision,
            self.platform,
            {key: one.current(key) for one in self.accounts for key in [one.key]},
        )


def _route(form: dict[str, Any] | None) -> Route | None:
    return None if form is None else Route.from_manifest(form)


def _form(route: Route | None) -> dict[str, Any] | None:
    return None if route is None else route.as_manifest()


def take(connection: Connection) -> Lock:
    """A store's state, everything in the order of its names."""
    current = reading.read(connection, None)
    last_profile = connection.execute(select(store.c.last_profile)).scalar_one()
    version = connection.execute(select(platform.c.version)).scalar()
    profiles: dict[AccountKey, dict[str, LockProfile]] = {}
    for row in queries.profiles(connection):
        profiles.setdefault(row.account, {})[row.name] = LockProfile(
            row.id, row.version, row.profile
        )
    accounts = []
    # A million domains are in few states.
    forms: dict[DomainState, LockDomain] = {}
    for key, one in sorted(current.accounts.items()):
        accounts.append(
            LockAccount(
                key.namespace,
                key.name,
                one.state.plan if one.state else None,
                _form(one.state.default) if one.state else None,
                profiles.get(key, {}),
                {
                    name: forms.get(state) or forms.setdefault(state, _domain(state))
                    for name, state in sorted(one.domains.items())
                },
                {
                    ran_id: LockApplyAll(ran.route.as_manifest(), ran.domains)
                    for ran_id, ran in sorted(one.ran.items())
                },
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
    return LockDomain(state.route.as_manifest(), state.origin, _form(state.declared), state.shadow)


def write(lock: Lock, path: Path) -> None:
    """Under a temporary name beside it, then renamed: a reader sees the old one or the new."""
    text = msgspec.json.format(msgspec.json.encode(lock), indent=1) + b"\n"
    try:
        if path.exists() and not path.is_file():  # root would replace /dev/null
            raise problem(
                "unwritable",
                f"The lock file cannot take the place of {path}, which is no plain file.",
                "Name a file, best beside the manifests.",
            )
        _replace(path, text)
    except OSError as error:
        raise unusable(path, error) from error


def _replace(path: Path, text: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def read(path: Path) -> Lock:
    """A lock file, checked: what it says of itself is in order. Whether it fits together (a route
    to a profile that it does not hold) the schema decides when it is made into a store."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ProblemError(
            finding(
                "unreadable",
                f"The lock file {path} cannot be read: {error.strerror}.",
                hint="Give the lock file that applying wrote.",
                remedy=Perform(Task.WRITE_LOCK_FILE),
            )
        ) from error
    try:
        header = msgspec.json.decode(content, type=_Header)
        version = header.format_version
        if version.split(".")[0] != FORMAT_VERSION.split(".")[0]:
            raise problem(
                "store-version",
                f"The lock file {path} has format {version!r}, which this Sendroute cannot read.",
                "Use the Sendroute that wrote it.",
            )
        lock = msgspec.json.decode(content, type=Lock)
        if lock.commit_id is None:
            lock = msgspec.structs.replace(lock, commit_id=header.commit_id)
        _check(lock.accounts, lock.last_profile)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise contradictory(path) from error
    return lock


class _Header(Struct):
    """``attempt`` was the name of ``commit_id`` up to format 1.1."""

    format_version: str
    commit_id: CommitId | None = msgspec.field(default=None, name="attempt")


def _check(accounts: Iterable[LockAccount], last_profile: int) -> None:
    """Raises ValueError where a route is none, an account that is gone still holds some, or a
    profile has an id that was not given yet."""
    for one in accounts:
        if any(current.id > last_profile for current in one.profiles.values()):
            raise ValueError("a profile's id is above the last")
        if one.plan is None and (one.domains or one.profiles or one.default):
            raise ValueError("an account that is gone owns nothing")
        one.default_route()
        for current in one.domains.values():
            current.state()
        for ran in one.apply_all.values():
            ran.record()


def contradictory(path: Path) -> ProblemError:
    return ProblemError(
        finding(
            "invalid-value",
            f"{path} is not a lock file that a store can be made from.",
            hint="Take from git the version of it that applying wrote.",
        )
    )
