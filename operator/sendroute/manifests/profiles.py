"""A profile as its author wrote it → a profile as it is used: presets filled in, names compared."""

from msgspec import UNSET, UnsetType

from sendroute.manifests.fields import DomainRoute, ProfileFields, RouteShape
from sendroute.manifests.presets import PRESETS, Preset
from sendroute.manifests.smarthost import Place, check_auth, host_name, secret_of
from sendroute.model import profile as model
from sendroute.model.profile import ConnectionTest, Encryption, SenderAuthorization
from sendroute.model.route import MANAGED, UNCONFIGURED, Route, via

USUAL_PORTS = (25, 465, 587, 2525, 2587)


def route_of(route: RouteShape | DomainRoute | UnsetType) -> Route | None:
    """The route that is meant; None where none is declared. Equal routes are one value."""
    if route is UNSET:
        return None
    if route.profile is not UNSET:
        return via(route.profile)
    if route.managed is not UNSET:
        return MANAGED
    if isinstance(route, DomainRoute) and route.new_profile is not UNSET:
        return via(route.new_profile.name)
    return UNCONFIGURED


def profile_of(fields: ProfileFields, place: Place) -> model.Profile | None:
    """The profile with its preset filled in; None, with findings, where it cannot be one."""
    preset = None if fields.provider is UNSET else PRESETS[fields.provider]
    before = len(place.findings)
    encryption = _encryption(fields, preset, place)
    port = _port(fields, preset, place)
    host = _host(fields, preset, place)
    if encryption is not None:
        allowed = fields.allow_insecure_auth is True
        check_auth(fields.credentials, encryption, allowed, place)
    if host is None or port is None or encryption is None:
        return None
    if any(found.severity == "error" for found in place.findings[before:]):
        return None
    limits = fields.limits
    return model.Profile(
        host=host,
        port=port,
        encryption=encryption,
        display_name=_or_none(fields.display_name),
        provider=_or_none(fields.provider),
        secret=secret_of(fields.credentials),
        username=preset.username if preset else None,
        allow_insecure_auth=fields.allow_insecure_auth is True,
        connection_test=(
            ConnectionTest.REQUIRED if fields.connection_test is UNSET else fields.connection_test
        ),
        limits=(
            model.ProviderLimits()
            if limits is UNSET
            else model.ProviderLimits(_number(limits.per_second), _number(limits.per_day))
        ),
        sender_authorization=(
            SenderAuthorization.WARN
            if fields.sender_authorization is UNSET
            else fields.sender_authorization
        ),
        reassign_to=None if fields.on_delete is UNSET else route_of(fields.on_delete.reassign_to),
    )


def _host(fields: ProfileFields, preset: Preset | None, place: Place) -> str | None:
    if fields.host is not UNSET:
        return host_name(fields.host, place, credentials=fields.credentials is not UNSET)
    if preset is not None and preset.host is not None:
        return preset.host
    hint = preset.hint if preset else "Write the provider's SMTP host, or name a provider."
    _missing("host", hint, place)
    return None


def _port(fields: ProfileFields, preset: Preset | None, place: Place) -> int | None:
    port = fields.port
    if port is UNSET:
        desired = None if fields.encryption is UNSET else fields.encryption
        filled = preset.fill_port(desired) if preset else None
        if filled is None:
            hint = preset.hint if preset else "Usually 587 with starttls, 465 with tls."
            _missing("port", hint, place)
        return filled
    if port not in USUAL_PORTS:
        place.tell(
            "unusual-port",
            "port",
            f"{place.name('port')} is {port}, which SMTP providers do not use.",
            f"Usual are {', '.join(map(str, USUAL_PORTS))}; if {port} is meant, all is well.",
        )
    return port


def _encryption(fields: ProfileFields, preset: Preset | None, place: Place) -> Encryption | None:
    if fields.encryption is not UNSET:
        return fields.encryption
    if preset is not None:
        return preset.fill_encryption(None if fields.port is UNSET else fields.port)
    _missing("encryption", "Usually starttls on port 587, tls on port 465.", place)
    return None


def _missing(field: str, hint: str, place: Place) -> None:
    message = f"{place.name(field)} is missing, and no provider's preset fills it."
    place.tell("missing-field", "", message, hint)


def _or_none(value: str | UnsetType) -> str | None:
    return None if value is UNSET else value


def _number(value: int | UnsetType) -> int | None:
    return None if value is UNSET else value
