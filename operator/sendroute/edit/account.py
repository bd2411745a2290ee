"""Accounts: adding one, setting its service plan, deleting it."""

from sendroute.edit.account_placement import placement_of_account
from sendroute.edit.declare import too_few_confirmed
from sendroute.edit.documents import NewDocument
from sendroute.edit.placement import check_document, document
from sendroute.edit.proposal import Proposal
from sendroute.edit.tree import EditedAccount, EditTree
from sendroute.model.codes import finding
from sendroute.model.current import CurrentAccount
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, Severity
from sendroute.model.problem import ProblemError
from sendroute.model.remedy import Perform, Task
from sendroute.model.words import counted


def add_account(tree: EditTree, key: AccountKey, plan: str, file: str | None = None) -> Proposal:
    """Add a MailAccount.

    Args:
        tree: the manifests.
        key: the account.
        plan: its service plan.
        file: the file to add it to; a new one if the tree has none of that name.

    Returns:
        The changes.

    Raises:
        ProblemError: the account exists, or a value is invalid.
    """
    for account in tree.accounts.get(key, ()):
        raise ProblemError(
            finding(
                "duplicate-object",
                f"Account {key} exists already.",
                hint="Choose another name.",
                where=account.where,
                account=key,
            )
        )
    placement = placement_of_account(tree, key, file)
    value = document("MailAccount", key.name, key, {"plan": plan}, tree, placement.model)
    check_document(key, value)
    proposal = Proposal(tree)
    placement.put(proposal, NewDocument(value))
    proposal.describe(None, f"new account {key} on plan {plan}, in {placement.file}")
    return proposal


def set_plan(tree: EditTree, key: AccountKey, plan: str) -> Proposal:
    """Set an account's service plan.

    Args:
        tree: the manifests.
        key: the account.
        plan: the name of the service plan.

    Returns:
        The changes.

    Raises:
        ProblemError: the account is unknown.
    """
    account = tree.account(key)
    proposal = Proposal(tree)
    if account.spec.plan != plan:
        proposal.spec(account.where)["plan"] = plan
        message = f"plan of account {key}: {account.spec.plan} → {plan}"
        proposal.describe(account.where.at("spec", "plan"), message)
    return proposal


def delete_account(
    tree: EditTree,
    key: AccountKey,
    current: CurrentAccount | None = None,
    *,
    confirm: int | None = None,
    store_known: bool = False,
) -> Proposal:
    """Delete an account, in two steps: first its MailAccount says that it is to be removed with all
    its domains and profiles. When the store has no such account any more, or never had it, its
    documents are removed. (Rules: order of one change, step 6.)

    Args:
        tree: the manifests.
        key: the account.
        current: the account in the store; None if the store does not have it.
        confirm: the confirmed number of domains; None for all.
        store_known: whether a store was read. Without one, documents are never removed.

    Returns:
        The changes.

    Raises:
        ProblemError: the account is unknown, or suspended.
    """
    account = tree.account(key)
    proposal = Proposal(tree)
    if store_known and (current is None or current.state is None):
        _remove_documents(proposal, key)
        return proposal
    if account.spec.suspend is True:
        raise ProblemError(_suspended(account))
    count = max(len(tree.domains_of(key)), len(current.domains) if current else 0)
    number = count if confirm is None else confirm
    if number < count:
        proposal.notes.append(too_few_confirmed(number, count, account, "its removal"))
    spec = proposal.spec(account.where)
    remove = {"confirm": {"domains": number}}
    if spec.get("remove") == remove:
        proposal.notes.append(_not_applied(account))
        return proposal
    spec["remove"] = remove
    domains = counted(number, "domain")
    message = f"account {key}: to be removed with all it owns, confirmed for {domains}"
    proposal.describe(account.where.at("spec"), message)
    return proposal


def _remove_documents(proposal: Proposal, key: AccountKey) -> None:
    for where in proposal.tree.documents_of(key):
        proposal.remove(where)
    account = proposal.tree.account(key)
    message = f"account {key} and all it owns: documents deleted"
    proposal.describe(account.where.at("metadata", "name"), message)


def _suspended(account: EditedAccount) -> Finding:
    return finding(
        "edit-by-hand",
        f"Account {account.key} is suspended, so its removal would not be applied.",
        hint="Remove suspend from its MailAccount first.",
        where=account.where.at("spec", "suspend"),
        account=account.key,
    )


def _not_applied(account: EditedAccount) -> Finding:
    return finding(
        "account-not-empty",
        f"The removal of account {account.key} is written, but not applied yet.",
        hint="Apply it, then delete the account again to delete its documents.",
        remedy=Perform(Task.PLAN),
        where=account.where.at("spec", "remove"),
        account=account.key,
        severity=Severity.INFO,
    )
