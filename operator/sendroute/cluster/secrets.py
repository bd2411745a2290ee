"""Secrets of the Kubernetes API: read one by one, by the names that profiles refer to.

They are never listed or watched, so the operator needs no more than ``get``. A value is kept for a
minute at most, and nothing of it is logged, shown or part of an exception.
"""

import base64
import binascii
from collections import OrderedDict
from collections.abc import Callable, Mapping
from threading import Lock
from time import monotonic
from types import MappingProxyType
from typing import NamedTuple

import msgspec
from msgspec import Struct

from sendroute.cluster.answers import decoder
from sendroute.cluster.api import NO_ANSWER, SHORT_TIMEOUT, ApiError, SendsRequests
from sendroute.credentials.rules import (
    ResolvedOnce,
    ResolvedSecret,
    credential_in,
    of_another_owner,
    problem,
    refusal_of,
)
from sendroute.credentials.variables import KEYS
from sendroute.model.secret import SecretProblem, SecretRef

KEPT = 60.0
"""Seconds for which a value is kept, and after which a changed secret is noticed."""

UNUSED = 86_400.0
"""Seconds after which a secret that no account asked for is no longer read."""

_AT_ONCE = 50
_SHARE = 10


class _SecretMetadata(Struct, rename="camel"):
    uid: str = ""
    resource_version: str = ""


class _Secret(Struct):
    metadata: _SecretMetadata
    data: dict[str, str] | None = None


_decode_secret = decoder(_Secret)


class _Content(NamedTuple):
    """``keys`` are the content of the keys that matter, ``names`` the names of all keys.
    ``version`` identifies this content."""

    keys: Mapping[str, bytes]
    names: frozenset[str]
    version: str

    def __repr__(self) -> str:
        return "_Content(<hidden>)"


class _CachedSecret(NamedTuple):
    """What was read of a secret, and when. ``read`` is None after the value was dropped."""

    version: str
    at: float
    used: float
    read: _Content | None = None


class SecretRead(NamedTuple):
    """What the API answered. ``version`` says whether the next answer differs; empty if this one
    says nothing of the secret. ``is_away``: there was no answer at all."""

    content: _Content | SecretProblem
    version: str
    is_away: bool = False


