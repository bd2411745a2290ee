"""The desired state: the manifests, compiled from files or objects into one value per account."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from msgspec import UNSET, Struct, UnsetType, field

from sendroute.model.finding import Finding, Severity, Where
from sendroute.model.platform import Platform
from sendroute.model.profile import Profile
from sendroute.model.route import Route


class AccountKey(NamedTuple):
    """An account never leaves its namespace: the two names together are its key."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class ProfileName(NamedTuple):
    """A name that one document of a namespace may have, whatever account it belongs to."""

    namespace: str
    name: str


class DesiredDomain(Struct, frozen=True, gc=False):
    """``domain`` is the lower-case A-label; ``route`` is the declared route, None if absent.

    For an inline profile, ``route`` is the route through it, and the profile is among the
    account's profiles. ``overrides`` is the id of the apply-all after which the declared route was
    confirmed; None if absent, and without a declared route.
    """

    domain: str
    route: Route | None
    where: Where
    suspended: bool = False
    overrides: str | None = None


class DesiredProfile(Struct, frozen=True):
    """``inline_in`` is the domain whose manifest defines the profile inline, None for a profile
    with its own document."""

    profile: Profile
    where: Where
    suspended: bool = False
    inline_in: str | None = None


class ApplyAll(Struct, frozen=True):
    """A one-time switch of every domain. ``confirm`` is the confirming number of domains."""

    id: str
    route: Route
    confirm: int | None = None


class DesiredAccount(Struct, frozen=True):
    """Everything that the manifests declare of one account; ``domains`` in the order of reading.

    ``contested`` are domains that two objects of this account declare: neither wins, and they are
    not among ``domains``. ``unsound`` are the names of profiles whose definition has errors, so
    that they are not among ``profiles``; None means a name that cannot be read. ``remove`` is the
    confirming number of domains of an account that is to be removed; such an account declares
    nothing else, ``ignored`` are the domains of its other documents, and ``ignored_profiles`` the
    names of the profiles that have a document. ``logins`` are sorted, as in
    :class:`~sendroute.model.current.AccountState`.
    ``unknown``: no MailAccount defines it. Its claims get nothing, and only keep what an account of
    its namespace holds.
    """

    key: AccountKey
    plan: str
    where: Where
    default: Route | None = None
    apply_all: ApplyAll | None = None
    suspended: bool = False
    profiles: dict[str, DesiredProfile] = field(default_factory=dict)
    domains: list[DesiredDomain] = field(default_factory=list)
    contested: dict[str, Where] = field(default_factory=dict)
    unsound: frozenset[str | None] = frozenset()
    remove: int | None = None
    logins: tuple[str, ...] | UnsetType = UNSET
    unknown: bool = False
    ignored: list[DesiredDomain] = field(default_factory=list)
    ignored_profiles: tuple[str, ...] = ()

    @property
    def claims(self) -> list[DesiredDomain]:
        """The domains that its documents declare, also those that are ignored."""
        return self.ignored or self.domains

    def profile_claims(self) -> Iterator[str | None]:
        """List the profiles that its documents define, also those that are ignored or have errors.
        A valid inline profile is a part of its domain, and claims nothing by itself.

        Yields:
            The name of each; None for a name that cannot be read.
        """
        yield from self.ignored_profiles
        yield from self.unsound
        for name, desired in self.profiles.items():
            if desired.inline_in is None:
                yield name


class DesiredPlatform(Struct, frozen=True):
    platform: Platform
    where: Where
    suspended: bool = False


class Orphan(Struct, frozen=True):
    """An object whose account has no MailAccount document."""

    kind: str
    name: str
    where: Where


class Desired(Struct, frozen=True):
    """A whole tree.

    ``unread`` are the problems because of which something could not be read; while there is one,
    nothing is removed. ``stopped`` are the accounts with an error in one of their documents;
    ``ill_formed`` those of them with documents in a file that is not well-formed, each with the
    problem of that file. ``orphans`` are the objects of accounts that no MailAccount document
    defines, ``findings`` the problems found while reading. ``accepted`` are the codes of findings
    that an object accepts, by its file and document. ``undefined`` are the accounts without a valid
    MailAccount: the domains and the names of profiles that they declare, and nothing else. They are
    not planned, but claim these; those that are ``unknown`` only in their own namespace.
    """

    platform: DesiredPlatform | None
    accounts: dict[AccountKey, DesiredAccount]
    orphans: dict[AccountKey, list[Orphan]] = field(default_factory=dict)
    stopped: frozenset[AccountKey] = frozenset()
    ill_formed: dict[AccountKey, Finding] = field(default_factory=dict)
    unread: tuple[Finding, ...] = ()
    findings: tuple[Finding, ...] = ()
    accepted: dict[tuple[str, int], frozenset[str]] = field(default_factory=dict)
    undefined: dict[AccountKey, DesiredAccount] = field(default_factory=dict)

    def accepts(self, item: Finding) -> bool:
        """Return whether the object that a finding is about accepts it.

        Args:
            item: the finding. No error and no refusal can be accepted.
        """
        if item.where is None or item.severity not in (Severity.WARNING, Severity.INFO):
            return False
        return item.code in self.accepted.get((item.where.file, item.where.document), ())

    @property
    def claiming(self) -> Mapping[AccountKey, DesiredAccount]:
        """The accounts that claim domains, or profiles."""
        return self.accounts | self.undefined if self.undefined else self.accounts

    @property
    def complete(self) -> bool:
        """Whether everything could be read."""
        return not self.unread

    @property
    def mentioned(self) -> frozenset[AccountKey]:
        """The accounts that any document mentions, also one with an error."""
        return frozenset((*self.accounts, *self.orphans, *self.stopped))
