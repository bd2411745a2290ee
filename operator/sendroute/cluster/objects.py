"""Objects of the Kubernetes API in the form in which the operator keeps them: what they declare,
the metadata that it needs, and their status. Everything else is dropped, managed fields above all.
"""

import zlib
from collections.abc import Mapping
from datetime import datetime
from sys import intern
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType, field
from msgspec.structs import replace

from sendroute.cluster.answers import decoder
from sendroute.manifests import acceptance, shapes
from sendroute.manifests.headers import account_of, account_of_document, domain_of, profiles_of
from sendroute.manifests.problems import problems
from sendroute.model.account_status import AccountStatus
from sendroute.model.codes import finding
from sendroute.model.current import CurrentAccount
from sendroute.model.desired import AccountKey, DesiredAccount
from sendroute.model.finding import Finding, Where
from sendroute.model.internal_error import internal_error, is_internal
from sendroute.model.outcome import AccountOutcome, Outcome
from sendroute.model.owner import Owner
from sendroute.model.platform import Platform

PLURALS = {
    "MailPlatform": "mailplatforms",
    "MailAccount": "mailaccounts",
    "SMTPProfile": "smtpprofiles",
    "SendingDomain": "sendingdomains",
}
"""The kinds, and their names in the paths of the API."""

PLATFORM_KIND = "MailPlatform"
"""The only kind without a namespace."""

APPROVE = acceptance.APPROVE
"""The annotation that approves a change that is held back. Its value is the digest of the change;
on the MailPlatform several, with commas between them."""

_OURS = f"{shapes.API_GROUP}/"
_UNKNOWN_ANNOTATIONS = 10


# What nearly every status contains: with it, a status takes an eighth of its size.
_COMMON = (
    b'{"conditions":[{"lastTransitionTime":"2026-","message":"","observedGeneration":1,"reason":"",'
    b'"status":"True","type":"Accepted"},{"type":"ResolvedRefs"},{"type":"Applied"},{"type":"Ready"'
    b'}],"observedGeneration":1,"origin":"declared","route":{"profile":""},"routeText":"profile ",'
    b'"since":"2026-"}'
)


def packed(status: bytes) -> bytes:
    """Compress a status as JSON: a hundred thousand of them are held."""
    compressor = zlib.compressobj(1, zdict=_COMMON)
    return compressor.compress(status) + compressor.flush()


def unpacked(status: bytes) -> bytes:
    """A status as JSON, whether it was packed or not; empty for none."""
    if not status or status.startswith(b"{"):
        return status
    return zlib.decompressobj(zdict=_COMMON).decompress(status)


