"""Routes: what a domain sends through, which is managed, a profile, or nothing."""

import re
from enum import StrEnum
from typing import Any

from msgspec import Struct

from sendroute.model.stored_values import LABEL, StoredLabel

_is_label = re.compile(LABEL).match


class RouteKind(StrEnum):
    MANAGED = "managed"
    PROFILE = "profile"
    UNCONFIGURED = "unconfigured"


class Origin(StrEnum):
    """Why a domain has its assigned route."""

    DECLARED = "declared"
    DEFAULT = "default"
    APPLY_ALL = "apply-all"
    REASSIGNED = "reassigned"


class Route(Struct, frozen=True, gc=False, order=True):
    """One route. ``profile`` is set exactly if ``kind`` is ``PROFILE``.

    Use :data:`MANAGED`, :data:`UNCONFIGURED`, :func:`via` or :func:`interned_route` instead of the
    constructor: equal routes are then one object.
    """

    kind: RouteKind
    profile: StoredLabel | None = None

    def __post_init__(self) -> None:
        if (self.kind is RouteKind.PROFILE) != (self.profile is not None):
            raise ValueError("a profile does not go with the kind of the route")

    def __str__(self) -> str:
        return str(self.kind) if self.profile is None else f"profile {self.profile}"

    def as_manifest(self) -> dict[str, Any]:
        """Return the route as a manifest declares it, such as ``{"profile": "ses"}``."""
        return {self.kind.value: self.profile if self.kind is RouteKind.PROFILE else {}}

    @staticmethod
    def from_manifest(form: object) -> "Route":
        """Parse a route.

        Args:
            form: the form that :meth:`as_manifest` returns.

        Returns:
            The route, one object for equal routes.

        Raises:
            ValueError: it has another form.
        """
        match form:
            case {"managed": {}, **rest} if not rest:
                return MANAGED
            case {"unconfigured": {}, **rest} if not rest:
                return UNCONFIGURED
            case {"profile": str(name), **rest} if not rest and _is_label(name):
                return via(name)
        raise ValueError("not a route")


MANAGED = Route(RouteKind.MANAGED)
UNCONFIGURED = Route(RouteKind.UNCONFIGURED)

_via: dict[str, Route] = {}


def via(profile: str) -> Route:
    """Get the route through a profile: one object per name, because a million domains share few.

    Args:
        profile: the name of the profile.

    Returns:
        The route.
    """
    route = _via.get(profile)
    if route is None:
        route = _via[profile] = Route(RouteKind.PROFILE, profile)
    return route


_INTERNED: dict[str, Route] = {RouteKind.MANAGED: MANAGED, RouteKind.UNCONFIGURED: UNCONFIGURED}


def interned_route(kind: RouteKind | str, profile: str | None) -> Route:
    """The route of a row in the store.

    Args:
        kind: the kind of the route.
        profile: the name of the profile; None for a route of another kind.

    Returns:
        The route, one object for equal routes.

    Raises:
        KeyError: the kind is unknown, or does not go with the profile.
    """
    if profile is None:
        return _INTERNED[kind]
    if kind != RouteKind.PROFILE:
        raise KeyError(kind)
    return via(profile)
