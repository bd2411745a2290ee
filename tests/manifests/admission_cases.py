"""Documents that are accepted or refused by themselves, by files and by an API server alike.

One list drives the reader of files, the structural schemas and a real API server. If they
differ, the case says so and why.
"""

from enum import Enum
from typing import Any, NamedTuple

INT64_MAX = 2**63 - 1


class Refused(Enum):
    """What refuses an object when it is applied to a cluster."""

    BY_SCHEMA = "types and limits of the structural schema"
    BY_RULE = "a rule in CEL"
    BY_POLICY = "a policy of the chart"
    IF_STRICT = "strict validation, which kubectl asks for"


class Case(NamedTuple):
    """``admission`` is None if the API server accepts the document; ``why_not`` says why it decides
    otherwise than the reader of files."""

    name: str
    document: dict[str, Any]
    admission: Refused | None = None
    why_not: str | None = None

    @property
    def refused_in_files(self) -> bool:
        return (self.admission is not None) != (self.why_not is not None)


def document(kind: str, spec: Any, **metadata: Any) -> dict[str, Any]:
    identity: dict[str, Any] = (
        {"name": "default"} if kind == "MailPlatform" else {"name": "a", "namespace": "acme"}
    )
    return {
        "apiVersion": "sendroute.dev/v1alpha1",
        "kind": kind,
        "metadata": identity | metadata,
        "spec": spec,
    }


RELAY = {"host": "relay.example", "port": 587, "encryption": "starttls"}
MANAGED = {
    "host": "smtp.example",
    "ports": [{"port": 587, "encryption": "starttls"}],
    "relay": RELAY,
}
SECRET = {"secretRef": {"name": "s"}}
PLAN = {"name": "pro", "managed": False}


def platform(**spec: Any) -> dict[str, Any]:
    return document("MailPlatform", {"plans": [PLAN]} | spec)


def relay(**changes: Any) -> dict[str, Any]:
    return platform(bounces={"relay": RELAY | changes})


def managed(**changes: Any) -> dict[str, Any]:
    return platform(managed=MANAGED | changes)


def networks(*items: Any) -> dict[str, Any]:
    return platform(connectionTest={"allowNetworks": list(items)})


def account(**spec: Any) -> dict[str, Any]:
    return document("MailAccount", {"plan": "pro"} | spec)


def profile(**spec: Any) -> dict[str, Any]:
    return document("SMTPProfile", {"account": "acme"} | RELAY | spec)


def bare_profile(**spec: Any) -> dict[str, Any]:
    return document("SMTPProfile", {"account": "acme"} | spec)


def domain(**spec: Any) -> dict[str, Any]:
    return document("SendingDomain", {"account": "acme", "domain": "shop.example.com"} | spec)


def route(**fields: Any) -> dict[str, Any]:
    return domain(route=fields)


def inline(**fields: Any) -> dict[str, Any]:
    return route(newProfile={"name": "ses"} | RELAY | fields)


def without(value: dict[str, Any], *path: str) -> dict[str, Any]:
    head, *rest = path
    if rest:
        return value | {head: without(value[head], *rest)}
    return {key: item for key, item in value.items() if key != head}


_NULL = "Kubernetes drops the null of a field, as if the field were absent"
_NAMES = "CEL has no table of Unicode characters, so the operator reports the name"
_FRACTION = "the API server reads no number with a fraction as whole; kubectl writes it as 587"
_METADATA = "labels and annotations are the API server's own, and files ignore them"

SCHEMA, RULE, POLICY, STRICT = (
    Refused.BY_SCHEMA,
    Refused.BY_RULE,
    Refused.BY_POLICY,
    Refused.IF_STRICT,
)

