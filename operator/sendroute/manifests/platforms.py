"""Turn the declared platform into the model's platform."""

from collections.abc import Iterator

from msgspec import UNSET, UnsetType

from sendroute.manifests import shapes
from sendroute.manifests.names import InvalidNameError
from sendroute.manifests.names import host as parsed_host
from sendroute.manifests.profiles import (
    FindingCollector,
    check_auth,
    check_fit,
    host_name,
    secret_of,
)
from sendroute.manifests.wording import dotted, shown
from sendroute.model.codes import finding
from sendroute.model.finding import Finding, Where
from sendroute.model.platform import Managed, PlanLimits, Platform, PublicPort, Relay, ServicePlan
from sendroute.model.words import first_of

_LISTED = 5
_TITLE = "MailPlatform"


def platform_of(
    document: shapes.MailPlatform, where: Where, findings: list[Finding]
) -> Platform | None:
    """Return the platform, its plans sorted by name; None, with findings, if it has errors."""
    before = len(findings)
    spec = document.spec
    if document.metadata.name != "default":
        findings.append(
            finding(
                "invalid-value",
                f"The MailPlatform must be named default, not {shown(document.metadata.name)}.",
                hint="There is exactly one. Write metadata: {name: default}.",
                where=where.at("metadata", "name"),
            )
        )
    managed = None if spec.managed is UNSET else _managed(spec.managed, where, findings)
    plans = _plans(spec, where, findings)
    networks, ca_file, timeout = _connection_test(spec, where, findings)
    helo_name = _helo_name(spec, where, findings)
    bounces = _bounces(spec, where, findings)
    if any(item.severity == "error" for item in findings[before:]):
        return None
    return Platform(managed, plans, networks, ca_file, helo_name, timeout, bounces)


def _helo_name(spec: shapes.PlatformSpec, where: Where, findings: list[Finding]) -> str | UnsetType:
    """The name for EHLO (RFC 5321, section 2.3.5): a DNS name, never an address."""
    if spec.helo_name is UNSET:
        return UNSET
    try:
        parsed = parsed_host(spec.helo_name)
        if not parsed.is_address:
            return parsed.name
        message, hint = "must be a DNS name", "Write the name of the host that sends."
    except InvalidNameError as error:
        message, hint = error.message, error.hint
    here = where.at("spec", "heloName")
    findings.append(
        finding(
            "invalid-value",
            f"{_TITLE}: spec.heloName {message}; the value is {shown(spec.helo_name)}.",
            hint=hint,
            where=here,
        )
    )
    return UNSET


def _bounces(spec: shapes.PlatformSpec, where: Where, findings: list[Finding]) -> Relay | UnsetType:
    if spec.bounces is UNSET:
        return UNSET
    relay = _relay(spec.bounces.relay, where.at("spec", "bounces", "relay"), findings)
    return UNSET if relay is None else relay


def _relay(shape: shapes.RelayShape, where: Where, findings: list[Finding]) -> Relay | None:
    reporter = FindingCollector(_TITLE, where, None, findings)
    host = host_name(shape.host, reporter, credentials=shape.credentials is not UNSET)
    allowed = shape.allow_insecure_auth is True
    check_auth(shape.credentials, shape.encryption, allowed, reporter)
    check_fit(shape.port, shape.encryption, None, reporter)
    if host is None:
        return None
    return Relay(host, shape.port, shape.encryption, secret_of(shape.credentials), allowed)


def _managed(shape: shapes.ManagedShape, where: Where, findings: list[Finding]) -> Managed | None:
    reporter = FindingCollector(_TITLE, where.at("spec", "managed"), None, findings)
    shown_host = host_name(shape.host, reporter, credentials=False)
    relay = _relay(shape.relay, where.at("spec", "managed", "relay"), findings)
    for index, public in enumerate(shape.ports):
        here = where.at("spec", "managed", "ports", index)
        check_fit(
            public.port, public.encryption, None, FindingCollector(_TITLE, here, None, findings)
        )
    if shown_host is None or relay is None:
        return None
    return Managed(
        display_name=None if shape.display_name is UNSET else shape.display_name,
        host=shown_host,
        ports=tuple(PublicPort(port.port, port.encryption) for port in shape.ports),
        relay=relay,
        spf=None if shape.spf is UNSET else shape.spf,
    )


