"""Frozen values to columns and JSON, and back.

JSON that people read (history, lock files) gives a route the manifests' form, ``{"managed": {}}``.
"""

from functools import cache
from typing import Any

import msgspec

from sendroute.model.change import State
from sendroute.model.current import AccountState, DomainState
from sendroute.model.platform import Platform
from sendroute.model.profile import Profile
from sendroute.model.route import Origin, Route, shared

# kind, profile, origin, declared kind, declared profile, shadow: in the order of the table
DomainColumns = tuple[str, str | None, str, str | None, str | None, str | None]

DOMAIN_COLUMNS = ("kind", "profile", "origin", "declared_kind", "declared_profile", "shadow")


def maybe_route_of(kind: str | None, profile: str | None) -> Route | None:
    return None if kind is None else shared(kind, profile)


def route_columns(route: Route | None) -> tuple[str | None, str | None]:
    return (None, None) if route is None else (route.kind.value, route.profile)


def domain_state(columns: DomainColumns) -> DomainState:
    kind, profile, origin, declared_kind, declared_profile, shadow = columns
    return DomainState(
        shared(kind, profile),
        Origin(origin),
        maybe_route_of(declared_kind, declared_profile),
        shadow,
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
    )


def spec(value: Platform | Profile) -> str:
    return msgspec.json.encode(value).decode()


@cache
def _decoder(kind: type[Platform] | type[Profile]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def platform_of(text: str) -> Platform:
    value: Platform = _decoder(Platform).decode(text)
    return value


def profile_of(text: str) -> Profile:
    value: Profile = _decoder(Profile).decode(text)
    if value.reassign_to is not None:
        route = shared(value.reassign_to.kind, value.reassign_to.profile)
        return msgspec.structs.replace(value, reassign_to=route)
    return value


def _manifest(route: Route | None) -> dict[str, Any] | None:
    return None if route is None else route.as_manifest()


def as_document(state: State) -> dict[str, Any]:
    """A state as JSON for people: routes in the manifests' form, what is not set left out."""
    document: dict[str, Any]
    match state:
        case DomainState():
            document = {
                "route": state.route.as_manifest(),
                "origin": state.origin.value,
                "declared": _manifest(state.declared),
                "shadow": state.shadow,
            }
        case AccountState():
            document = {"plan": state.plan, "default": _manifest(state.default)}
        case Profile():
            document = msgspec.to_builtins(state) | {"reassign_to": _manifest(state.reassign_to)}
        case Platform():
            document = msgspec.to_builtins(state)
    return {key: value for key, value in document.items() if value is not None}


def as_text(state: State) -> str:
    return msgspec.json.encode(as_document(state)).decode()
