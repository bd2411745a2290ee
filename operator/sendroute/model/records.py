"""The results of queries of the store, as frozen values. Times are aware, in UTC."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from msgspec import UNSET, Struct, UnsetType

from sendroute.model.current import DomainState, RanApplyAll
from sendroute.model.desired import AccountKey
from sendroute.model.nexthop import Alias
from sendroute.model.platform import Platform
from sendroute.model.profile import Profile
from sendroute.model.provenance import Head
from sendroute.model.route import Origin, Route, RouteKind
from sendroute.model.secret import SecretBinding, SecretRef, secret_ref


class RouteRow(Struct, frozen=True, gc=False):
    """A domain and its route. ``since`` is the time at which it got this route, ``revision`` the
    store's revision that assigned it."""

    account: AccountKey
    domain: str
    state: DomainState
    since: datetime
    revision: int


class RouteGroup(NamedTuple):
    """Domains of equal account and state. ``longest`` is the number of characters of the longest
    name."""

    account: AccountKey
    state: DomainState
    longest: int


class RouteStream(NamedTuple):
    """Domains and their routes, at one revision. Each iteration over ``rows`` or ``groups`` reads
    the store again."""

    rows: Iterable[RouteRow]
    groups: Iterable[RouteGroup]


class RouteFilter(Struct, frozen=True):
    """Which domains to list: of this account, assigned to a profile of this name, with this origin,
    with one of these names or matching one of these patterns, and of this namespace. A pattern has
    ``*`` for any characters and ``?`` for one. None, and neither names nor patterns, are no
    restriction."""

    account: AccountKey | None = None
    profile: str | None = None
    origin: Origin | None = None
    names: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    namespace: str | None = None


class HistoryEntry(Struct, frozen=True):
    """One change as it was recorded. ``before`` and ``after`` are JSON objects with routes in the
    manifests' form. A ``kind`` of ``Store`` says how the store was created; it has no account."""

    revision: int
    at: datetime
    actor: str
    source_commit: str | None
    account: AccountKey | None
    kind: str
    name: str
    action: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    reason: str
    message: str


class StoredProfile(Struct, frozen=True):
    """``id`` and ``version`` identify one revision of a profile forever: ``p{id}r{version}``."""

    account: AccountKey
    name: str
    id: int
    version: int
    profile: Profile

    @property
    def secret(self) -> SecretRef | None:
        """The secret of its credential; None if it does not sign in."""
        return secret_ref(self.account, self.profile)


class ExplainFacts(Struct, frozen=True):
    """All that is known of one domain, in one read.

    ``row`` is None for a domain that no account holds; then only the platform is set. ``profile``
    is set if the route is a profile. ``assignment`` is the change that assigned the route; for a
    store that was created from a lock file it may be the creation. ``logins`` are those of its
    account.
    """

    revision: int
    platform: Platform | None
    platform_version: int
    row: RouteRow | None = None
    plan: str | None = None
    default: Route | None = None
    profile: StoredProfile | None = None
    assignment: HistoryEntry | None = None
    logins: tuple[str, ...] | UnsetType = UNSET


class Endpoint(Struct, frozen=True):
    """One revision of a profile, of the managed relay (``profile`` is 0) or of the bounce
    relay (-1): the destination of its alias. ``credential`` is encrypted, and bound to this
    destination. ``made`` and ``retired`` are revisions of the store; ``retired`` is None while the
    endpoint is in use."""

    profile: int
    version: int
    binding: SecretBinding
    credential: str | None
    made: int
    retired: int | None

    @property
    def alias(self) -> str:
        """The alias of the nexthop, for example ``p42r7``."""
        return str(Alias(self.profile, self.version))


class DomainRoute(NamedTuple):
    """A sender domain as relays need it. ``kind`` is None if the store has it no longer;
    ``profile`` is the id and the version of the profile that it is sent through. ``logins`` are the
    clients that may send as it; empty for any."""

    domain: str
    kind: RouteKind | None
    profile: tuple[int, int] | None = None
    logins: tuple[str, ...] = ()


class Rekeyed(Struct, frozen=True):
    """The result of a rekey: the number of credentials that were encrypted again, how many of them
    are retired, and the endpoints whose credential no given key decrypts, which keep it as it
    is."""

    count: int
    retired: int = 0
    unreadable: tuple[Endpoint, ...] = ()


class RelayRow(Struct, frozen=True, gc=False):
    """A relay's agent: the revision that it serves, and when it was last seen.

    ``age`` is the number of seconds since then, by the clock of the store. ``behind_since`` is the
    time of the first revision that it does not serve, None if it serves the latest.
    """

    name: str
    revision: int
    seen_at: datetime
    age: float
    behind_since: datetime | None = None


class RelayUpdate(NamedTuple):
    """What relays need to serve the revision ``head``: everything if it ``is_whole``, otherwise
    what changed since the revision that is served.

    ``facts`` are those of the null sender. Each endpoint is given with whether its mail is sent
    with a credential; it may be retired, and its ``made`` and ``retired`` are ids of rows. Read the
    endpoints first, then the domains, each once.
    """

    lineage: str
    head: Head
    is_whole: bool
    facts: ExplainFacts
    endpoints: Iterable[tuple[Endpoint, bool]]
    domains: Iterable[DomainRoute]


class StoreStatus(Struct, frozen=True):
    """``shadowed`` counts domains whose declared route an apply-all shadows with another,
    ``accounts_without_logins`` accounts with domains that specify no logins: any client that a
    relay accepts may send as these domains."""

    lineage: str
    revision: int
    created_at: datetime
    changed_at: datetime
    accounts: int
    profiles: int
    domains: int
    shadowed: int
    accounts_without_logins: int
    relays: tuple[RelayRow, ...]


class RestorePoint(Struct, frozen=True):
    """An earlier state to restore. ``head`` is its revision, ``file`` the name of the file that
    holds it. ``apply_alls`` ran before it and are unknown to this store. The changes were planned
    on the store's revision ``planned_on``."""

    head: Head
    file: str
    apply_alls: Mapping[AccountKey, Mapping[str, RanApplyAll]]
    planned_on: int
