"""The input of one account's plan, collected before any rule is applied."""

from collections.abc import Iterable, Mapping

from msgspec import Struct, field

from sendroute.model.current import CurrentAccount
from sendroute.model.desired import AccountKey, DesiredAccount
from sendroute.model.platform import ServicePlan
from sendroute.model.profile import Profile
from sendroute.model.route import MANAGED, UNCONFIGURED, Route, via
from sendroute.model.secret import Resave
from sendroute.planner.claim_index import ClaimLimit


class ClaimEffect(Struct, frozen=True):
    """The effect of other accounts on the domains of one account.

    ``denied``: domains it declares but does not get in this change; ``waiting``: those of them
    that another account holds and would give up, with that account's key. ``retained``: domains it
    holds and keeps although it no longer declares them; ``unmoved``: those of them that would move
    to another account, with its key. ``given_up``: domains it holds, no longer declares and loses,
    although other accounts declare them: those accounts, which do not get them in this change.
    ``outgoing`` and ``incoming``: moves, with the other account's key. ``unplanned`` are the
    accounts among all these that are not in the plan, ``inert`` those to which nothing can come.
    ``unmoved_profiles``: the profiles it holds and keeps although it no longer defines them, with
    the account of the namespace whose document defines each; ``moved_profiles`` are those that
    leave it for that account.
    """

    denied: frozenset[str] = frozenset()
    retained: frozenset[str] = frozenset()
    waiting: dict[str, AccountKey] = field(default_factory=dict)
    unmoved: dict[str, AccountKey] = field(default_factory=dict)
    outgoing: dict[str, AccountKey] = field(default_factory=dict)
    incoming: dict[str, AccountKey] = field(default_factory=dict)
    given_up: dict[str, tuple[AccountKey, ...]] = field(default_factory=dict)
    unplanned: frozenset[AccountKey] = frozenset()
    inert: Mapping[AccountKey, ClaimLimit] = field(default_factory=dict)
    unmoved_profiles: dict[str, AccountKey] = field(default_factory=dict)
    moved_profiles: dict[str, AccountKey] = field(default_factory=dict)

    def why_not(self, key: AccountKey, cannot: str) -> str:
        """Why another account does not take, or give, a domain or a profile in this change: it can
        take none, it is not planned, or it ``cannot`` (``cannot take it now``)."""
        if key in self.inert:
            return self.inert[key].value
        return "is not planned" if key in self.unplanned else cannot

    def next_step(self, key: AccountKey, otherwise: str) -> str:
        """What the author can do about a domain or a profile that waits for another account: an
        account that can take none never takes it, else ``otherwise``."""
        match self.inert.get(key):
            case ClaimLimit.UNKNOWN:
                return f"Correct spec.account of its document, or define account {key}."
            case ClaimLimit.LEAVING:
                return f"Correct spec.account of its document, or keep account {key}."
            case _:
                return otherwise

    def why_profile_stays(self, claimant: AccountKey) -> str:
        """Why a profile does not leave the account for the one of its document, as a clause."""
        reason = self.why_not(claimant, "cannot take it now")
        return f"its document is in account {claimant}, which {reason}"

    def to_keep_profile(self, name: str, otherwise: str) -> str:
        """What the author can do to keep a profile that leaves the account: two documents of a
        namespace cannot have one name."""
        claimant = self.moved_profiles.get(name)
        if claimant is None:
            return otherwise
        return (
            f"SMTPProfile {name} is one of account {claimant} now. Correct its spec.account, or"
            " declare one of another name."
        )

    def next_step_of_profile(self, claimant: AccountKey) -> str:
        """What the author can do about a profile that waits for the account of its document."""
        moves = f"The profile moves when account {claimant} is planned and can take it."
        return self.next_step(claimant, moves)


class AccountInput(Struct, frozen=True):
    """The input of a plan. ``failed`` maps the names of profiles that may not be saved to the code
    that says why, ``rotated`` the names of profiles whose credential is saved again to why."""

    desired: DesiredAccount
    current: CurrentAccount
    plan: ServicePlan
    claims: ClaimEffect = ClaimEffect()
    failed: Mapping[str, str] = {}
    rotated: Mapping[str, Resave] = {}

    @property
    def key(self) -> AccountKey:
        """The account that is planned."""
        return self.desired.key


class RouteContext(Struct, frozen=True):
    """The result of steps 1 and 2, the same for every domain of the account.

    ``removed`` are the profiles that this change removes, ``unsaved`` the new or changed ones that
    are not saved, so that no domain may newly depend on them. ``default`` is the route of a new
    domain without a declared route; None while it waits for such a profile.
    """

    plan_default: Route
    satisfiable: frozenset[Route]
    removed: dict[str, Profile]
    unsaved: frozenset[str]
    default: Route | None


def satisfiable_routes(plan: ServicePlan, profiles: Iterable[str]) -> frozenset[Route]:
    """Return the routes that a domain can have.

    Args:
        plan: the account's service plan.
        profiles: the names of the profiles that exist after the change.
    """
    routes = {UNCONFIGURED, *(via(name) for name in profiles)}
    if plan.managed:
        routes.add(MANAGED)
    return frozenset(routes)
