"""Changes are data: what is decided, shown, digested and committed is one and the same value."""

from enum import StrEnum

from msgspec import Struct

from sendroute.model.current import AccountState, DomainState, RanApplyAll
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, Where
from sendroute.model.platform import Platform
from sendroute.model.profile import Profile
from sendroute.model.route import Route


class Kind(StrEnum):
    PLATFORM = "MailPlatform"
    ACCOUNT = "MailAccount"
    PROFILE = "SMTPProfile"
    DOMAIN = "SendingDomain"


class Action(StrEnum):
    """``REROUTE``: the assigned route changes; ``REASSIGN``: it changes because the old one cannot
    be had any more; ``UPDATE``: something else of the object does; ``SKIP``: left as it is."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    REROUTE = "reroute"
    REASSIGN = "reassign"
    SKIP = "skip"


PLATFORM_KEY = AccountKey("", "")
"""Stands in the place of an account where the platform's own change is meant."""
RELAY = "relay"
"""Stands in the place of a profile's name, under :data:`PLATFORM_KEY`: the managed relay."""

State = Platform | AccountState | Profile | DomainState


class Change(Struct, frozen=True):
    """One object's change. ``before`` is None for what is new, ``after`` for what goes (and for
    what is skipped without being there). ``ran`` is, on an account, the apply-all that this
    change runs: its id and record. ``reason`` is one stable word, ``message`` a sentence."""

    kind: Kind
    account: AccountKey
    name: str
    action: Action
    before: State | None
    after: State | None
    reason: str
    message: str
    where: Where | None = None
    ran: tuple[str, RanApplyAll] | None = None


class Shadowed(Struct, frozen=True):
    """A declared route that an apply-all shadows until the manifest is edited."""

    account: AccountKey
    domain: str
    declared: Route
    assigned: Route
    apply_all: str


class AccountPlan(Struct, frozen=True):
    """What one account's change is. ``revision`` is the fence: the account's revision it was
    planned on, 0 for an account that is not there. An account that is ``stopped`` (an error, a
    hold, a guard) is left as it is when applied; the findings say why."""

    key: AccountKey
    revision: int
    changes: tuple[Change, ...]
    findings: tuple[Finding, ...] = ()
    shadowed: tuple[Shadowed, ...] = ()
    stopped: bool = False


class Plan(Struct, frozen=True):
    """A whole plan, fenced on the store's lineage and each account's revision.

    ``groups`` are the accounts that must be committed in one transaction, for a domain moves
    between them; an account that no group names stands alone. ``findings`` are those of no
    account, ``platform`` the platform's own change.
    """

    lineage: str
    revision: int
    platform: Change | None
    accounts: tuple[AccountPlan, ...]
    groups: tuple[tuple[AccountKey, ...], ...] = ()
    findings: tuple[Finding, ...] = ()
