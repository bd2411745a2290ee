"""Guards: a change that removes or reroutes too many of an account's domains needs an approval."""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from sendroute.model.change import Action, DomainChange, ObjectChange
from sendroute.model.codes import Code, finding
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, Where
from sendroute.model.remedy import Approve, GuardLimit, RaiseLimit, Remedy
from sendroute.model.route import Origin

FROM_DOMAINS = 10


class Guards(Struct, frozen=True):
    """The limits of one change: shares of the domains that the account had before, in percent.

    ``approved`` maps an account to the digest of its approved plan, which the loop may apply. It is
    None for a command, where the user raises a limit with an option instead. ``allow_older_tree``
    lets a tree through that lacks a commit which was applied before.
    """

    change_percent: int = 30
    remove_percent: int = 30
    approved: Mapping[AccountKey, str] | None = None
    allow_older_tree: bool = False

    def __post_init__(self) -> None:
        """Raises TypeError or ValueError for a limit that is not a whole number from 0 to 100."""
        for name in ("change_percent", "remove_percent"):
            limit = getattr(self, name)
            message = f"{name} must be a whole number from 0 to 100, not {limit!r}."
            if not isinstance(limit, int) or isinstance(limit, bool):
                raise TypeError(message)
            if not 0 <= limit <= 100:
                raise ValueError(message)

    def lets_through(self, key: AccountKey, digest: str) -> bool:
        """Whether the plan of an account with this digest is approved."""
        return self.approved is not None and self.approved.get(key) == digest


def check_guards(
    key: AccountKey,
    changes: Iterable[ObjectChange],
    domains: int,
    guards: Guards,
    where: Where | None,
) -> tuple[Finding, ...]:
    """Check the changes of an account against the limits.

    Args:
        key: the account.
        changes: its changes.
        domains: the number of its domains before the change.
        guards: the limits.
        where: the position of its MailAccount; None if it has none.

    Returns:
        A refusal for each limit that is exceeded.
    """
    if domains < FROM_DOMAINS:
        return ()
    of_domains = [change for change in changes if isinstance(change, DomainChange)]
    removed = sum(change.action is Action.DELETE for change in of_domains)
    rerouted = sum(_is_reroute(change) for change in of_domains)
    refusals = []
    if removed * 100 > guards.remove_percent * domains:
        refusals.append(
            _refusal("too-many-removals", "remove", removed, domains, guards, key, where)
        )
    if rerouted * 100 > guards.change_percent * domains:
        refusals.append(
            _refusal("too-many-changes", "reroute", rerouted, domains, guards, key, where)
        )
    return tuple(refusals)


def _is_reroute(change: DomainChange) -> bool:
    if change.action is Action.REASSIGN:
        return True
    by_apply_all = change.after is not None and change.after.origin is Origin.APPLY_ALL
    return change.action is Action.REROUTE and not by_apply_all


def _refusal(
    code: str,
    verb: str,
    count: int,
    domains: int,
    guards: Guards,
    key: AccountKey,
    where: Where | None,
) -> Finding:
    removing = code == Code.TOO_MANY_REMOVALS
    hint: str
    remedy: Remedy
    if guards.approved is not None:
        hint, remedy = "If the change is intended, approve it.", Approve(*key)
    else:
        hint = "If the change is intended, apply with a higher limit."
        percent = -(-count * 100 // domains)
        remedy = RaiseLimit(GuardLimit.REMOVALS if removing else GuardLimit.CHANGES, percent)
    limit = guards.remove_percent if removing else guards.change_percent
    return finding(
        code,
        f"Applying the manifests would {verb} {count} of the {domains} domains of account {key};"
        f" the limit is {limit} %.",
        hint=hint,
        remedy=remedy,
        where=where,
        account=key,
    )
