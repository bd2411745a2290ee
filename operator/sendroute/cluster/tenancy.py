"""What a tenant may read of other tenants: nothing that says who they are.

A status and an event are in the namespace of an object, so its tenant reads them. A namespace is
one tenant. The log, the statuses in the store and the MailPlatform's status are for the platform
team, and have the full names.
"""

from collections.abc import Iterable

from msgspec.structs import replace

from sendroute.model.finding import Finding


def findings_for_tenant(findings: Iterable[Finding], namespace: str) -> tuple[Finding, ...]:
    """The findings as a tenant may read them.

    Args:
        findings: the findings about the tenant's accounts, and those about none.
        namespace: that of the tenant.

    Returns:
        Those that are not about another namespace, each worded for the tenant.
    """
    return tuple(
        for_tenant(item, namespace) for item in findings if item.namespace in (None, namespace)
    )


def for_tenant(item: Finding, namespace: str) -> Finding:
    """A finding as a tenant may read it.

    Args:
        item: the finding.
        namespace: that of the tenant.

    Returns:
        The same finding, or with the text that says nothing of other tenants.
    """
    text = item.for_tenant
    if text is None:
        return item
    if text.accounts and all(other == namespace for other, _ in text.accounts):
        return item
    # A wait may name the other tenant too.
    return replace(item, message=text.message, hint=text.hint, for_tenant=None, wait=None)
