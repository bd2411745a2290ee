"""The parts that several kinds share: scalars with their limits, routes, profiles, metadata."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, structs

from sendroute.model.profile import ConnectionTest, Encryption, SenderAuthorization
from sendroute.model.stored_values import (
    LINE,
    LONGEST_TEST,
    StoredApplyAllId,
    StoredCount,
    StoredDisplayName,
    StoredFilePath,
    StoredLabel,
    StoredLimit,
    StoredLogin,
    StoredNetwork,
    StoredPort,
    StoredSecretName,
    StoredSpfTerm,
)


def _is(words: str) -> Meta:
    """``words`` completes a message that begins with "must be"."""
    return Meta(extra={"is": words})


def _line(form: Any) -> Meta:
    """The words for a line of text. ``form`` is the type of what is stored."""
    most = form.__metadata__[0].max_length
    return _is(f"one line of 1 to {most} characters without control characters")


Label = Annotated[
    StoredLabel,
    _is(
        "a name of 1 to 63 lower-case letters, digits and hyphens, with a letter or digit at both "
        "ends"
    ),
]
SecretName = Annotated[
    StoredSecretName, _is("a Secret's name: lower-case letters, digits, hyphens and dots")
]
# sendroute.manifests.names checks names of hosts and domains, and says more; so this is wide.
HostName = Annotated[
    str, Meta(min_length=1, max_length=1024, pattern=LINE, extra={"is": "a DNS name"})
]
DisplayName = Annotated[StoredDisplayName, _line(StoredDisplayName)]
Login = Annotated[
    StoredLogin,
    _is("a login name of 1 to 255 visible ASCII characters without spaces and commas"),
]
ApplyAllId = Annotated[StoredApplyAllId, _line(StoredApplyAllId)]
SpfTerm = Annotated[StoredSpfTerm, _line(StoredSpfTerm)]
NetworkText = Annotated[StoredNetwork, _line(StoredNetwork)]
Seconds = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=4,
        pattern=rf"^([1-9]|[1-9][0-9]|[12][0-9][0-9]|{LONGEST_TEST})s\Z",
        extra={"is": f"a number of seconds from 1s to {LONGEST_TEST}s"},
    ),
]
FilePath = Annotated[StoredFilePath, _line(StoredFilePath)]
Port = StoredPort
Limit = StoredLimit
Count = StoredCount
# The keys of sendroute.model.providers.PROVIDERS; a test compares them.
ProviderName = Literal[
    "ses",
    "sendgrid",
    "mailgun",
    "postmark",
    "microsoft365",
    "google",
    "brevo",
    "mailjet",
    "sparkpost",
    "resend",
    "smtp2go",
    "zeptomail",
    "scaleway",
    "oci",
    "fastmail",
]


def says(description: str, *examples: Any) -> Meta:
    """Describe a field to the author of a manifest, with examples."""
    return Meta(description=description, examples=list(examples) or None)


def says_route(description: str, *examples: Any) -> Meta:
    """Describe a route, of which exactly one field is set."""
    exactly_one = {"minProperties": 1, "maxProperties": 1}
    return Meta(description=description, examples=list(examples), extra_json_schema=exactly_one)


class Shape(
    Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """The base of all shapes: immutable, no unknown fields, camelCase. Shapes hold no cycles, so
    they need no garbage collection."""


# --- routes -------------------------------------------------------------------------------------


class Empty(Shape, frozen=True, kw_only=True):
    """An empty mapping: `{}`."""


class OneOfShape(Shape, frozen=True, kw_only=True):
    """A mapping of which exactly one field is set."""

    def __post_init__(self) -> None:
        if structs.astuple(self).count(UNSET) != len(self.__struct_fields__) - 1:
            raise ValueError(f"Expected exactly one of {', '.join(self.__struct_encode_fields__)}")


ManagedRoute = Annotated[
    Empty,
    says("Send through the platform's managed relay, if the account's service plan includes it."),
]
ProfileRoute = Annotated[
    Label,
    says("Send through the SMTP profile with this name, in the same account.", "ses"),
]
UnconfiguredRoute = Annotated[Empty, says("Send nothing: mail of this domain is refused.")]


class RouteShape(OneOfShape, frozen=True, kw_only=True):
    """Where mail is sent: exactly one of `managed`, `profile` and `unconfigured`."""

    managed: ManagedRoute | UnsetType = UNSET
    profile: ProfileRoute | UnsetType = UNSET
    unconfigured: UnconfiguredRoute | UnsetType = UNSET


# --- profiles -----------------------------------------------------------------------------------


class SecretRefShape(Shape, frozen=True, kw_only=True):
    """A reference to a secret by its name."""

    name: Annotated[
        SecretName,
        says(
            "The secret's name. It is looked up in the namespace of the object that "
            "refers to it, and has the keys username and password.",
            "ses-smtp",
        ),
    ]


class Credentials(Shape, frozen=True, kw_only=True):
    """A reference to the username and password, which are never written in a manifest."""

    secret_ref: Annotated[
        SecretRefShape,
        says("The secret with the keys username and password.", {"name": "ses-smtp"}),
    ]


class ProviderLimitsShape(Shape, frozen=True, kw_only=True):
    """The sending limits that the provider grants."""

    per_second: Annotated[Limit | UnsetType, says("Messages per second.", 14)] = UNSET
    per_day: Annotated[Limit | UnsetType, says("Messages per day.", 50000)] = UNSET


class OnDelete(Shape, frozen=True, kw_only=True):
    """What happens to a profile's domains when the profile is removed."""

    reassign_to: Annotated[
        RouteShape | UnsetType,
        says_route(
            "The route that the domains get. Default: managed if the service plan includes it, "
            "otherwise unconfigured.",
            {"managed": {}},
        ),
    ] = UNSET


