"""What the store holds: the record that the next plan starts from."""

from msgspec import Struct, field

from sendroute.model.desired import AccountKey
from sendroute.model.platform import Platform
from sendroute.model.profile import Profile
from sendroute.model.route import Origin, Route


class DomainState(Struct, frozen=True, gc=False):
    """``declared`` is the declared route last seen; ``shadow`` the id of the apply-all that
    shadows it."""

    route: Route
    origin: Origin
    declared: Route | None = None
    shadow: str | None = None


class RanApplyAll(Struct, frozen=True, gc=False):
    """An apply-all that ran: ids are kept for ever, also after the account is gone."""

    route: Route
    domains: int


class AccountState(Struct, frozen=True, gc=False):
    """``default`` is the declared default last seen."""

    plan: str
    default: Route | None = None


class CurrentAccount(Struct, frozen=True):
    """``state`` is None, and the revision 0, for an account that is gone but whose ids remain."""

    key: AccountKey
    revision: int
    state: AccountState | None
    profiles: dict[str, Profile] = field(default_factory=dict)
    domains: dict[str, DomainState] = field(default_factory=dict)
    ran: dict[str, RanApplyAll] = field(default_factory=dict)


class Current(Struct, frozen=True):
    """A whole store at one revision, read in one transaction."""

    lineage: str
    revision: int
    platform: Platform | None
    accounts: dict[AccountKey, CurrentAccount]