class ApiSecrets:
    """The secrets that profiles and the platform refer to. Any thread may use it.

    Args:
        api: the Kubernetes API.
        namespace: the operator's namespace, in which the platform's secrets are.
        clock: a monotonic clock, in seconds.
    """

    def __init__(
        self, api: SendsRequests, namespace: str, clock: Callable[[], float] = monotonic
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._clock = clock
        self._known: OrderedDict[SecretRef, _CachedSecret] = OrderedDict()  # the oldest first
        self._lock = Lock()

    def run(self) -> "SecretsOfRun":
        """Return the secrets of a new run, in which no secret changes."""
        return SecretsOfRun(self)

    def forget(self, namespace: str) -> None:
        """Read the secrets of a namespace again when they are needed next, because one of its
        profiles changed."""
        with self._lock:
            for ref, known in self._known.items():
                if ref.namespace == namespace:
                    self._known[ref] = known._replace(read=None)

    def changed(self) -> frozenset[SecretRef]:
        """Read secrets that were read a minute ago or earlier, only some at a time.

        Returns:
            Those whose content differs from what was read before, also those that were created or
            deleted. If the API does not answer, they are noticed by a later call.
        """
        changed = set()
        for ref, known in self._due():
            read = self._read(ref)
            if read.is_away:
                break
            version = read.version or known.version
            with self._lock:
                if (now := self._known.get(ref)) is not None and now.at == known.at:
                    self._known[ref] = _CachedSecret(version, self._clock(), now.used)
                    self._known.move_to_end(ref)
            if version != known.version:
                changed.add(ref)
        return frozenset(changed)

    def _due(self) -> list[tuple[SecretRef, _CachedSecret]]:
        now = self._clock()
        with self._lock:
            for ref, known in [*self._known.items()]:
                if now - known.used > UNUSED:
                    del self._known[ref]
                elif known.read is not None and now - known.at >= KEPT:
                    self._known[ref] = known._replace(read=None)
            limit = max(_AT_ONCE, len(self._known) // _SHARE)
            due = [(ref, known) for ref, known in self._known.items() if now - known.at >= KEPT]
        return due[:limit]

    def read(self, ref: SecretRef) -> SecretRead:
        """Read a secret, as it was at most a minute ago. A problem is never kept, so that a retry
        sees a secret that was created meanwhile.

        Args:
            ref: the secret.

        Returns:
            What the API answered: the content of the keys that are used, or the problem.
        """
        now = self._clock()
        with self._lock:
            known = self._known.get(ref)
            if known is not None:
                self._known[ref] = known._replace(used=now)
        if known is not None and known.read is not None and now - known.at < KEPT:
            return SecretRead(known.read, known.version)
        read = self._read(ref)
        with self._lock:
            content = read.content if isinstance(read.content, _Content) else None
            version = read.version or (known.version if known is not None else "")
            self._known[ref] = _CachedSecret(version, now, now, content)
            self._known.move_to_end(ref)
        return read

    def _read(self, ref: SecretRef) -> SecretRead:
        shown = self.shown(ref)
        path = f"/api/v1/namespaces/{shown.namespace}/secrets/{ref.name}"
        try:
            body = self._api.request("GET", path, timeout=SHORT_TIMEOUT)
        except ApiError as error:
            match error.status:
                case 404:
                    return SecretRead(_missing(shown), "missing")
                case 403:
                    return SecretRead(_forbidden(shown), "forbidden")
                case status:
                    return SecretRead(unreadable(shown, status), "", status == NO_ANSWER)
        content = _content_of(body)
        if content is None:
            return SecretRead(problem("secret-invalid", shown, "cannot be decoded"), "invalid")
        return SecretRead(content, content.version)

    def shown(self, ref: SecretRef) -> SecretRef:
        """Return where a secret really is.

        Args:
            ref: the secret, as manifests refer to it. Those of the platform are in the operator's
                namespace.
        """
        return SecretRef(self._namespace, ref.name) if ref.of_platform else ref

    def refusal(self, ref: SecretRef, host: str, port: int) -> SecretProblem | None:
        """Why a secret is not read at all: it belongs to another owner. No tenant reads a secret of
        the operator's namespace, in which the platform's are."""
        if not ref.of_platform and ref.namespace == self._namespace:
            return of_another_owner(ref, host, port)
        return refusal_of(ref, host, port)


class SecretsOfRun(ResolvedOnce):
    """The secrets of one run (:class:`~sendroute.reconcile.protocols.SecretResolver`). Each is read
    once, for all destinations."""

    given = True

    def __init__(self, secrets: ApiSecrets) -> None:
        super().__init__()
        self._secrets = secrets
        self._read: dict[SecretRef, SecretRead] = {}

    def __repr__(self) -> str:
        return "SecretsOfRun(<hidden>)"

    def _first_read(self, ref: SecretRef) -> SecretRead:
        """After one request without an answer, no other secret is asked for in this run."""
        if any(read.is_away for read in self._read.values()):
            return SecretRead(unreadable(self._secrets.shown(ref), NO_ANSWER), "", is_away=True)
        return self._secrets.read(ref)

    def _resolve(
        self, ref: SecretRef, host: str, port: int, username: str | None
    ) -> ResolvedSecret:
        if (refusal := self._secrets.refusal(ref, host, port)) is not None:
            return refusal
        if ref not in self._read:
            self._read[ref] = self._first_read(ref)
        content = self._read[ref].content
        if isinstance(content, SecretProblem):
            return content
        return credential_in(
            self._secrets.shown(ref),
            content.names,
            content.keys.__getitem__,
            host,
            port,
            username,
            key_missing="secret-key-missing",
        )


def _content_of(body: bytes) -> _Content | None:
    """Decode a Secret. None for one that cannot be decoded: the exception of a decoder may quote
    what it decodes, so none leaves this function."""
    try:
        secret = _decode_secret(body)
        data = secret.data or {}
        keys = {
            key: base64.b64decode(value, validate=True)
            for key, value in data.items()
            if key in KEYS
        }
    except (msgspec.DecodeError, binascii.Error, ValueError):
        return None
    metadata = secret.metadata
    version = f"{metadata.uid} {metadata.resource_version}"
    return _Content(MappingProxyType(keys), frozenset(data), version)


def _missing(ref: SecretRef) -> SecretProblem:
    return SecretProblem(
        "secret-missing",
        f"The Secret {ref.name} does not exist in namespace {ref.namespace}.",
        "Create it with the keys username and password. Sendroute looks for it again.",
    )


def _forbidden(ref: SecretRef) -> SecretProblem:
    return SecretProblem(
        "secret-forbidden",
        f"Sendroute may not read the Secret {ref.name} of namespace {ref.namespace}.",
        "Bind the role that lets Sendroute read secrets in that namespace.",
    )


def unreadable(ref: SecretRef, status: int) -> SecretProblem:
    """The problem that the API did not answer, or not with the secret. Only the profile waits for
    it: one Secret that the API server cannot decrypt stops no other account."""
    answer = f"answered {status}" if status else "did not answer"
    return SecretProblem(
        "secret-unreadable",
        f"The Kubernetes API {answer} when the Secret {ref.name} of namespace {ref.namespace} was"
        " read.",
        "Sendroute tries again.",
    )
