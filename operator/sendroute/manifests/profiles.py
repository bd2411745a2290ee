"""Turn a declared profile into the model's profile: presets filled in, names normalised."""

from msgspec import UNSET, Struct, UnsetType

from sendroute.manifests.fields import Credentials, DomainRouteShape, ProfileFields, RouteShape
from sendroute.manifests.names import InvalidNameError, host
from sendroute.manifests.wording import dotted, shown
from sendroute.model import profile as model
from sendroute.model.codes import finding
from sendroute.model.desired import AccountKey
from sendroute.model.finding import Finding, Severity, Where
from sendroute.model.profile import ConnectionTest, Encryption, SenderAuthorization
from sendroute.model.providers import PROVIDERS, Provider, speaks_tls_at_once
from sendroute.model.route import MANAGED, UNCONFIGURED, Route, via

USUAL_PORTS = (25, 465, 587, 2525, 2587)


class FindingCollector(Struct, frozen=True):
    """Adds findings about one mapping of a document, and its account, to a list. ``title`` is the
    object as messages name it: ``SMTPProfile ses``; ``domain`` is the sending domain, if it is the
    document of one."""

    title: str
    where: Where
    account: AccountKey | None
    findings: list[Finding]
    domain: str | None = None

    def report(
        self,
        code: str,
        field: str,
        message: str,
        hint: str,
        *,
        severity: Severity | None = None,
    ) -> None:
        """Add a finding.

        Args:
            code: the code of the finding.
            field: the field of the mapping that the finding is about; empty for the mapping itself.
            message: what is wrong, as one sentence.
            hint: what to do about it.
            severity: None for the usual severity of the code.
        """
        path = (*self.where.path, field) if field else self.where.path
        where = self.where.at(*path)
        self.findings.append(
            finding(
                code,
                message,
                hint=hint,
                where=where,
                account=self.account,
                severity=severity,
                domain=self.domain,
            )
        )

    def name(self, field: str) -> str:
        """Return the object and the path of a field as authors write it: ``SendingDomain mail:
        spec.route.newProfile.host``."""
        return f"{self.title}: {dotted((*self.where.path, field))}"


def route_of(route: RouteShape | DomainRouteShape | UnsetType) -> Route | None:
    """Convert a route to its value in the model.

    Args:
        route: the route as the manifest has it. A new profile is a route to that profile.

    Returns:
        The declared route, one object for equal routes; None if none is declared.
    """
    if route is UNSET:
        return None
    if route.profile is not UNSET:
        return via(route.profile)
    if route.managed is not UNSET:
        return MANAGED
    if isinstance(route, DomainRouteShape) and route.new_profile is not UNSET:
        return via(route.new_profile.name)
    return UNCONFIGURED


def profile_of(fields: ProfileFields, reporter: FindingCollector) -> model.Profile | None:
    """Return the profile with its preset filled in; None, with findings, if it has errors."""
    preset = None if fields.provider is UNSET else PROVIDERS[fields.provider]
    before = len(reporter.findings)
    encryption = _encryption(fields, preset, reporter)
    port = _port(fields, preset, reporter)
    host = _host(fields, preset, reporter)
    if port is not None and encryption is not None:
        check_fit(port, encryption, _or_none(fields.provider), reporter)
    if encryption is not None:
        allowed = fields.allow_insecure_auth is True
        check_auth(fields.credentials, encryption, allowed, reporter)
    if host is None or port is None or encryption is None:
        return None
    if any(item.severity == "error" for item in reporter.findings[before:]):
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


def _host(fields: ProfileFields, preset: Provider | None, reporter: FindingCollector) -> str | None:
    if fields.host is not UNSET:
        return host_name(fields.host, reporter, credentials=fields.credentials is not UNSET)
    if preset is not None and preset.host is not None:
        return preset.host
    hint = preset.hint if preset else "Set host to the provider's SMTP host, or set provider."
    _missing("host", hint, reporter)
    return None


def _port(fields: ProfileFields, preset: Provider | None, reporter: FindingCollector) -> int | None:
    port = fields.port
    if port is UNSET:
        desired = None if fields.encryption is UNSET else fields.encryption
        filled = preset.usual_port(desired) if preset else None
        if filled is None:
            hint = _documented(preset) if preset else "Usually 587 with starttls, 465 with tls."
            _missing("port", hint, reporter)
        return filled
    usual = preset.ports if preset else USUAL_PORTS
    if port not in usual:
        listed = ", ".join(map(str, usual))
        name = reporter.name("port")
        reporter.report(
            "unusual-port",
            "port",
            f"{name} is {port}, and {fields.provider} documents the ports {listed}."
            if preset
            else f"{name} is {port}, and usual ports for SMTP submission are {listed}.",
            f"Ignore the warning if {port} is right.",
        )
    return port


