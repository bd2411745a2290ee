"""``edit apply-to-all``: a one-time switch of all of an account's domains, with its fresh id and
its confirming number."""

from collections.abc import Container
from datetime import date

from sendroute.edit.declare import check_profile, put_after
from sendroute.edit.proposal import Proposal
from sendroute.edit.tree import Account, Tree
from sendroute.model.codes import finding
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, Severity
from sendroute.model.problem import ProblemError
from sendroute.model.route import Route

_LONGEST_ID = 63


def apply_to_all(
    tree: Tree,
    key: AccountKey,
    route: Route,
    *,
    today: date,
    id: str | None = None,  # noqa: A002  (as the manifest calls it)
    confirm: int | None = None,
    current: int = 0,
    ran: Container[str] = (),
) -> Proposal:
    """``current`` is how many domains the store has of the account, ``ran`` the ids that ran there;
    both are empty without a store."""
    account = tree.account(key)
    check_profile(tree, key, route)
    proposal = Proposal(tree)
    count = max(len(tree.domains_of(key)), current)
    if id is None:
        id = _fresh_id(today, route, account, ran)  # noqa: A001
    elif id in ran:
        raise ProblemError(_ran_before(id, account))
    if confirm is not None and confirm < count:
        proposal.notes.append(_too_few(confirm, count, account))
    spec = proposal.spec(account.where)
    number = confirm or count
    asked = {"id": id, "route": route.as_manifest(), "confirm": {"domains": number}}
    # What was there before is rewritten key by key, in its own order and with its comments.
    desired = spec.get("applyToAll", {}) | asked
    put_after(spec, "defaultRoute" if "defaultRoute" in spec else "plan", "applyToAll", desired)
    proposal.tell(
        account.where.at("spec"),
        f"apply-all {id} of account {key.name}: every domain → {route}, confirmed for "
        f"{number} {'domain' if number == 1 else 'domains'}",
    )
    return proposal


def _fresh_id(today: date, route: Route, account: Account, ran: Container[str]) -> str:
    from msgspec import UNSET

    last = account.spec.apply_to_all
    taken = None if last is UNSET else last.id
    stem = f"{today.isoformat()}-to-{route.profile or route.kind.value}"
    number = 1
    while True:
        suffix = f"-{number}" if number > 1 else ""
        fresh = stem[: _LONGEST_ID - len(suffix)] + suffix
        if fresh != taken and fresh not in ran:
            return fresh
        number += 1


def _ran_before(name: str, account: Account) -> Finding:
    return finding(
        "apply-all-id-reused",
        f"The apply-all {name} ran in account {account.key.name} before, and an id runs only once.",
        hint="Choose another id, or leave it out to get a new one.",
        where=account.where.at("spec"),
        account=account.key,
    )


def _too_few(confirm: int, count: int, account: Account) -> Finding:
    return finding(
        "confirmation-exceeded",
        f"The account has {count} domains, more than the {confirm} that are confirmed, so apply "
        "would refuse.",
        hint="Leave the confirmed number out to confirm them all.",
        where=account.where.at("spec"),
        account=account.key,
        severity=Severity.WARNING,
    )
