"""What a tenant may read of other tenants: nothing that says who they are.

A status and an event are in the namespace of an object, so its tenant reads them. A namespace is
one tenant. The log, ``sendroute status`` and the MailPlatform's status are for the platform team,
and have the full names.
"""

import re
from collections.abc import Iterable

from msgspec.structs import replace

from sendroute.model.codes import code_of
from sendroute.model.finding import Finding

_KEY = r"[a-z0-9-]+/[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?"
_OBJECT = re.compile(r"\b(MailAccount|SMTPProfile|SendingDomain)/([a-z0-9-]+)/[a-z0-9.-]*[a-z0-9]")
_NAMESPACE = re.compile(r"\bof namespace ([a-z0-9-]+)")
_ACCOUNTS = re.compile(rf"\b([Aa])ccounts? ({_KEY}(?:(?:, | and ){_KEY})*)")


def for_tenant(text: str, namespace: str) -> str:
    """Remove the names of other tenants' accounts, objects and namespaces from a sentence.

    Args:
        text: the sentence. It names what is in another namespace as ``account NAMESPACE/NAME``,
            ``KIND/NAMESPACE/NAME`` or ``of namespace NAMESPACE``.
        namespace: that of the tenant.

    Returns:
        The sentence with "another account" and the like in their places.
    """

    def renamed(match: re.Match[str]) -> str:
        keys = re.findall(_KEY, match[2])
        if all(key.partition("/")[0] == namespace for key in keys):
            return match[0]
        others = "nother account" if len(keys) == 1 else "ccounts of other tenants"
        return f"{match[1]}{others}"

    def is_own(match: re.Match[str], group: int, otherwise: str) -> str:
        return match[0] if match[group] == namespace else otherwise

    text = _OBJECT.sub(lambda match: is_own(match, 2, f"a {match[1]} of another tenant"), text)
    text = _NAMESPACE.sub(lambda match: is_own(match, 1, "of another namespace"), text)
    return _ACCOUNTS.sub(renamed, text)


def findings_for_tenant(findings: Iterable[Finding], namespace: str) -> tuple[Finding, ...]:
    """The findings as a tenant may read them.

    Args:
        findings: the findings.
        namespace: that of the tenant.

    Returns:
        The findings, without the names of other tenants' accounts. A hint with such a name is
        replaced whole, because what it advises would say that the account exists.
    """
    return tuple(_for_tenant(item, namespace) for item in findings)


def _for_tenant(item: Finding, namespace: str) -> Finding:
    message = for_tenant(item.message, namespace)
    hint = item.hint
    if hint and for_tenant(hint, namespace) != hint:
        hint = code_of(item.code).fix
    if (message, hint) == (item.message, item.hint):
        return item
    return replace(item, message=message, hint=hint)
