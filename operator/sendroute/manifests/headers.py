"""Distinguish our documents from foreign ones and from lists, by apiVersion and kind."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import product
from typing import Any, NamedTuple, TypeGuard, assert_never

from msgspec import UNSET

from sendroute.manifests.names import InvalidNameError, domain_name
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
from sendroute.model.finding import Where
from sendroute.model.secret_text import encryption_of
from sendroute.model.spelling import distance
from sendroute.model.stored_values import LABEL

_NEAR = 2  # edits: more are another name
_OUR_NAME = API_GROUP.partition(".")[0]
_LONGEST_KIND = 40
# With a letter, a digit or a hyphen before or behind it, the name is of another domain.
_CONTAINED = re.compile(rf"(?<![a-z0-9-]){re.escape(API_GROUP)}(?![a-z0-9.-])", re.IGNORECASE)
_LABEL = re.compile(LABEL)
_SECRETS = ("Secret", "SecretList")


def is_ours(value: Any) -> bool:
    """Whether a document is of our API group, or of one of our kinds, perhaps misspelt, without a
    readable ``apiVersion``.

    Args:
        value: the document as plain data, of any type.

    Returns:
        True also for an invalid document of ours, so that it is reported and not skipped.
    """
    if not isinstance(value, dict):
        return False
    group = value.get("apiVersion")
    if group == API_VERSION:
        return True
    if isinstance(group, str) and group:
        # To Kubernetes, a group in capitals is another group; here it is reported as a mistake.
        return group.lower().partition("/")[0] == API_GROUP
    return is_near_kind(value.get("kind")) or ("apiVersion" not in value and _is_under_case(value))


def _is_under_case(value: dict[Any, Any]) -> bool:
    """Whether our group is under a key that is ``apiVersion`` but for its capitals."""
    return any(
        isinstance(key, str) and key.lower() == "apiversion" and is_ours({"apiVersion": item})
        for key, item in value.items()
    )


def is_misspelt(value: Any) -> bool:
    """Whether a document is meant as one of ours, under a group that is nearly ours. It is if its
    kind is one of ours, perhaps misspelt, and the group is at most two edits away, or has another
    ending. A version without a group is of Kubernetes itself, which has none of our kinds. Whatever
    its kind, an ``apiVersion`` that contains our group is ours. Any other group is another
    program's, whatever its kinds are called."""
    if not isinstance(value, dict):
        return False
    version = value.get("apiVersion")
    if not is_near_kind(value.get("kind")) and not _contains_group(version):
        return False
    return is_near(version)


def is_near_kind(kind: Any) -> bool:
    """Whether a kind is one of ours, or a near miss: at most two edits away, in other capitals,
    with blanks around it, or the list of such a kind.

    Args:
        kind: the kind, of any type.
    """
    if not isinstance(kind, str):
        return False
    return kind in KINDS or (len(kind) <= _LONGEST_KIND and _is_like_ours(kind))


@lru_cache(maxsize=1024)  # the same few kinds are in all foreign documents of a tree
def _is_like_ours(kind: str) -> bool:
    name = kind.strip().lower()
    names = {name, name.removesuffix("list")}
    known = [text.lower() for text in KINDS]
    return any(distance(name, text, _NEAR) <= _NEAR for name in names for text in known)


def is_near(version: Any) -> bool:
    """Whether the group of an ``apiVersion``, or of an annotation, is a near miss of ours; see
    :func:`is_misspelt`."""
    if not isinstance(version, str) or encryption_of(version):
        return False
    group = version.lower().partition("/")[0]
    if group == API_GROUP:
        return False
    if not has_group(version) or _contains_group(version):
        return True
    return group.partition(".")[0] == _OUR_NAME or distance(group, API_GROUP, _NEAR) <= _NEAR


def _contains_group(version: Any) -> bool:
    """Whether a text contains the name of our group as a whole, perhaps below another name."""
    return isinstance(version, str) and _CONTAINED.search(version) is not None


def has_group(version: str) -> bool:
    """Whether an ``apiVersion`` names a group: ``v1`` is of Kubernetes itself."""
    return version.rpartition("/")[0] != ""


def is_list(value: Any) -> bool:
    """Whether a document, as plain data, is a ``kind: List``, the form in which ``kubectl get -o
    yaml`` writes several objects, whatever its items are. One without an ``apiVersion`` is too:
    nothing else has that kind."""
    if not isinstance(value, dict) or value.get("kind") != "List":
        return False
    return value.get("apiVersion") in ("v1", None)


def is_list_of(value: Any) -> bool:
    """Return whether a document is a ``List`` with a list of items. Any other ``List`` is an error,
    because what it should hold is unknown.

    Args:
        value: the document as plain data, as YAML or JSON gives it.
    """
    if not (is_list(value) and "apiVersion" in value and isinstance(value.get("items"), list)):
        return False
    return not any(_is_items(key) and key != "items" for key in value)


def is_foreign_already(value: dict[str, Any]) -> bool:
    """Whether the part of a mapping that was read so far shows that it is foreign, and that the
    rest of it does not matter."""
    group = value.get("apiVersion")
    if not isinstance(group, str) or not group or is_ours(value):
        return False
    if encryption_of(group) or encryption_of(str(value.get("kind"))):
        return False
    if is_misspelt({"kind": "MailAccount", **value}):
        return False
    kind = value.get("kind")
    return not (_is_perhaps_list(kind) or kind in _SECRETS)


