"""The parts that kinds share: scalars with their limits, routes, profiles, metadata."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, structs

from sendroute.model.profile import ConnectionTest, Encryption, SenderAuthorization

INT64_MAX = 2**63 - 1

# A line of text as a person may be shown it: no control characters (Unicode category Cc), no line
# separators, none that reorder what is displayed (UAX #9), no lone surrogates (not text in UTF-8).
_LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]*\Z"
_LABEL = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z"  # RFC 1123, as Kubernetes reads it
_SUBDOMAIN = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*\Z"


def _text(most: int, pattern: str, words: str) -> Meta:
    """Text that is not empty; ``words`` is how a message goes on after "must be"."""
    return Meta(min_length=1, max_length=most, pattern=pattern, extra={"is": words})


def _line(most: int) -> Meta:
    return _text(most, _LINE, f"one line of 1 to {most} characters without control characters")


Label = Annotated[
    str,
    _text(
        63,
        _LABEL,
        "a name of 1 to 63 lower-case letters, digits and hyphens that begins and ends with a "
        "letter or digit",
    ),
]
SecretName = Annotated[
    str, _text(253, _SUBDOMAIN, "a Secret's name: lower-case letters, digits, hyphens and dots")
]
# Names of hosts and domains have their own sentences (sendroute.manifests.names), so this is wide.
HostName = Annotated[str, _text(1024, _LINE, "a DNS name")]
DisplayName = Annotated[str, _line(80)]
ApplyAllId = Annotated[str, _line(63)]
SpfTerm = Annotated[str, _line(255)]
Network = Annotated[str, _line(64)]
FilePath = Annotated[str, _line(4096)]
Port = Annotated[int, Meta(ge=1, le=65535)]
Limit = Annotated[int, Meta(ge=1, le=INT64_MAX)]
Count = Annotated[int, Meta(ge=0, le=INT64_MAX)]
Provider = Literal["ses", "sendgrid", "mailgun", "postmark", "microsoft365", "google"]


def says(description: str, *examples: Any) -> Meta:
    """What a field means, told to the author of a manifest, with examples."""
    return Meta(description=description, examples=list(examples) or None)


def says_route(description: str, *examples: Any) -> Meta:
    """The same of a route, of which exactly one field is set."""
    one = {"minProperties": 1, "maxProperties": 1}
    return Meta(description=description, examples=list(examples), extra_json_schema=one)


class Shape(
    Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """The ground of all shapes: immutable, closed, camelCase. They hold no cycles: no gc."""


# --- routes -------------------------------------------------------------------------------------


class Empty(Shape, frozen=True, kw_only=True):
    """An empty mapping: `{}`."""


class OneOf(Shape, frozen=True, kw_only=True):
    """A mapping of which exactly one field is set."""

    def __post_init__(self) -> None:
        if structs.astuple(self).count(UNSET) != len(self.__struct_fields__) - 1:
            raise ValueError(f"Expected exactly one of {', '.join(self.__struct_encode_fields__)}")


ManagedRoute = Annotated[
    Empty,
    says("Through the platform's managed relay, where the account's plan has it."),
]
ProfileRoute = Annotated[
    Label,
    says("Through the SMTP profile of this name, of the same account.", "ses"),
]
NoRoute = Annotated[Empty, says("Through nothing: the domain must not send.")]


class Route(OneOf, frozen=True, kw_only=True):
    """What mail is sent through: exactly one of `managed`, `profile` and `unconfigured`."""

    managed: ManagedRoute | UnsetType = UNSET
    profile: ProfileRoute | UnsetType = UNSET
    unconfigured: NoRoute | UnsetType = UNSET


# --- profiles -----------------------------------------------------------------------------------


class SecretRef(Shape, frozen=True, kw_only=True):
    """A secret by its name."""

    name: Annotated[
        SecretName,
        says(
            "The Secret's name. It is looked up in the namespace of the object that "
            "names it, and holds the keys username and password.",
            "ses-smtp",
        ),
    ]


class Credentials(Shape, frozen=True, kw_only=True):
    """Where the user name and the password are found. They are named here, never written."""

    secret_ref: Annotated[
        SecretRef,
        says("The secret that holds the keys username and password.", {"name": "ses-smtp"}),
    ]


class ProviderLimits(Shape, frozen=True, kw_only=True):
    """What the provider grants."""

    per_second: Annotated[Limit | UnsetType, says("Messages a second.", 14)] = UNSET
    per_day: Annotated[Limit | UnsetType, says("Messages a day.", 50000)] = UNSET


class OnDelete(Shape, frozen=True, kw_only=True):
    """What becomes of a profile's domains when the profile is deleted."""

    reassign_to: Annotated[
        Route | UnsetType,
        says_route(
            "The route that the domains get. Absent: managed where the plan offers it, else "
            "unconfigured.",
            {"managed": {}},
        ),
    ] = UNSET