ACCEPTED: list[tuple[str, dict[str, Any]]] = [
    ("the smallest platform", document("MailPlatform", {"plans": []})),
    (
        "a platform with every field",
        platform(
            managed=MANAGED
            | {
                "displayName": "TrekMail SMTP",
                "relay": RELAY | {"credentials": SECRET, "allowInsecureAuth": False},
                "spf": "include:spf.example",
            },
            heloName="mail.example",
            bounces={"relay": {"host": "10.0.0.1", "port": 25, "encryption": "none"}},
            connectionTest={
                "allowNetworks": ["10.0.0.0/8", "fd00::/8"],
                "caFile": "/etc/ssl/ca.pem",
                "timeout": "300s",
            },
            plans=[
                {"name": "nano", "managed": False},
                {
                    "name": "pro",
                    "managed": True,
                    "limits": {"accountPerDay": 1, "mailboxPerDay": INT64_MAX},
                },
            ],
            suspend=True,
        ),
    ),
    ("the smallest account", account()),
    (
        "an account with every field",
        account(
            defaultRoute={"profile": "ses"},
            applyToAll={"id": "Any text", "route": {"managed": {}}, "confirm": {"domains": 0}},
            submission={"logins": ["acme-app", "acme-app", "a@b"]},
            suspend=False,
        ),
    ),
    ("an account to remove", account(remove={"confirm": {"domains": 12}})),
    ("the smallest profile", bare_profile(provider="mailgun")),
    (
        "a profile with every field",
        profile(
            displayName="Amazon SES, Ireland",
            provider="ses",
            credentials=SECRET,
            allowInsecureAuth=False,
            connectionTest="skip",
            limits={"perSecond": 14, "perDay": 50000},
            senderAuthorization="block",
            onDelete={"reassignTo": {"unconfigured": {}}},
            suspend=True,
        ),
    ),
    ("a profile with an empty onDelete and limits", profile(onDelete={}, limits={})),
    ("the smallest domain", domain()),
    ("a domain on managed", route(managed={})),
    ("a domain on a profile", route(profile="ses")),
    ("a domain that must not send", route(unconfigured={})),
    ("a domain with a new profile", inline(credentials=SECRET, suspend=True)),
    ("a domain that overrides", domain(route={"managed": {}}, overrides="2026-11")),
    ("a port of 1", profile(port=1)),
    ("a port of 65535", profile(port=65535)),
    ("a display name of 80 characters outside ASCII", profile(displayName="ü" * 80)),
    ("a limit of the largest number", profile(limits={"perDay": INT64_MAX})),
    ("a domain in capitals", domain(domain="Shop.Example.COM")),
    ("a domain of 253 characters", domain(domain=".".join(["x" * 63] * 3 + ["y" * 61]))),
    ("an internationalised domain", domain(domain="bücher.example")),
    ("an internationalised domain with other dots", domain(domain="bücher。example")),
    ("an A-label", domain(domain="xn--bcher-kva.example")),
    ("a domain with hyphens in third and fourth place", domain(domain="ab--cd.example")),
    ("a domain of digits and letters", domain(domain="1and1.1x")),
    ("a relay by its address", profile(host="192.0.2.1")),
    ("a relay by its IPv6 address", profile(host="2001:db8::1")),
    ("a relay by an address in brackets", profile(host="[2001:db8::1]")),
    ("a relay by an IPv4 address in brackets", profile(host="[192.0.2.1]")),
    ("a relay by a mapped address", profile(host="::ffff:192.0.2.1")),
    ("a host of one label", profile(host="relay")),
    ("an internationalised host", profile(host="smtp.bücher.example")),
    ("a managed host by its address", managed(host="192.0.2.1")),
    ("networks of any prefix", networks("0.0.0.0/0", "192.0.2.1/32", "10.128.0.0/9", "::/0")),
    ("a prefix with a leading zero", networks("10.0.0.0/08")),
    ("insecure auth that is allowed", profile(
        encryption="none", port=25, credentials=SECRET, allowInsecureAuth=True
    )),
    ("no encryption without credentials", profile(encryption="none", port=25)),
    ("a preset without a port", bare_profile(provider="google", encryption="starttls")),
    ("a preset with its TLS port", bare_profile(provider="ses", host="h.example", port=465)),
    ("a preset on another port", bare_profile(
        provider="mailgun", port=9999, encryption="starttls"
    )),
    ("a Secret's name with dots", profile(credentials={"secretRef": {"name": "a.b-c"}})),
    ("labels, annotations and a status", profile() | {
        "metadata": {"name": "a", "namespace": "acme", "labels": {"a": "b"},
                     "annotations": {"sendroute.dev/accept": "unusual-port"}},
        "status": {"observedGeneration": 1},
    }),
    ("a name of 63 characters", document("MailAccount", {"plan": "pro"}, name="a" * 63)),
    ("100 logins", account(submission={"logins": [f"app-{number}" for number in range(100)]})),
]  # fmt: skip