class ProfileFields(Shape, frozen=True, kw_only=True):
    """The fields of a profile, whether in its own document or declared inline."""

    display_name: Annotated[
        DisplayName | UnsetType,
        says("The name that users see, at most 80 characters.", "Amazon SES, Ireland"),
    ] = UNSET
    provider: Annotated[
        ProviderName | UnsetType,
        says(
            "A preset. It fills in what the provider documents of host, port, encryption and user "
            "name, if they are absent, and knows the provider's ports and its SPF term.",
            "ses",
        ),
    ] = UNSET
    host: Annotated[
        HostName | UnsetType,
        says(
            "The provider's SMTP host, a DNS name. An IP address is accepted only for a relay "
            "without credentials. Required unless the preset has one.",
            "email-smtp.eu-west-1.amazonaws.com",
        ),
    ] = UNSET
    port: Annotated[
        Port | UnsetType,
        says(
            "The provider's SMTP port, usually 587 with starttls or 465 with tls. Required "
            "unless a preset is set.",
            587,
        ),
    ] = UNSET
    encryption: Annotated[
        Encryption | UnsetType,
        says(
            "starttls: the connection must upgrade to TLS. tls: TLS from the first byte. none: no "
            "encryption. There is no opportunistic mode. Required unless a preset is set.",
            "starttls",
        ),
    ] = UNSET
    credentials: Annotated[
        Credentials | UnsetType,
        says(
            "The secret with the username and password. Leave it out for a relay that "
            "recognises its clients by their address.",
            {"secretRef": {"name": "ses-smtp"}},
        ),
    ] = UNSET
    allow_insecure_auth: Annotated[
        bool | UnsetType,
        says(
            "Allow credentials with encryption none. Anyone on the network path can read them. "
            "Default: false."
        ),
    ] = UNSET
    connection_test: Annotated[
        ConnectionTest | UnsetType,
        says(
            "Whether a new or changed profile is tested before it is saved. required: a profile "
            "that fails is not saved. warn: it is saved, with a warning. skip: no test. "
            "Default: required.",
            "required",
        ),
    ] = UNSET
    limits: Annotated[
        ProviderLimitsShape | UnsetType,
        says("The sending limits that the provider grants.", {"perSecond": 14, "perDay": 50000}),
    ] = UNSET
    sender_authorization: Annotated[
        SenderAuthorization | UnsetType,
        says(
            "Whether this provider must be authorised by the sending domain's SPF or DKIM. off: "
            "no check. warn: a warning if it is not. block: it must be. Default: warn.",
            "warn",
        ),
    ] = UNSET
    on_delete: Annotated[
        OnDelete | UnsetType,
        says(
            "What happens to the profile's domains when it is removed.",
            {"reassignTo": {"managed": {}}},
        ),
    ] = UNSET
    suspend: Annotated[
        bool | UnsetType,
        says("Keep the profile as the store has it, and ignore this declaration. Default: false."),
    ] = UNSET


class NewProfile(ProfileFields, frozen=True, kw_only=True):
    """A profile declared inline: saved for the whole account, as from its own document."""

    name: Annotated[
        Label,
        says("The profile's name, unique in its account: a lower-case RFC 1123 label.", "mailgun"),
    ]


class DomainRouteShape(OneOfShape, frozen=True, kw_only=True):
    """A domain's route: exactly one of `managed`, `profile`, `newProfile` and `unconfigured`."""

    managed: ManagedRoute | UnsetType = UNSET
    profile: ProfileRoute | UnsetType = UNSET
    new_profile: Annotated[
        NewProfile | UnsetType,
        says(
            "Save this profile for the whole account and send the domain's mail through "
            "it, in one step.",
            {
                "name": "mailgun",
                "provider": "mailgun",
                "credentials": {"secretRef": {"name": "mailgun-smtp"}},
            },
        ),
    ] = UNSET
    unconfigured: UnconfiguredRoute | UnsetType = UNSET


# --- metadata -----------------------------------------------------------------------------------

_Ignored = Annotated[Any, says("Accepted and ignored.")]
_Name = Annotated[
    Label,
    says("The object's name: a lower-case RFC 1123 label.", "shop-example-com"),
]


class ClusterMetadata(Shape, frozen=True, kw_only=True):
    """Metadata of an object without a namespace.

    The fields are those of Kubernetes' ObjectMeta. What tools and servers add is accepted; a
    misspelt `namespace` is an error, and never another tenant.
    """

    name: _Name
    labels: _Ignored = UNSET
    annotations: Annotated[
        Any,
        says(
            "Accepted and ignored, except sendroute.dev/accept: codes of findings below error,"
            " separated by commas, that are not reported about this object."
        ),
    ] = UNSET
    generate_name: _Ignored = UNSET
    uid: _Ignored = UNSET
    resource_version: _Ignored = UNSET
    generation: _Ignored = UNSET
    creation_timestamp: _Ignored = UNSET
    deletion_timestamp: _Ignored = UNSET
    deletion_grace_period_seconds: _Ignored = UNSET
    self_link: _Ignored = UNSET
    finalizers: _Ignored = UNSET
    owner_references: _Ignored = UNSET
    managed_fields: _Ignored = UNSET


class Metadata(ClusterMetadata, frozen=True, kw_only=True):
    """Metadata of an object in a namespace."""

    namespace: Annotated[
        Label | UnsetType,
        says("The tenant's namespace. No reference ever crosses it. Default: default.", "acme"),
    ] = UNSET
