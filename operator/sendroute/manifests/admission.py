"""The rules of the API server beyond types and limits, in CEL (Common Expression Language).

Each states in CEL what compiling the documents of files checks, so that an object is refused when
it is applied. The rules are of CEL's core language, with RE2's regular expressions: any evaluator
of CEL reads them. What depends on another object is never refused, because objects arrive in any
order.

Not expressed: which internationalised names IDNA 2008 accepts, because CEL has no table of Unicode
characters, and the host bits of an IPv6 network. The operator reports those.
"""

from collections.abc import Iterable
from typing import NamedTuple

from msgspec import Struct

from sendroute.manifests import fields, shapes
from sendroute.manifests.fields import OneOfShape
from sendroute.model.profile import Encryption
from sendroute.model.providers import PROVIDERS


class AdmissionRule(NamedTuple):
    """A condition that a value must meet. ``path`` leads from the value to the field that a
    message is about, as ``.account``; empty for the value itself."""

    condition: str
    message: str
    path: str = ""


# --- names and addresses, as sendroute.manifests.names reads them -------------------------------

_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
# An internationalised name: a rough check of what IDNA maps to letters, digits and hyphens.
_DOT = r"[.\x{3002}\x{ff0e}\x{ff61}]"
_EDGE = r"[A-Za-z0-9\x{a0}-\x{3001}\x{3003}-\x{ff0d}\x{ff0f}-\x{ff60}\x{ff62}-\x{10ffff}]"
_INNER = _EDGE.replace("0-9", r"0-9\-", 1)
_U_LABEL = f"{_EDGE}(?:{_INNER}*{_EDGE})?"
NUMBER_AT_END = rf"(?:^|{_DOT})(?:[0-9]+|0[xX][0-9a-fA-F]*)$"

_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = rf"(?:{_OCTET}\.){{3}}{_OCTET}"
_GROUP = "[0-9a-fA-F]{1,4}"


def _ipv6() -> str:
    """RFC 3986, section 3.2.2: ``IPv6address``."""
    last = f"(?:{_GROUP}:{_GROUP}|{_IPV4})"
    forms = [f"(?:{_GROUP}:){{6}}{last}", f"::(?:{_GROUP}:){{5}}{last}"]
    before = [
        f"(?:{_GROUP})?",
        *(f"(?:(?:{_GROUP}:){{0,{most}}}{_GROUP})?" for most in range(1, 7)),
    ]
    after = [*(f"(?:{_GROUP}:){{{count}}}{last}" for count in (4, 3, 2, 1, 0)), _GROUP, ""]
    forms += [f"{left}::{right}" for left, right in zip(before, after, strict=True)]
    return f"(?:{'|'.join(forms)})"


_IPV6 = _ipv6()
ADDRESS = rf"^(?:{_IPV4}|\[{_IPV4}\]|{_IPV6}|\[{_IPV6}\])$"


def _matches(value: str, pattern: str) -> str:
    return f"{value}.matches(r'{pattern}')"


def name_patterns(labels: str) -> tuple[str, str]:
    """The patterns of a DNS name in ASCII, of at most 253 characters, and of any other; neither may
    match :data:`NUMBER_AT_END`.

    Args:
        labels: how many labels are before the last one: ``*`` or ``+``.
    """
    return (
        f"^(?:{_LABEL}\\.){labels}{_LABEL}$",
        f"^(?:{_U_LABEL}{_DOT}){labels}{_U_LABEL}$",
    )


def _name(value: str, labels: str) -> str:
    ascii_name, other_name = (_matches(value, pattern) for pattern in name_patterns(labels))
    is_ascii = _matches(value, r"^[\x00-\x7f]*$")
    return (
        f"({is_ascii} ? {ascii_name} && size({value}) <= 253 : {other_name})"
        f" && !{_matches(value, NUMBER_AT_END)}"
    )


def _is_address(value: str) -> str:
    return _matches(value, ADDRESS)


HOST = AdmissionRule(
    f"({_name('self', '*')}) || {_is_address('self')}",
    "must be a DNS name or an IP address, such as smtp.example.com",
)
HOST_NAME = AdmissionRule(_name("self", "*"), "must be a DNS name, such as mail.example.com")
DOMAIN = AdmissionRule(
    _name("self", "+"),
    "must be a full domain name without a dot at the end, such as shop.example.com",
)


# --- networks -----------------------------------------------------------------------------------


def _ipv4_networks() -> str:
    """IPv4 networks in CIDR form whose bits after the prefix are zero."""
    forms = [r"0\.0\.0\.0/0+"]
    for octet in range(4):
        for bits in range(1, 9):
            before, after = rf"(?:{_OCTET}\.){{{octet}}}", rf"(?:\.0){{{3 - octet}}}"
            forms.append(f"{before}{_multiple(2 ** (8 - bits))}{after}/0*{8 * octet + bits}")
    return "|".join(forms)


def _multiple(step: int) -> str:
    """The octets that are a multiple of a power of two."""
    match step:
        case 1:
            return _OCTET
        case 2:
            return "(?:25[024]|2[0-4][02468]|1?[0-9]?[02468])"
        case _:
            return f"(?:{'|'.join(map(str, range(0, 256, step)))})"


