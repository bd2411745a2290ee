"""Whose a document is: ours, somebody else's, or a list of both, by apiVersion and kind."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, TypeGuard, assert_never

from msgspec import UNSET

from sendroute.manifests.shapes import (
    API_GROUP,
    API_VERSION,
    DEFAULT_NAMESPACE,
    KINDS,
    Document,
    MailAccount,
    MailPlatform,
    SendingDomain,
    SMTPProfile,
)
from sendroute.model.desired import AccountKey

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")  # RFC 1123


def is_ours(value: Any) -> bool:
    """Of our group, or of one of our kinds without a readable ``apiVersion``."""
    if not isinstance(value, dict):
        return False
    group = value.get("apiVersion")
    if group == API_VERSION:
        return True
    if isinstance(group, str) and group:
        # Kubernetes takes the capitals of a group seriously; here they are told as a mistake.
        return group.lower().partition("/")[0] == API_GROUP
    kind = value.get("kind")
    return isinstance(kind, str) and kind in KINDS


def is_list_of(value: Any) -> bool:
    """``kind: List``, as ``kubectl get -o yaml`` writes several objects."""
    return (
        isinstance(value, dict)
        and value.get("kind") == "List"
        and value.get("apiVersion") == "v1"
        and isinstance(value.get("items"), list)
    )


def is_foreign_already(value: dict[str, Any]) -> bool:
    """Whether what was read so far of a mapping shows that none of it can be ours."""
    group = value.get("apiVersion")
    if not isinstance(group, str) or not group or is_ours(value):
        return False
    return group != "v1" or value.get("kind", "List") != "List"


def expand(values: list[Any]) -> Iterator[Any]:
    """Documents with those of a ``List`` in its place; empty ones, which say nothing, left out."""
    for value in values:
        if is_list_of(value):
            yield from (item for item in value["items"] if item is not None)
        elif value is not None:
            yield value


# Where a document of each kind names its account.
ACCOUNT_PATHS: dict[str, tuple[tuple[str, ...], ...]] = {
    "MailPlatform": (),
    "MailAccount": (("metadata", "namespace"), ("metadata", "name")),
    "SMTPProfile": (("metadata", "namespace"), ("spec", "account")),
    "SendingDomain": (("metadata", "namespace"), ("spec", "account")),
}


def account_of(value: dict[str, Any]) -> AccountKey | None:
    """The account that a document names, however wrong it is elsewhere; None where it does not
    tell. Of a MailPlatform there is none either."""
    metadata, spec = value.get("metadata"), value.get("spec")
    if not isinstance(metadata, dict):
        return None
    match value.get("kind"):
        case "MailAccount":
            name = metadata.get("name")
        case "SMTPProfile" | "SendingDomain":
            name = spec.get("account") if isinstance(spec, dict) else None
        case _:
            return None
    namespace = metadata.get("namespace", DEFAULT_NAMESPACE)
    return AccountKey(namespace, name) if _is_label(namespace) and _is_label(name) else None


def profiles_of(value: dict[str, Any]) -> set[str | None]:
    """The profiles that a document defines, however wrong it is elsewhere: None among them is one
    whose name it does not tell. In a domain, any mapping where ``newProfile`` belongs may be one
    under a misspelt key."""
    metadata, spec = value.get("metadata"), value.get("spec")
    match value.get("kind"):
        case "SMTPProfile":
            return {_name_of(metadata)}
        case "SendingDomain" if isinstance(spec, dict):
            routes = [each for each in spec.values() if isinstance(each, dict | list)]
            inner = [each for route in routes for each in _values(route)]
            return {_name_of(each) for each in inner if each and isinstance(each, dict | list)}
        case _:
            return set()


def _values(container: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return container.values() if isinstance(container, dict) else container


def _name_of(value: Any) -> str | None:
    name = value.get("name") if isinstance(value, dict) else None
    return name if _is_label(name) else None


def account_of_document(document: Document) -> AccountKey | None:
    """The same of a document in good order."""
    match document:
        case MailPlatform():
            return None
        case MailAccount(metadata=metadata):
            name = metadata.name
        case (
            SMTPProfile(metadata=metadata, spec=spec) | SendingDomain(metadata=metadata, spec=spec)
        ):
            name = spec.account
        case _:
            assert_never(document)
    namespace = metadata.namespace
    return AccountKey(DEFAULT_NAMESPACE if namespace is UNSET else namespace, name)


def _is_label(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and _LABEL.fullmatch(value) is not None