REFUSED: list[tuple[str, dict[str, Any], Refused]] = [
    # The object itself.
    ("no spec", without(account(), "spec"), SCHEMA),
    ("a spec that is a list", document("MailAccount", []), SCHEMA),
    ("a name of 64 characters", document("MailAccount", {"plan": "pro"}, name="a" * 64), SCHEMA),
    ("a name with a dot", document("MailAccount", {"plan": "pro"}, name="a.b"), SCHEMA),
    ("a name in capitals", document("MailAccount", {"plan": "pro"}, name="Acme"), SCHEMA),
    ("a platform of another name",
     document("MailPlatform", {"plans": []}, name="other"), RULE),
    ("an account in the platform's namespace",
     document("MailAccount", {"plan": "pro"}, namespace="sendroute-system"), POLICY),
    ("a profile in the platform's namespace",
     document("SMTPProfile", {"account": "a"} | RELAY, namespace="sendroute-system"), POLICY),
    ("a domain in the platform's namespace",
     document("SendingDomain", {"account": "a", "domain": "b.example"},
              namespace="sendroute-system"), POLICY),
    # Unknown fields.
    ("an unknown field of the document", account() | {"spce": {}}, STRICT),
    ("an unknown field of the metadata",
     document("MailAccount", {"plan": "pro"}, namesapce="x"), STRICT),
    ("an unknown field of the spec", account(plna="pro"), STRICT),
    ("an unknown field inside a list",
     platform(plans=[PLAN | {"price": 5}]), STRICT),
    ("an unknown field in a route", domain(route={"managed": {"fast": True}}), STRICT),
    ("a password beside the reference",
     profile(credentials=SECRET | {"password": "x"}), STRICT),
    # Types.
    ("a text for a port", profile(port="587"), SCHEMA),
    ("a fraction for a port", profile(port=587.5), SCHEMA),
    ("a number for a host", profile(host=5), SCHEMA),
    ("a text for a truth value", profile(suspend="true"), SCHEMA),
    ("a text for a route", domain(route="managed"), SCHEMA),
    ("a text for a list", account(submission={"logins": "acme-app"}), SCHEMA),
    ("true for managed", domain(route={"managed": True}), SCHEMA),
    ("a list for a mapping", profile(limits=[]), SCHEMA),
    ("an unknown encryption", profile(encryption="ssl"), SCHEMA),
    ("an unknown provider", bare_profile(provider="gmail"), SCHEMA),
    ("an unknown connection test", profile(connectionTest="never"), SCHEMA),
    ("an unknown sender authorization", profile(senderAuthorization="strict"), SCHEMA),
    # Limits.
    ("a port of 0", profile(port=0), SCHEMA),
    ("a port of 65536", profile(port=65536), SCHEMA),
    ("a public port of 0",
     managed(ports=[{"port": 0, "encryption": "tls"}]), SCHEMA),
    ("a limit of 0", profile(limits={"perSecond": 0}), SCHEMA),
    ("a negative count", account(remove={"confirm": {"domains": -1}}), SCHEMA),
    ("a limit beyond the largest number", profile(limits={"perDay": INT64_MAX + 1}), SCHEMA),
    ("an empty account", domain(account=""), SCHEMA),
    ("an account in capitals", domain(account="Acme"), SCHEMA),
    ("an account with a dot", domain(account="a.b"), SCHEMA),
    ("a plan with a space", account(plan="my plan"), SCHEMA),
    ("a profile's name of 64 characters", route(profile="a" * 64), SCHEMA),
    ("a display name of 81 characters", profile(displayName="x" * 81), SCHEMA),
    ("an empty display name", profile(displayName=""), SCHEMA),
    ("a display name on two lines", profile(displayName="a\nb"), SCHEMA),
    ("a display name that ends its line", profile(displayName="a\n"), SCHEMA),
    ("a display name that reorders text", profile(displayName="a\u202eb"), SCHEMA),
    ("a display name with a line separator", profile(displayName="a\u2028b"), SCHEMA),
    ("a Secret's name with a slash",
     profile(credentials={"secretRef": {"name": "other/secret"}}), SCHEMA),
    ("an apply-all id of 64 characters",
     account(applyToAll={"id": "x" * 64, "route": {"managed": {}}}), SCHEMA),
    ("an empty overrides", domain(route={"managed": {}}, overrides=""), SCHEMA),
    ("no logins", account(submission={"logins": []}), SCHEMA),
    ("101 logins",
     account(submission={"logins": [f"app-{number}" for number in range(101)]}), SCHEMA),
    ("a login with a comma", account(submission={"logins": ["a,b"]}), SCHEMA),
    ("a login with a space", account(submission={"logins": ["a b"]}), SCHEMA),
    ("a timeout of 301 seconds", platform(connectionTest={"timeout": "301s"}), SCHEMA),
    ("a timeout of minutes", platform(connectionTest={"timeout": "5m"}), SCHEMA),
    ("no public ports", managed(ports=[]), SCHEMA),
    ("too many public ports", managed(ports=MANAGED["ports"] * 21), SCHEMA),
    ("too many plans", platform(
        plans=[{"name": f"p{number}", "managed": False} for number in range(501)]
    ), SCHEMA),
    ("too many networks", networks(*["10.0.0.0/8"] * 201), SCHEMA),
    # What is required.
    ("no plan", document("MailAccount", {}), SCHEMA),
    ("no account", document("SendingDomain", {"domain": "a.example"}), SCHEMA),
    ("no domain", document("SendingDomain", {"account": "acme"}), SCHEMA),
    ("no plans", document("MailPlatform", {}), SCHEMA),
    ("a plan that does not say managed", platform(plans=[{"name": "pro"}]), SCHEMA),
    ("a managed relay without a host", managed(relay=without(RELAY, "host")), SCHEMA),
    ("credentials without a reference", profile(credentials={}), SCHEMA),
    ("a reference without a name", profile(credentials={"secretRef": {}}), SCHEMA),
    ("an apply-all without a route", account(applyToAll={"id": "x"}), SCHEMA),
    ("an apply-all without an id", account(applyToAll={"route": {"managed": {}}}), SCHEMA),
    ("a confirmation without a number",
     account(applyToAll={"id": "x", "route": {"managed": {}}, "confirm": {}}), SCHEMA),
    ("a removal without a confirmation", account(remove={}), SCHEMA),
    ("a new profile without a name", route(newProfile=RELAY), SCHEMA),
    # Exactly one.
    ("an empty route", domain(route={}), SCHEMA),
    ("a route of two", route(managed={}, profile="ses"), RULE),
    ("a default of two", account(defaultRoute={"managed": {}, "unconfigured": {}}), RULE),
    ("an empty default", account(defaultRoute={}), SCHEMA),
    ("a default with a new profile", account(defaultRoute={"newProfile": {"name": "a"}}), SCHEMA),
    ("an apply-all to two",
     account(applyToAll={"id": "x", "route": {"managed": {}, "profile": "ses"}}), RULE),
    ("a reassignTo of two",
     profile(onDelete={"reassignTo": {"managed": {}, "profile": "ses"}}), RULE),
    # Names.
    ("a domain of one label", domain(domain="example"), RULE),
    ("a domain with a dot at the end", domain(domain="example.com."), RULE),
    ("a domain with another dot at the end", domain(domain="bücher.example。"), RULE),
    ("a domain with a dot at the start", domain(domain=".example.com"), RULE),
    ("a domain with an empty label", domain(domain="a..example"), RULE),
    ("a domain with an underscore", domain(domain="a_b.example"), RULE),
    ("a domain with a space", domain(domain="a b.example"), RULE),
    ("a domain with a port", domain(domain="a.example:25"), RULE),
    ("a domain with a wildcard", domain(domain="*.example.com"), RULE),
    ("a mail address for a domain", domain(domain="a@example.com"), RULE),
    ("a URL for a domain", domain(domain="https://example.com/"), RULE),
    ("an address for a domain", domain(domain="192.0.2.1"), RULE),
    ("an IPv6 address for a domain", domain(domain="[2001:db8::1]"), RULE),
    ("a domain that ends in a number", domain(domain="example.123"), RULE),
    ("a domain that ends in a hexadecimal number", domain(domain="example.0X1f"), RULE),
    ("a label with a hyphen at its end", domain(domain="a-.example"), RULE),
    ("an internationalised label with a hyphen at its start",
     domain(domain="-bücher.example"), RULE),
    ("an internationalised domain with an underscore", domain(domain="bü_cher.example"), RULE),
    ("a label of 64 characters", domain(domain=f"{'x' * 64}.example"), RULE),
    ("a domain of 254 characters",
     domain(domain=".".join(["x" * 63] * 3 + ["y" * 62])), RULE),
    ("a domain of more than 1024 characters", domain(domain="a." * 600 + "example"), SCHEMA),
    ("a host with a dot at the end", profile(host="smtp.example."), RULE),
    ("a host with a port", profile(host="smtp.example:587"), RULE),
    ("an address with a leading zero", profile(host="192.0.02.1"), RULE),
    ("an address of three numbers", profile(host="192.0.2"), RULE),
    ("an IPv6 address with a zone", profile(host="fe80::1%eth0"), RULE),
    ("an IPv6 address of nine groups", profile(host="1:2:3:4:5:6:7:8:9"), RULE),
    ("an IPv6 address with two gaps", profile(host="1::2::3"), RULE),
    ("a host of a new profile with a slash", inline(host="smtp.example/x"), RULE),
    ("a managed host with a space", managed(host="smtp example"), RULE),
    ("a relay's host with an underscore", relay(host="mail_relay.example"), RULE),
    ("an address as the EHLO name", platform(heloName="192.0.2.1"), RULE),
    ("an EHLO name with a dot at the end", platform(heloName="mail.example."), RULE),
    # Networks.
    ("a network without a prefix", networks("10.0.0.0"), RULE),
    ("a network with host bits", networks("10.0.0.1/8"), RULE),
    ("a network with host bits within an octet", networks("10.0.1.0/23"), RULE),
    ("a network with a mask", networks("10.0.0.0/255.0.0.0"), RULE),
    ("a network with a prefix of 33", networks("10.0.0.0/33"), RULE),
    ("an IPv6 network with a prefix of 129", networks("fd00::/129"), RULE),
    ("a word for a network", networks("everywhere"), RULE),
    # What several fields must have in common.
    ("two plans of one name", platform(plans=[PLAN, PLAN]), SCHEMA),
    ("a managed plan without the managed relay",
     platform(plans=[{"name": "pro", "managed": True}]), RULE),
    ("credentials for an address", profile(host="192.0.2.1", credentials=SECRET), RULE),
    ("credentials for an IPv6 address",
     profile(host="[2001:db8::1]", credentials=SECRET), RULE),
    ("a relay's credentials for an address",
     relay(host="192.0.2.1", credentials=SECRET), RULE),
    ("credentials without encryption",
     profile(encryption="none", port=25, credentials=SECRET), RULE),
    ("a relay's credentials without encryption",
     relay(encryption="none", port=25, credentials=SECRET), RULE),
    ("insecure auth that is not allowed", profile(
        encryption="none", port=25, credentials=SECRET, allowInsecureAuth=False
    ), RULE),
    ("no host and no preset", without(profile(), "spec", "host"), RULE),
    ("no port and no preset", without(profile(), "spec", "port"), RULE),
    ("no encryption and no preset", without(profile(), "spec", "encryption"), RULE),
    ("no host, and a preset that has none", bare_profile(provider="ses"), RULE),
    ("TLS, and a preset without a TLS port",
     bare_profile(provider="postmark", encryption="tls"), RULE),
    ("a port that the preset says nothing about",
     bare_profile(provider="mailgun", port=9999), RULE),
    ("a port that the preset has without TLS only",
     bare_profile(provider="google", port=465), RULE),
    ("a new profile without a host", without(inline(), "spec", "route", "newProfile", "host"),
     RULE),
    ("overrides without a route", domain(overrides="2026-11"), RULE),
]  # fmt: skip