_IPV6_PREFIX = "0*(?:12[0-8]|1[01][0-9]|[1-9]?[0-9])"
CIDR = f"^(?:{_ipv4_networks()}|{_IPV6}/{_IPV6_PREFIX})$"
NETWORK = AdmissionRule(
    _matches("self", CIDR),
    "must be a network in CIDR form without host bits, such as 10.0.0.0/8",
)


# --- what the fields of one mapping must have in common -----------------------------------------


def _exactly_one(shape: type[OneOfShape]) -> AdmissionRule:
    names = shape.__struct_encode_fields__
    given = ", ".join(f"has(self.{name})" for name in names)
    return AdmissionRule(
        f"[{given}].filter(set, set).size() == 1",
        f"must have exactly one of {', '.join(names)}",
    )


def _unchanged(field: str) -> AdmissionRule:
    return AdmissionRule(
        f"self.{field} == oldSelf.{field}",
        f"{field} cannot be changed: delete the object and create it again",
        f".{field}",
    )


def _words(names: Iterable[str]) -> str:
    return f"[{', '.join(repr(name) for name in sorted(names))}]"


def _has_preset(names: Iterable[str]) -> str:
    return f"(has(self.provider) && self.provider in {_words(names)})"


def _encryption_is_known() -> str:
    """Whether the preset says how the declared port is encrypted."""
    by_ports: dict[tuple[int, ...], list[str]] = {}
    for name, provider in PROVIDERS.items():
        ports = tuple(sorted({*provider.starttls_ports, *provider.tls_ports}))
        by_ports.setdefault(ports, []).append(name)
    known = " || ".join(
        f"(self.provider in {_words(names)} && self.port in {list(ports)})"
        for ports, names in by_ports.items()
    )
    return f"(has(self.provider) && (!has(self.port) || {known}))"


def _names_with(encryption: Encryption) -> list[str]:
    return [name for name, item in PROVIDERS.items() if item.usual_port(encryption) is not None]


_NEEDS_NAME = AdmissionRule(
    f"!has(self.credentials) || !has(self.host) || !{_is_address('self.host')}",
    "must be a DNS name if there are credentials, because an IP address proves no name",
    ".host",
)
_NEEDS_ENCRYPTION = AdmissionRule(
    "!has(self.credentials) || !has(self.encryption) || self.encryption != 'none'"
    " || (has(self.allowInsecureAuth) && self.allowInsecureAuth)",
    "must be starttls or tls if there are credentials, unless allowInsecureAuth is true",
    ".encryption",
)
_PROFILE = (
    AdmissionRule(
        "has(self.host) || "
        + _has_preset(name for name, item in PROVIDERS.items() if item.host is not None),
        "host is required, because no preset supplies it",
        ".host",
    ),
    AdmissionRule(
        f"has(self.port) || (!has(self.encryption) || self.encryption != 'tls'"
        f" ? {_has_preset(_names_with(Encryption.STARTTLS))}"
        f" : {_has_preset(_names_with(Encryption.TLS))})",
        "port is required, because no preset supplies it",
        ".port",
    ),
    AdmissionRule(
        f"has(self.encryption) || {_encryption_is_known()}",
        "encryption is required, because no preset supplies it",
        ".encryption",
    ),
    _NEEDS_NAME,
    _NEEDS_ENCRYPTION,
)
SHAPE_RULES: dict[type[Struct], tuple[AdmissionRule, ...]] = {
    shapes.MailPlatform: (
        AdmissionRule(
            "self.metadata.name == 'default'",
            "the only MailPlatform is named default",
            ".metadata.name",
        ),
    ),
    shapes.PlatformSpec: (
        AdmissionRule(
            "has(self.managed) || !self.plans.exists(plan, plan.managed)",
            "a service plan with managed: true needs spec.managed",
            ".plans",
        ),
    ),
    shapes.RelayShape: (_NEEDS_NAME, _NEEDS_ENCRYPTION),
    fields.ProfileFields: _PROFILE,
    shapes.ProfileSpec: (_unchanged("account"),),
    shapes.DomainSpec: (
        _unchanged("account"),
        _unchanged("domain"),
        AdmissionRule(
            "!has(self.overrides) || has(self.route)",
            "overrides confirms a declared route, so route is required",
            ".overrides",
        ),
    ),
}
FIELD_RULES: dict[tuple[type[Struct], str], AdmissionRule] = {
    (shapes.DomainSpec, "domain"): DOMAIN,
    (shapes.PlatformSpec, "heloName"): HOST_NAME,
    (shapes.ManagedShape, "host"): HOST,
    (shapes.RelayShape, "host"): HOST,
    (fields.ProfileFields, "host"): HOST,
    (shapes.PlatformConnectionTest, "allowNetworks"): NETWORK,
}


def rules_of(shape: type[Struct]) -> list[AdmissionRule]:
    """Return the rules for a mapping of a shape."""
    rules = [rule for base in reversed(shape.__mro__) for rule in SHAPE_RULES.get(base, ())]
    return [_exactly_one(shape)] if issubclass(shape, OneOfShape) else rules


def rule_of(shape: type[Struct], field: str) -> AdmissionRule | None:
    """Return the rule for the value of a field, or for each item of a list; None for none."""
    candidates = (FIELD_RULES.get((base, field)) for base in shape.__mro__)
    return next((rule for rule in candidates if rule is not None), None)