class ProfileFields(Shape, frozen=True, kw_only=True):
    """What a profile holds, in its own document or in line."""

    display_name: Annotated[
        DisplayName | UnsetType,
        says("The name that people are shown, at most 80 characters.", "Amazon SES, Ireland"),
    ] = UNSET
    provider: Annotated[
        Provider | UnsetType,
        says(
            "A preset: fills what is absent of host, port and encryption, and knows "
            "the provider's SPF term.",
            "ses",
        ),
    ] = UNSET
    host: Annotated[
        HostName | UnsetType,
        says(
            "The provider's SMTP host: a DNS name. An address only for a relay "
            "without credentials.",
            "email-smtp.eu-west-1.amazonaws.com",
        ),
    ] = UNSET
    port: Annotated[
        Port | UnsetType,
        says("The provider's SMTP port; usually 587 with starttls, 465 with tls.", 587),
    ] = UNSET
    encryption: Annotated[
        Encryption | UnsetType,
        says(
            "starttls: the connection must upgrade to TLS. tls: TLS from the first byte. none: in "
            "clear. There is no 'if offered'.",
            "starttls",
        ),
    ] = UNSET
    credentials: Annotated[
        Credentials | UnsetType,
        says(
            "Where the user name and the password are found. Absent: a relay that "
            "knows its clients by address.",
            {"secretRef": {"name": "ses-smtp"}},
        ),
    ] = UNSET
    allow_insecure_auth: Annotated[
        bool | UnsetType,
        says("Allows credentials with encryption none: whoever is on the way can read them."),
    ] = UNSET
    connection_test: Annotated[
        ConnectionTest | UnsetType,
        says(
            "A new or changed profile is tested before it is saved. required (the "
            "default): one that fails is not saved. warn: saved and reported. skip: not tested.",
            "required",
        ),
    ] = UNSET
    limits: Annotated[
        ProviderLimits | UnsetType,
        says("What the provider grants.", {"perSecond": 14, "perDay": 50000}),
    ] = UNSET
    sender_authorization: Annotated[
        SenderAuthorization | UnsetType,
        says(
            "Is this provider authorised by the sending domain's SPF or DKIM? off: "
            "not asked. warn (the default): told. block: required.",
            "warn",
        ),
    ] = UNSET
    on_delete: Annotated[
        OnDelete | UnsetType,
        says(
            "What becomes of the profile's domains when it is deleted.",
            {"reassignTo": {"managed": {}}},
        ),
    ] = UNSET
    suspend: Annotated[
        bool | UnsetType,
        says("The profile is left as the store holds it until this is lifted."),
    ] = UNSET


class NewProfile(ProfileFields, frozen=True, kw_only=True):
    """A profile declared in line: saved for the whole account, as its own document would be."""

    name: Annotated[
        Label,
        says("The profile's name, one in its account: a lower-case RFC 1123 label.", "mailgun"),
    ]


class DomainRoute(OneOf, frozen=True, kw_only=True):
    """A domain's route: exactly one of `managed`, `profile`, `newProfile` and `unconfigured`."""

    managed: ManagedRoute | UnsetType = UNSET
    profile: ProfileRoute | UnsetType = UNSET
    new_profile: Annotated[
        NewProfile | UnsetType,
        says(
            "Saves this profile for the whole account and sends the domain through "
            "it, in one step.",
            {
                "name": "mailgun",
                "provider": "mailgun",
                "credentials": {"secretRef": {"name": "mailgun-smtp"}},
            },
        ),
    ] = UNSET
    unconfigured: NoRoute | UnsetType = UNSET


# --- metadata -----------------------------------------------------------------------------------

_Ignored = Annotated[Any, says("Accepted and ignored.")]
_Name = Annotated[
    Label,
    says("The object's name: a lower-case RFC 1123 label.", "shop-example-com"),
]


class ClusterMetadata(Shape, frozen=True, kw_only=True):
    """Metadata of an object that belongs to no namespace.

    The fields are those of Kubernetes' ObjectMeta: what tools and servers add is accepted, and a
    misspelt `namespace` is still an error, never another tenant.
    """

    name: _Name
    labels: _Ignored = UNSET
    annotations: _Ignored = UNSET
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
    """Metadata of an object of one namespace."""

    namespace: Annotated[
        Label | UnsetType,
        says("The tenant's namespace: nothing ever refers across it. Absent: default.", "acme"),
    ] = UNSET