def _plans(
    spec: shapes.PlatformSpec, where: Where, findings: list[Finding]
) -> tuple[ServicePlan, ...]:
    first_positions: dict[str, Where] = {}
    plans: list[ServicePlan] = []
    for index, shape in enumerate(spec.plans):
        here = where.at("spec", "plans", index, "name")
        first = first_positions.setdefault(shape.name, here)
        if first is not here:
            findings.append(
                finding(
                    "invalid-value",
                    f"Service plan {shape.name} of the MailPlatform is defined twice.",
                    hint="Rename or remove one of the two.",
                    where=here,
                    related=(first,),
                )
            )
        if shape.managed and spec.managed is UNSET:
            findings.append(
                _without_managed(shape.name, where.at("spec", "plans", index, "managed"))
            )
        plans.append(ServicePlan(shape.name, shape.managed, _limits(shape)))
    findings += _not_enforced(spec, where)
    return tuple(sorted(plans, key=lambda plan: plan.name))


def _not_enforced(spec: shapes.PlatformSpec, where: Where) -> Iterator[Finding]:
    """Report once that limits of service plans have no effect yet."""
    limited = [index for index, shape in enumerate(spec.plans) if shape.limits is not UNSET]
    if limited:
        names = first_of([spec.plans[index].name for index in limited], _LISTED)
        plural = "s" if len(limited) > 1 else ""
        yield finding(
            "not-enforced",
            f"The limits of service plan{plural} {names} are recorded, and not enforced yet.",
            hint="Limit what clients send on the relay or at the provider.",
            where=where.at("spec", "plans", limited[0], "limits"),
        )


def _without_managed(name: str, where: Where) -> Finding:
    return finding(
        "invalid-value",
        f"Service plan {name} cannot include managed sending, because the MailPlatform has no"
        " spec.managed.",
        hint="Describe the managed relay in spec.managed, or set managed: false.",
        where=where,
    )


def _limits(shape: shapes.PlanShape) -> PlanLimits:
    limits = shape.limits
    if limits is UNSET:
        return PlanLimits()
    return PlanLimits(
        None if limits.account_per_day is UNSET else limits.account_per_day,
        None if limits.mailbox_per_day is UNSET else limits.mailbox_per_day,
    )


def _connection_test(
    spec: shapes.PlatformSpec, where: Where, findings: list[Finding]
) -> tuple[tuple[str, ...], str | None, int | UnsetType]:
    test = spec.connection_test
    if test is UNSET:
        return (), None, UNSET
    networks: set[str] = set()
    for index, text in enumerate(() if test.allow_networks is UNSET else test.allow_networks):
        here = where.at("spec", "connectionTest", "allowNetworks", index)
        network = _network(text, here, findings)
        if network is not None:
            networks.add(network)
    return (
        tuple(sorted(networks)),
        None if test.ca_file is UNSET else test.ca_file,
        UNSET if test.timeout is UNSET else int(test.timeout.removesuffix("s")),
    )


def _network(text: str, where: Where, findings: list[Finding]) -> str | None:
    import ipaddress

    hint = "For example: 10.0.0.0/8."
    try:
        network = ipaddress.ip_network(text, strict=False)
        address, _, prefix = text.partition("/")
        if prefix.isdecimal() and ipaddress.ip_address(address) == network.network_address:
            return str(network)
        hint = f"Write {network}."
    except ValueError:
        pass  # not a network at all: the example is the hint
    findings.append(
        finding(
            "invalid-value",
            f"{_TITLE}: {dotted(where.path)} must be a network in CIDR form without host bits, not "
            f"{shown(text)}.",
            hint=hint,
            where=where,
        )
    )
    return None
