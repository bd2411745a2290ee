"""Changes as values: the planner creates them; reports, digests and commits use the same ones."""

from collections.abc import Iterator
from enum import StrEnum
from typing import ClassVar, Generic, TypeVar

from msgspec import Struct, field

from sendroute.model.codes import Code
from sendroute.model.current import AccountState, DomainState, RanApplyAll
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, Where
from sendroute.model.platform import Platform
from sendroute.model.profile import Profile
from sendroute.model.route import Route
from sendroute.model.waiting import Wait


class Kind(StrEnum):
    PLATFORM = "MailPlatform"
    ACCOUNT = "MailAccount"
    PROFILE = "SMTPProfile"
    DOMAIN = "SendingDomain"


class Action(StrEnum):
    """``REROUTE``: the assigned route changes. ``REASSIGN``: it changes because the old one is no
    longer available. ``UPDATE``: something else of the object changes. ``SKIP``: the object stays
    as it is, because something that it depends on was not saved."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    """A removal (docs/glossary.md): the object leaves the store."""
    REROUTE = "reroute"
    REASSIGN = "reassign"
    SKIP = "skip"


class ChangeReason(StrEnum):
    """Why an object changes, and why an entry is in the history. A change that is skipped has the
    code of a finding instead.

    The first four are also origins of a route, and mean the same. ``DECLARED`` is the reason of
    every other object whose manifest changed, too.
    """

    DECLARED = "declared"
    DEFAULT = "default"
    APPLY_ALL = "apply-all"
    REASSIGNED = "reassigned"

    DECLARED_IN_LINE = "declared-in-line"
    CREDENTIALS_CHANGED = "credentials-changed"
    CREDENTIALS_LOST = "credentials-lost"
    DECLARATION_CHANGED = "declaration-changed"
    DECLARATION_REMOVED = "declaration-removed"
    SHADOW = "shadow"
    SHADOW_ENDED = "shadow-ended"
    MOVED = "moved"
    REMOVED = "removed"
    RESTORED = "restored"

    # Of an entry about a decision of a person, or about the store as a whole.
    APPROVED = "approved"
    INITIALISED = "initialised"
    REKEYED = "rekeyed"
    RESTORED_FROM_LOCK = "restored-from-lock"
    RESTORED_FROM_BACKUP = "restored-from-backup"
    RESTORED_WITHOUT_KEY = "restored-without-key"


State = Platform | AccountState | Profile | DomainState


_State = TypeVar("_State", AccountState, Profile, DomainState)


class _AccountsChange(Struct, Generic[_State], frozen=True):
    """What the changes of an account's objects have in common. ``before`` is None for a new
    object, ``after`` for a removed one; both are None for a new object that is skipped."""

    account: AccountKey
    name: str
    action: Action
    before: _State | None
    after: _State | None
    reason: ChangeReason | Code
    message: str
    where: Where | None = None

    @property
    def written(self) -> _State:
        """The state that a create, an update, a reroute or a reassign writes. Raises ValueError
        for a change that writes none."""
        if self.after is None:
            raise ValueError(f"the change of {self.name} ({self.action}) writes no state")
        return self.after


class AccountChange(_AccountsChange[AccountState], frozen=True):
    """``completed`` is the apply-all that this change runs: its id and its record."""

    kind: ClassVar[Kind] = Kind.ACCOUNT
    completed: tuple[str, RanApplyAll] | None = None


class ProfileChange(_AccountsChange[Profile], frozen=True):
    kind: ClassVar[Kind] = Kind.PROFILE


class DomainChange(_AccountsChange[DomainState], frozen=True):
    """``wait`` is why the domain waits, if it is skipped because of that."""

    kind: ClassVar[Kind] = Kind.DOMAIN
    wait: Wait | None = None


class PlatformChange(Struct, frozen=True):
    """A platform is never removed: ``after`` is None only while a new one is skipped."""

    kind: ClassVar[Kind] = Kind.PLATFORM
    name: ClassVar[str] = "default"
    action: Action
    before: Platform | None
    after: Platform | None
    reason: ChangeReason | Code
    message: str
    where: Where | None = None


ObjectChange = AccountChange | ProfileChange | DomainChange
"""A change of one of an account's objects."""

Change = PlatformChange | ObjectChange


class Shadowed(Struct, frozen=True):
    """A declared route that the apply-all with this id shadows until the manifest is edited."""

    account: AccountKey
    domain: str
    declared: Route
    assigned: Route
    apply_all: str


class DomainCounts(Struct, frozen=True, omit_defaults=True):
    """How many domains a change would remove and reroute, as the guards count them: without moves,
    apply-alls and confirmed removals."""

    removed: int = 0
    rerouted: int = 0


class WholeChange(Struct, frozen=True, omit_defaults=True):
    """A whole change of which a part is held back: the number of domains in the store before it,
    and what the guards count of the part that was approved, or let through, and applied since."""

    domain_count: int = field(name="domains")  # its name in the store
    applied: DomainCounts = DomainCounts()


class AccountPlan(Struct, frozen=True):
    """The change of one account.

    ``revision`` is the fence: the account's revision that it was planned on, 0 for an account that
    does not exist. A ``stopped`` account (an error, a guard) stays as it is when the plan is
    applied; the findings say why. ``counts`` is what the guards count of the change, ``whole`` the
    whole change because of whose size a guard stops the account.
    """

    key: AccountKey
    revision: int
    changes: tuple[ObjectChange, ...]
    findings: tuple[Finding, ...] = ()
    shadowed: tuple[Shadowed, ...] = ()
    stopped: bool = False
    counts: DomainCounts = DomainCounts()
    whole: WholeChange | None = None


class Plan(Struct, frozen=True):
    """A whole plan, fenced on the store's lineage and each account's revision.

    ``groups`` are the accounts that must be committed in one transaction, because a domain moves
    between them; an account in no group is committed alone. ``findings`` are those of no account,
    ``platform`` is the platform's own change.
    """

    lineage: str
    revision: int
    platform: PlatformChange | None
    accounts: tuple[AccountPlan, ...]
    groups: tuple[tuple[AccountKey, ...], ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def all_findings(self) -> Iterator[Finding]:
        """Those of no account, then those of each account."""
        yield from self.findings
        for account in self.accounts:
            yield from account.findings