DIFFERENT: list[tuple[str, dict[str, Any], Refused | None, str]] = [
    ("a null for an optional field", profile(displayName=None), None, _NULL),
    ("a null beside the route", route(profile="ses", managed=None), None, _NULL),
    ("an A-label that is none", domain(domain="xn--a.example"), None, _NAMES),
    ("a character outside IDNA", domain(domain="☃.example"), None, _NAMES),
    ("an internationalised label of more than 63 characters",
     domain(domain=f"{'ü' * 60}.example"), None, _NAMES),
    ("an IPv6 network with host bits", networks("fd00::1/8"), None,
     "a pattern cannot tell the bits of a shortened address, so the operator reports it"),
    ("a whole number with a fraction of zero", profile(port=587.0), SCHEMA, _FRACTION),
    ("a label that is no text", account() | {
        "metadata": {"name": "a", "namespace": "acme", "labels": {"a": 5}}
    }, SCHEMA, _METADATA),
    ("an annotation that is no text", account() | {
        "metadata": {"name": "a", "namespace": "acme", "annotations": {"a": True}}
    }, SCHEMA, _METADATA),
]  # fmt: skip

CASES = [
    *(Case(name, value) for name, value in ACCEPTED),
    *(Case(name, value, refused) for name, value, refused in REFUSED),
    *(Case(name, value, refused, reason) for name, value, refused, reason in DIFFERENT),
]
