"""The domain that the user of an edit names."""

from sendroute.edit.tree import EditedDomain, EditTree
from sendroute.manifests.names import InvalidNameError, domain_name, to_unicode
from sendroute.manifests.wording import shown
from sendroute.model.codes import finding
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding
from sendroute.model.problem import ProblemError
from sendroute.model.remedy import Perform, Task
from sendroute.model.spelling import did_you_mean


def checked_name(name: str) -> str:
    """Convert a domain name given by the user to its A-label (RFC 5890).

    Raises:
        ProblemError: it is not a valid name (``invalid-value``).
    """
    try:
        return domain_name(name)
    except InvalidNameError as error:
        raise ProblemError(
            finding(
                "invalid-value",
                f"The domain {error.message}; the value is {shown(name)}.",
                hint=error.hint,
            )
        ) from error


def find_domain(
    tree: EditTree, name: str, key: AccountKey | None, *, may_be_added: bool = False
) -> EditedDomain:
    """Find the document of a domain.

    Args:
        tree: the manifests.
        name: the domain as an A-label.
        key: the account; None if only one account declares it.
        may_be_added: whether adding an unknown domain leads to what was asked for.

    Returns:
        The domain.

    Raises:
        ProblemError: it is unknown (``unknown-domain``), or declared twice (``domain-conflict``).
    """
    domains = [
        domain for domain in tree.domains if domain.name == name and key in (None, domain.key)
    ]
    if len(domains) == 1:
        return domains[0]
    if domains:
        raise ProblemError(_declared_twice(domains))
    raise ProblemError(_unknown_domain(tree, name, may_be_added))


def _unknown_domain(tree: EditTree, name: str, may_be_added: bool) -> Finding:
    near = did_you_mean(name, {d.name for d in tree.domains if not d.where.outside})
    otherwise = "Add the domain first." if may_be_added else "Check the name and the given paths."
    return finding(
        "unknown-domain",
        f"The given manifests have no SendingDomain for {to_unicode(name)}.",
        hint=near or otherwise,
        remedy=None if near or not may_be_added else Perform(Task.ADD_DOMAIN, name),
    )


def _declared_twice(domains: list[EditedDomain]) -> Finding:
    first, second = domains[:2]
    same = first.key == second.key
    return finding(
        "domain-conflict",
        f"{to_unicode(first.name)} is declared twice, so it is unclear which one to edit.",
        hint="Remove one of the two first."
        if same
        else f"Choose one of the accounts, such as {first.key}.",
        where=second.where.at("spec", "domain"),
        related=(first.where.at("spec", "domain"),),
    )