def _is_perhaps_list(kind: Any) -> bool:
    """Whether a kind is ``List`` or a near miss of it: absent, in other capitals, with blanks
    around it, or at most two edits away."""
    if not isinstance(kind, str):
        return kind is None
    name = kind.strip().lower()
    return len(name) <= len("list") + _NEAR and distance(name, "list", _NEAR) <= _NEAR


def _is_items(key: Any) -> bool:
    """Whether a key is ``items``, perhaps in other capitals or with blanks around it."""
    return isinstance(key, str) and key.strip().lower() == "items"


def holds_objects(value: Any) -> bool:
    """Whether a document that is meant as a ``List`` and is none holds an object of ours, which
    must not be passed over unseen.

    Args:
        value: the document as plain data, of any type.
    """
    return any(is_ours(item) or is_misspelt(item) for item in items_within(value))


def items_within(value: Any) -> Iterator[Any]:
    """Yield the items of a document that is meant as a ``List`` and is none: a list, or a mapping
    with items whose kind is absent or nearly ``List``. A list among them is replaced by its items,
    at any depth.

    Args:
        value: the document as plain data, of any type.
    """
    lists = [_items(value, but="items" if is_list(value) else None)]
    while lists:
        for item in lists.pop():
            inner = [] if is_ours(item) else _items(item)
            if inner:
                lists.append(inner)
            else:
                yield item


def _items(value: Any, but: str | None = None) -> list[Any]:
    """The items of a list, or of a mapping that is meant as a ``List``, without those under the key
    ``but``; none of anything else."""
    if isinstance(value, dict) and _is_perhaps_list(value.get("kind")):
        lists = [inner for key, inner in value.items() if _is_items(key) and key != but]
        return [item for inner in lists if isinstance(inner, list) for item in inner]
    return value if isinstance(value, list) else []


def hides_ours(headers: Mapping[str, Sequence[Any]]) -> bool:
    """Whether a document that was taken for a foreign one may be one of ours, or a ``List``.

    Args:
        headers: all values that are written for ``apiVersion`` and for ``kind``, because a key may
            be written twice.
    """
    versions, kinds = headers.get("apiVersion", ()), headers.get("kind", ())
    if len(versions) < 2 and len(kinds) < 2:
        return False
    return any(
        is_ours(header) or is_misspelt(header) or is_list(header)
        for version, kind in product(versions or [None], kinds or [None])
        for header in [{"apiVersion": version, "kind": kind}]
    )


def is_secret(value: Any) -> bool:
    """Whether a document, as plain data, is a Secret of the Kubernetes API or a list of them. It is
    foreign, but not passed over unseen: see :mod:`sendroute.manifests.plain_secrets`."""
    return (
        isinstance(value, dict)
        and value.get("kind") in _SECRETS
        and value.get("apiVersion") == "v1"
    )


def expand(values: list[Any]) -> Iterator[Any]:
    """Yield the documents without empty ones, a ``List`` of objects replaced by its items."""
    for value in values:
        if is_list_of(value) and all(type(item) is dict for item in value["items"]):
            yield from value["items"]
        elif value is not None:
            yield value


# The paths of the account's namespace and name in a document of each kind.
ACCOUNT_PATHS: dict[str, tuple[tuple[str, ...], ...]] = {
    "MailPlatform": (),
    "MailAccount": (("metadata", "namespace"), ("metadata", "name")),
    "SMTPProfile": (("metadata", "namespace"), ("spec", "account")),
    "SendingDomain": (("metadata", "namespace"), ("spec", "account")),
}


def account_of(value: dict[str, Any]) -> AccountKey | None:
    """Return the account that a document belongs to, whatever else is wrong with it.

    Args:
        value: the document as plain data, as YAML or JSON gives it.

    Returns:
        None if the account cannot be read; a MailPlatform has none.
    """
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
    """Return the names of the profiles that a document defines, whatever else is wrong with it.

    Args:
        value: the document as plain data, as YAML or JSON gives it.
    """
    metadata, spec = value.get("metadata"), value.get("spec")
    match value.get("kind"):
        case "SMTPProfile":
            return {_name_of(metadata)}
        case "SendingDomain" if isinstance(spec, dict):
            routes = [route for route in spec.values() if isinstance(route, dict | list)]
            candidates = [candidate for route in routes for candidate in _values(route)]
            return {
                _name_of(candidate)
                for candidate in candidates
                if candidate and isinstance(candidate, dict | list)
            }
        case _:
            return set()


class LeftOut(NamedTuple):
    """A document with errors, whose account can be read all the same. ``domain`` is the sending
    domain that it declares; None if it declares none that is valid."""

    account: AccountKey
    kind: str
    domain: str | None
    where: Where


def domain_of(value: dict[str, Any]) -> str | None:
    """Return the sending domain that a document declares, whatever else is wrong with it.

    Args:
        value: the document as plain data, as YAML or JSON gives it.

    Returns:
        None if it declares none that is valid.
    """
    spec = value.get("spec")
    if value.get("kind") != "SendingDomain" or not isinstance(spec, dict):
        return None
    declared = spec.get("domain")
    try:
        return domain_name(declared) if isinstance(declared, str) else None
    except InvalidNameError:
        return None


def _values(container: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return container.values() if isinstance(container, dict) else container


def _name_of(value: Any) -> str | None:
    name = value.get("name") if isinstance(value, dict) else None
    return name if _is_label(name) else None


def account_of_document(document: Document) -> AccountKey | None:
    """Return the account that a valid document belongs to."""
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
    return isinstance(value, str) and _LABEL.match(value) is not None
