"""Converts values of the model to columns and JSON, and back.

JSON that people read (history, lock files) has the form of the manifests: ``{"managed": {}}``.
"""

from enum import StrEnum
from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from sendroute.model.change import Kind, State
from sendroute.model.current import DomainState
from sendroute.model.desired import AccountKey
from sendroute.model.manifest_form import as_manifest
from sendroute.model.nesting import is_deeper
from sendroute.model.owner import PLATFORM, Owner, owner_named
from sendroute.model.platform import Platform
from sendroute.model.profile import Profile
from sendroute.model.route import Origin, Route, interned_route
from sendroute.model.stored_values import StoredApplyAllId, StoredLabel, StoredLogins
from sendroute.store.errors import WrongValueError

# kind, profile, origin, declared kind, declared profile, shadow, overrides: in the table's order
DomainColumns = tuple[str, str | None, str, str | None, str | None, str | None, str | None]

DOMAIN_COLUMNS = (
    "kind",
    "profile",
    "origin",
    "declared_kind",
    "declared_profile",
    "shadow",
    "overrides",
)


_MAX_DEPTH = 32
"""Of a state in the history; the documents of manifests nest no deeper."""

_Enum = TypeVar("_Enum", bound=StrEnum)
_Value = TypeVar("_Value")


def decoded(decoder: msgspec.json.Decoder[_Value], text: str) -> _Value:
    """The value of a column that holds JSON. Every column is decoded here: for JSON that is nested
    too deeply, also in a part that it skips, msgspec raises an error that is not its own.

    Raises ``msgspec.MsgspecError`` if the text has another form, and :class:`WrongValueError` if it
    is nested too deeply.
    """
    try:
        return decoder.decode(text)
    except RecursionError as error:
        raise WrongValueError("JSON is nested too deeply") from error


def member_of(kind: type[_Enum], text: str) -> _Enum:
    """The member of an enumeration that a column holds. Raises :class:`WrongValueError`."""
    try:
        return kind(text)
    except ValueError as error:
        raise WrongValueError(f"not a {kind.__name__}") from error


def numbered(number: int | None) -> int:
    """The number of a revision that other rows refer to. It is NULL only within the transaction
    that creates it, or if the row is missing. Raises :class:`WrongValueError`."""
    if number is None:
        raise WrongValueError("a revision has no number")
    return number


def route_of(kind: str, profile: str | None) -> Route:
    """The route that two columns hold. Raises :class:`WrongValueError`."""
    try:
        if profile is not None:
            msgspec.convert(profile, StoredLabel)
        return interned_route(kind, profile)
    except (KeyError, msgspec.ValidationError) as error:
        raise WrongValueError("not a route") from error


def maybe_route_of(kind: str | None, profile: str | None) -> Route | None:
    return None if kind is None else route_of(kind, profile)


def route_columns(route: Route | None) -> tuple[str | None, str | None]:
    return (None, None) if route is None else (route.kind.value, route.profile)


_ApplyAllId = StoredApplyAllId | None
_NamesAndPlan = tuple[StoredLabel, StoredLabel, StoredLabel | None]


def account_key(namespace: str, name: str, plan: str | None = None) -> AccountKey:
    """The account that the columns of a row name. ``plan`` is checked with it, where it is read.
    Every account that is read becomes one here: its names end up in paths, in tables of Postfix and
    on terminals. Raises ``msgspec.ValidationError`` for what is no name."""
    msgspec.convert((namespace, name, plan), _NamesAndPlan)
    return AccountKey(namespace, name)


def owner_key(namespace: str, name: str) -> Owner:
    """As :func:`account_key`, also for what the platform owns."""
    owner = owner_named(namespace, name)
    return owner if owner is PLATFORM else account_key(namespace, name)


def domain_state(columns: DomainColumns) -> DomainState:
    """The state that the columns of a domain hold. Raises :class:`WrongValueError` or
    ``msgspec.MsgspecError`` if they hold no such state."""
    kind, profile, origin, declared_kind, declared_profile, shadow, overrides = columns
    msgspec.convert((shadow, overrides), tuple[_ApplyAllId, _ApplyAllId])
    return DomainState(
        route_of(kind, profile),
        member_of(Origin, origin),
        maybe_route_of(declared_kind, declared_profile),
        shadow,
        overrides,
    )


def domain_columns(state: DomainState) -> DomainColumns:
    declared_kind, declared_profile = route_columns(state.declared)
    return (
        state.route.kind.value,
        state.route.profile,
        state.origin.value,
        declared_kind,
        declared_profile,
        state.shadow,
        state.overrides,
    )


def logins_text(logins: tuple[str, ...] | UnsetType) -> str | None:
    """The login names of an account as the text of their column."""
    return msgspec.json.encode(logins).decode() if logins else None


@cache
def _logins_decoder() -> msgspec.json.Decoder[StoredLogins]:
    return msgspec.json.Decoder(StoredLogins)


def logins_of(text: str | None) -> tuple[str, ...] | UnsetType:
    """The login names that a column holds. Raises ``msgspec.MsgspecError`` if it holds no list, or
    an empty one: then no client could send, or any."""
    return UNSET if text is None else decoded(_logins_decoder(), text)


def spec(value: Platform | Profile) -> str:
    """A platform or profile as the text of its column; see :func:`platform_of`."""
    return msgspec.json.encode(value).decode()


@cache
def _decoder(kind: type[Platform] | type[Profile]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def platform_of(text: str) -> Platform:
    value: Platform = decoded(_decoder(Platform), text)
    return value


def profile_of(text: str) -> Profile:
    value: Profile = decoded(_decoder(Profile), text)
    if value.reassign_to is not None:
        route = route_of(value.reassign_to.kind, value.reassign_to.profile)
        return msgspec.structs.replace(value, reassign_to=route)
    return value


def history_text(state: State) -> str:
    """A state as the history stores it: JSON in the form of its manifest."""
    return msgspec.json.encode(as_manifest(state)).decode()


@cache
def _document_decoder() -> msgspec.json.Decoder[dict[str, Any]]:
    return msgspec.json.Decoder(dict[str, Any])


def history_document(kind: str, text: str) -> dict[str, Any]:
    """A state of the history in the form of its manifest.

    ``kind`` is the object's kind, ``text`` what the history stores. Rows that were written before
    the history used the form of the manifests have other keys, which are converted: rows are
    never rewritten. Raises ``msgspec.ValidationError`` if such a row is no state of that kind, and
    :class:`WrongValueError` if it is nested too deeply to be written again.
    """
    document = decoded(_document_decoder(), text)
    # A text has as many brackets as levels, or more: counting them is fast.
    if text.count("{") + text.count("[") > _MAX_DEPTH and is_deeper(document, _MAX_DEPTH):
        raise WrongValueError("a state is nested too deeply")
    match kind:
        case Kind.DOMAIN:
            return _renamed(document, "shadow", "shadowed_by")
        case Kind.ACCOUNT:
            return _renamed(document, "default", "defaultRoute")
        case Kind.PROFILE if "connection_test" in document:
            reassign_to = document.pop("reassign_to", None)
            profile = msgspec.convert(document, Profile)
            route = None if reassign_to is None else Route.from_manifest(reassign_to)
            return as_manifest(msgspec.structs.replace(profile, reassign_to=route))
        case Kind.PLATFORM if "allow_networks" in document:
            return as_manifest(msgspec.convert(document, Platform))
    return document


def _renamed(document: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    return {new if key == old else key: value for key, value in document.items()}
