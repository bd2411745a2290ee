"""A one-time switch of all domains of an account, with a new id and the
confirmed number of domains."""

from collections.abc import Container
from datetime import date

from msgspec import UNSET

from sendroute.edit.declare import check_profile, put_after, too_few_confirmed
from sendroute.edit.proposal import Proposal
from sendroute.edit.tree import EditedAccount, EditTree
from sendroute.model.codes import finding
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding
from sendroute.model.problem import ProblemError
from sendroute.model.route import Route
from sendroute.model.words import counted

_MAX_ID = 63


def apply_to_all(
    tree: EditTree,
    key: AccountKey,
    route: Route,
    *,
    today: date,
    id: str | None = None,  # noqa: A002  (as the manifest calls it)
    confirm: int | None = None,
    current: int = 0,
    completed: Container[str] = (),
) -> Proposal:
    """Write an account's ``applyToAll``.

    Args:
        tree: the manifests.
        key: the account.
        route: the route to switch to.
        today: the date in a new id.
        id: the id; None for a new one.
        confirm: the confirmed number of domains; None for all.
        current: the number of the account's domains in the store.
        completed: the ids that ran in the store.

    Returns:
        The changes.

    Raises:
        ProblemError: the account or profile is unknown, or the id ran before.
    """
    account = tree.account(key)
    check_profile(tree, key, route)
    proposal = Proposal(tree)
    count = max(len(tree.domains_of(key)), current)
    if id is None:
        id = _fresh_id(today, route, account, completed)  # noqa: A001
    elif id in completed:
        raise ProblemError(_ran_before(id, account))
    if confirm is not None and confirm < count:
        proposal.notes.append(too_few_confirmed(confirm, count, account, "the apply-all"))
    spec = proposal.spec(account.where)
    number = confirm or count
    apply_all = {"id": id, "route": route.as_manifest(), "confirm": {"domains": number}}
    # An existing applyToAll is rewritten key by key, in its order and with its comments.
    desired = spec.get("applyToAll", {}) | apply_all
    put_after(spec, "defaultRoute" if "defaultRoute" in spec else "plan", "applyToAll", desired)
    proposal.describe(
        account.where.at("spec"),
        f"apply-all {id} of account {key}: every domain → {route}, confirmed for "
        f"{counted(number, 'domain')}",
    )
    return proposal


def _fresh_id(today: date, route: Route, account: EditedAccount, completed: Container[str]) -> str:
    last = account.spec.apply_to_all
    last_id = None if last is UNSET else last.id
    stem = f"{today.isoformat()}-to-{route.profile or route.kind.value}"
    number = 1
    while True:
        suffix = f"-{number}" if number > 1 else ""
        fresh = stem[: _MAX_ID - len(suffix)] + suffix
        if fresh != last_id and fresh not in completed:
            return fresh
        number += 1


def _ran_before(name: str, account: EditedAccount) -> Finding:
    return finding(
        "apply-all-id-reused",
        f"Apply-all {name} already ran in account {account.key}, and an id runs only once.",
        hint="Choose another id, or omit it to get a new one.",
        where=account.where.at("spec"),
        account=account.key,
    )