def _encryption(
    fields: ProfileFields, preset: Provider | None, reporter: FindingCollector
) -> Encryption | None:
    if fields.encryption is not UNSET:
        return fields.encryption
    if preset is not None:
        known = Encryption.STARTTLS if fields.port is UNSET else preset.encryption_on(fields.port)
        if known is not None:
            return known
    hint = _documented(preset) if preset else "Usually starttls on port 587, tls on port 465."
    _missing("encryption", hint, reporter)
    return None


def _documented(preset: Provider) -> str:
    """Which encryption the provider documents on which ports."""
    sides = (("starttls", preset.starttls_ports), ("tls", preset.tls_ports))
    listed = "; ".join(f"{name} on {', '.join(map(str, ports))}" for name, ports in sides if ports)
    return f"The provider documents {listed}."


def _missing(field: str, hint: str, reporter: FindingCollector) -> None:
    message = f"{reporter.name(field)} is missing, and no preset supplies it."
    reporter.report("missing-field", "", message, hint)


def _or_none(value: str | UnsetType) -> str | None:
    return None if value is UNSET else value


def _number(value: int | UnsetType) -> int | None:
    return None if value is UNSET else value


# --- the rules for every host that receives our mail, a profile's or the platform's ------------


def host_name(text: str, reporter: FindingCollector, *, credentials: bool) -> str | None:
    """Return the host as it is compared; None, with a finding, if it is invalid."""
    try:
        parsed = host(text)
    except InvalidNameError as error:
        message = f"{reporter.name('host')} {error.message}; the value is {shown(text)}."
        reporter.report("invalid-value", "host", message, error.hint)
        return None
    if parsed.is_address and credentials:
        reporter.report(
            "credentials-need-hostname",
            "host",
            f"{reporter.name('host')} is the IP address {text}, but credentials are sent only to a"
            " host that can prove its name.",
            "Write the host's DNS name, or remove the credentials if the host recognises its "
            "clients by their address.",
        )
        return None
    return parsed.name


def check_fit(
    port: int, encryption: Encryption, provider: str | None, reporter: FindingCollector
) -> None:
    """Report a port and an encryption that do not belong together, as far as the provider or the
    standards say so."""
    known = PROVIDERS.get(provider) if provider is not None else None
    at_once = speaks_tls_at_once(provider, port)
    documented = known is not None and port in known.ports
    of_provider = f"of {provider} " if documented else ""
    if known is not None and port in known.ports_without_tls:
        if encryption is Encryption.NONE:
            return
        fact, fit = f"{provider} documents port {port} for use without TLS only", known.hint
    elif at_once and encryption is not Encryption.TLS:
        fact = f"port {port} {of_provider}is for TLS from the first byte"
        fit = f"Set encryption: tls{_other_port(known, Encryption.STARTTLS)}."
    elif at_once is False and encryption is Encryption.TLS:
        fact = f"port {port} {of_provider}is for STARTTLS"
        fit = f"Set encryption: starttls{_other_port(known, Encryption.TLS)}."
    else:
        return
    reporter.report(
        "encryption-mismatch",
        "encryption",
        f"{reporter.name('encryption')} is {encryption}, but {fact}.",
        fit,
    )


def _other_port(known: Provider | None, encryption: Encryption) -> str:
    standard = 465 if encryption is Encryption.TLS else 587
    port = known.usual_port(encryption) if known is not None else standard
    return f", or use port {port} with {encryption}" if port is not None else ""


def check_auth(
    credentials: Credentials | UnsetType,
    encryption: Encryption,
    allowed: bool,
    reporter: FindingCollector,
) -> None:
    """Report credentials without encryption: an error, or a warning if they are allowed."""
    if credentials is UNSET or encryption is not Encryption.NONE:
        return
    if allowed:
        reporter.report(
            "insecure-auth",
            "allowInsecureAuth",
            f"{reporter.title} sends its credentials without encryption, readable on the network"
            " path.",
            "Use encryption starttls or tls if the host supports it.",
            severity=Severity.WARNING,
        )
        return
    reporter.report(
        "insecure-auth",
        "encryption",
        f"{reporter.name('encryption')} is none, so the credentials would be sent without "
        "encryption.",
        "Use starttls or tls, or accept the risk with allowInsecureAuth: true.",
    )


def secret_of(credentials: Credentials | UnsetType) -> str | None:
    return None if credentials is UNSET else credentials.secret_ref.name