class ObjectKey(NamedTuple):
    """``namespace`` is empty for an object without one."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return "/".join(filter(None, self))


class ClusterObject(Struct, frozen=True):
    """An object as it was seen last.

    ``annotations`` are those of Sendroute's group, cut short. ``document`` is the object as a
    manifest, None if it is invalid; then ``findings`` say why, ``owner`` is the account that it
    would belong to (None if that cannot be read), and ``profiles`` are the names of those that it
    would define, and ``domain`` is the sending domain that it declares.
    ``held_status`` is the status as it is held, compressed or not; others read ``status_json``.
    """

    key: ObjectKey
    uid: str
    generation: int
    resource_version: str
    created: datetime | None
    document: shapes.Document | None
    annotations: Mapping[str, str] = MappingProxyType({})
    findings: tuple[Finding, ...] = ()
    owner: AccountKey | None = None
    profiles: frozenset[str | None] = frozenset()
    domain: str | None = None
    held_status: bytes = b""

    @property
    def status(self) -> dict[str, Any] | None:
        """The status; None if there is none yet. It is decoded at each use, because a hundred
        thousand decoded ones would not fit."""
        data = self.status_json
        status = _decode_value(data) if data else None
        return status if isinstance(status, dict) else None

    @property
    def status_json(self) -> bytes:
        """The status as JSON; empty if there is none yet."""
        return unpacked(self.held_status)

    @property
    def account(self) -> AccountKey | None:
        """The account that the object belongs to; None for a MailPlatform, or if the account cannot
        be read."""
        return self.owner if self.document is None else account_of_document(self.document)

    @property
    def where(self) -> Where:
        """The object as the position of a finding."""
        return Where(str(self.key), 0)


class _ObjectMetadata(Struct, rename="camel"):
    name: str
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: datetime | None = None
    annotations: dict[str, str] | None = None


class ListedObject(Struct):
    """An object in an answer of the API. ``spec`` and ``status`` are decoded later."""

    metadata: _ObjectMetadata
    spec: Raw | UnsetType = UNSET
    status: Raw | UnsetType = UNSET


class _ListMetadata(Struct, rename="camel"):
    resource_version: str = ""
    continue_: str = field(default="", name="continue")


class ListPage(Struct):
    """One page of a list."""

    metadata: _ListMetadata
    items: list[ListedObject]


decode_page = decoder(ListPage)
decode_item = decoder(ListedObject)
_decode_value = decoder(object)


def object_of(kind: str, item: ListedObject) -> ClusterObject:
    """Convert an object of the API. It is read exactly as a document of a file.

    Args:
        kind: its kind.
        item: the object as it was answered.

    Returns:
        The object; one that is invalid has findings instead of a document.
    """
    metadata = item.metadata
    key = ObjectKey(kind, intern(metadata.namespace), metadata.name)
    annotations = _kept_annotations(metadata.annotations or {})
    try:
        read = read_document(key, annotations, item.spec)
    except Exception as error:
        if not is_internal(error):
            raise
        read = _failed(key, error)
    return ClusterObject(
        key,
        metadata.uid,
        metadata.generation,
        metadata.resource_version,
        metadata.creation_timestamp,
        read.document,
        annotations or MappingProxyType({}),
        read.findings,
        read.owner,
        read.profiles,
        read.domain,
        b"" if isinstance(item.status, UnsetType) else packed(bytes(item.status)),
    )


def _failed(key: ObjectKey, error: Exception) -> "ReadDocument":
    """An object that a bug keeps from being read: its account is unknown, so nothing of its
    namespace is applied."""
    item = internal_error(f"{key.kind} {key.name}", error, Where(str(key), 0))
    return ReadDocument(None, (replace(item, namespace=key.namespace or None),))


def _kept_annotations(annotations: Mapping[str, str]) -> dict[str, str]:
    """The annotations of Sendroute's group. An object may have a quarter of a megabyte of them, so
    only some names that are none of ours are kept for a warning, and as much of a value as shows
    that it is too long."""
    ours = {name: value for name, value in annotations.items() if name.startswith(_OURS)}
    unknown = sorted(ours.keys() - {acceptance.ANNOTATION, APPROVE})
    for name in unknown[_UNKNOWN_ANNOTATIONS:]:
        del ours[name]
    return {name: value[: acceptance.LONGEST + 1] for name, value in ours.items()}


class ReadDocument(NamedTuple):
    """What an object declares, or why it is invalid; as in :class:`ClusterObject`."""

    document: shapes.Document | None
    findings: tuple[Finding, ...] = ()
    owner: AccountKey | None = None
    profiles: frozenset[str | None] = frozenset()
    domain: str | None = None


def read_document(
    key: ObjectKey, annotations: Mapping[str, str], spec: Raw | UnsetType
) -> ReadDocument:
    """Read an object as the document that a file would hold."""
    metadata: dict[str, Any] = {"name": key.name}
    if key.namespace:
        metadata["namespace"] = key.namespace
    if annotations:
        metadata["annotations"] = dict(annotations)
    value: dict[str, Any] = {
        "apiVersion": shapes.API_VERSION,
        "kind": key.kind,
        "metadata": metadata,
    }
    if not isinstance(spec, UnsetType):
        value["spec"] = _shared(_decode_value(spec))
    try:
        return ReadDocument(shapes.decode(value))
    except msgspec.ValidationError:
        account, where = account_of(value), Where(str(key), 0)
        items = [
            finding(
                problem.code,
                problem.message,
                hint=problem.hint,
                where=where.at(*problem.path, of_key=problem.of_key),
                account=account,
            )
            for problem in problems(key.kind, value)
        ]
        if account is None and key.namespace:  # it is about no account, and of one tenant
            items = [replace(item, namespace=key.namespace) for item in items]
        findings = tuple(items)
        profiles = frozenset(profiles_of(value))
        return ReadDocument(None, findings, account, profiles, domain_of(value))


def _shared(spec: Any) -> Any:
    """The same, with one copy of the account's name for all objects of the account."""
    if isinstance(spec, dict) and isinstance(account := spec.get("account"), str):
        spec["account"] = intern(account)
    return spec


class Reconciled(Struct, frozen=True):
    """An account after it was reconciled, or why it waits.

    ``objects`` are all objects of the account, also invalid ones; ``desired`` is what they declare,
    None without a valid MailAccount. ``findings`` are all of the account, and those of none that
    stop it. ``outcome`` is None if nothing was attempted. ``status`` is what the account leaves
    open, None if it is fully applied. ``current`` is what the store holds afterwards, and ``since``
    says since when each of its domains has its route. ``waiting`` says why the account is not
    reconciled yet, None if it was. ``lineage`` is the store's, empty while that is unknown.
    ``tested`` are the names of the profiles whose connection test passed just now.
    """

    key: AccountKey
    objects: tuple[ClusterObject, ...]
    desired: DesiredAccount | None
    findings: tuple[Finding, ...]
    outcome: AccountOutcome | None
    status: AccountStatus | None
    current: CurrentAccount | None
    platform: Platform | None
    since: Mapping[str, datetime] = MappingProxyType({})
    lineage: str = ""
    waiting: str | None = None
    tested: frozenset[str] = frozenset()


class ReconciledPlatform(Struct, frozen=True):
    """The platform after it was reconciled, and everything that is held back.

    ``object`` is the MailPlatform, None if there is none. ``statuses`` are those of the platform
    and of all accounts. The other fields are as in :class:`Reconciled`.
    """

    object: ClusterObject | None
    findings: tuple[Finding, ...]
    outcome: Outcome | None
    statuses: Mapping[Owner, AccountStatus]
    current: Platform | None
    desired: Platform | None
    lineage: str = ""
    waiting: str | None = None
