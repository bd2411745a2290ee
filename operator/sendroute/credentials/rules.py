"""The rules for the content of a secret, whatever it is read from: a directory, variables or the
Kubernetes API. The binding is checked before the credential is read.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection

from msgspec.structs import replace

from sendroute.credentials.binding import allows
from sendroute.credentials.content import (
    InvalidSecretError,
    SecretNotFoundError,
    credential_of,
    password_of,
    text_of,
    username_of,
)
from sendroute.credentials.variables import ALLOWED_HOSTS, PASSWORD, USERNAME
from sendroute.model.credential import Credential
from sendroute.model.secret import PLATFORM_NAMESPACE, SecretProblem, SecretRef
from sendroute.model.spelling import distance
from sendroute.model.unseen import is_seen

# A Kubernetes Secret's name (RFC 1123 subdomain); so no name is a path.
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")

_LIST = "allowedhosts"
_NEAR = 2  # edits

ResolvedSecret = Credential | SecretProblem


class ResolvedOnce(ABC):
    """The secrets of one run. Each is resolved once for each destination, so that the saved
    credential is the tested one."""

    def __init__(self) -> None:
        self._answers: dict[tuple[SecretRef, str, int, str | None], ResolvedSecret] = {}

    def credential(
        self, ref: SecretRef, host: str, port: int, username: str | None = None
    ) -> ResolvedSecret:
        """Resolve a secret for a destination.

        Args:
            ref: the secret.
            host: the host that the credential is for.
            port: its port.
            username: the username of the profile's preset, if the secret has none.

        Returns:
            The credential, or the problem.
        """
        request = (ref, host, port, username)
        if request not in self._answers:
            self._answers[request] = self._resolve(ref, host, port, username)
        return self._answers[request]

    @abstractmethod
    def _resolve(
        self, ref: SecretRef, host: str, port: int, username: str | None
    ) -> ResolvedSecret:
        """Resolve a secret that was not asked for yet."""


def refusal_of(ref: SecretRef, host: str, port: int) -> SecretProblem | None:
    """Check a reference before anything is read.

    Args:
        ref: the secret.
        host: the host that the credential is for.
        port: its port.

    Returns:
        Why it is not read; None if it may be.
    """
    if not (_NAME.fullmatch(ref.namespace) and _NAME.fullmatch(ref.name)):
        return problem("secret-missing", ref, "has an invalid name")
    if ref.of_platform != (ref.namespace == PLATFORM_NAMESPACE):
        return of_another_owner(ref, host, port)
    return None


def credential_in(
    ref: SecretRef,
    keys: Collection[str],
    content: Callable[[str], bytes],
    host: str,
    port: int,
    username: str | None,
    *,
    key_missing: str = "secret-missing",
) -> ResolvedSecret:
    """Find the credential in a secret.

    Args:
        ref: the secret.
        keys: the names of its keys.
        content: reads the content of a key.
        host: the host that the credential is for.
        port: its port.
        username: the username of the profile's preset, if the secret has none.
        key_missing: the code of the problem that a key is missing.

    Returns:
        The credential, or the problem.
    """
    if ALLOWED_HOSTS in keys:
        refusal = _not_allowed(ref, content, host, port)
    else:
        refusal = _misspelt_list(ref, keys)
    if refusal is not None:
        return refusal
    key_name = USERNAME
    try:
        if USERNAME in keys or username is None:
            username = username_of(_present(USERNAME, keys, content))
        key_name = PASSWORD
        password = password_of(_present(PASSWORD, keys, content))
        key_name = "username and password together"
        return credential_of(username, password)
    except InvalidSecretError as unfit:
        missing = isinstance(unfit, SecretNotFoundError)
        code = key_missing if missing else "secret-invalid"
        unusable = problem(code, ref, f"cannot be used: its {key_name} {unfit}", unfit.hint)
        return replace(unusable, is_partial=missing)


def _present(key: str, keys: Collection[str], content: Callable[[str], bytes]) -> bytes:
    if key not in keys:
        raise SecretNotFoundError("is missing")
    return content(key)


def _not_allowed(
    ref: SecretRef, content: Callable[[str], bytes], host: str, port: int
) -> SecretProblem | None:
    hint = f"If this is intended, its owner adds a line `{host}:{port}` to its {ALLOWED_HOSTS}."
    try:
        raw = content(ALLOWED_HOSTS)
        if allows(text_of(raw) if raw.strip() else "", host, port):
            return None
    except InvalidSecretError as unfit:
        return SecretProblem(
            "secret-not-bound",
            f"The secret {ref} is not sent anywhere: its {ALLOWED_HOSTS} {unfit}.",
            unfit.hint or "One host or host:port a line, # for comments.",
        )
    return SecretProblem(
        "secret-not-bound",
        f"The secret {ref} is not sent to {host}:{port}, which its {ALLOWED_HOSTS} does not list.",
        hint,
    )


def _misspelt_list(ref: SecretRef, keys: Collection[str]) -> SecretProblem | None:
    """A key that is nearly ``allowed-hosts``: its owner meant to bind the secret, and under another
    name it would bind nothing."""
    for key in sorted(keys):
        letters = "".join(filter(str.isalpha, key.lower()))
        if letters.startswith(_LIST) or distance(letters, _LIST, _NEAR) <= _NEAR:
            given = f"the key {key}" if is_seen(key) else "a key with nearly that name"
            return SecretProblem(
                "secret-not-bound",
                f"The secret {ref} is not sent anywhere: it has {given}, and no {ALLOWED_HOSTS}.",
                f"Rename the key to {ALLOWED_HOSTS}, with one host or host:port a line.",
            )
    return None


def of_another_owner(ref: SecretRef, host: str, port: int) -> SecretProblem:
    """Return the problem of a secret that belongs to a tenant but is the platform's, or the
    reverse.

    Args:
        ref: the secret.
        host: the host that its credential would be sent to.
        port: the TCP port of that host.
    """
    return SecretProblem(
        "secret-not-bound",
        f"The secret {ref} is not sent to {host}:{port}: the namespace {PLATFORM_NAMESPACE} holds"
        " the platform's secrets, which are sent to its own relays only.",
        "Give the secret in the namespace of its owner.",
    )


def problem(code: str, ref: SecretRef, predicate: str, hint: str | None = None) -> SecretProblem:
    """Return a problem of a secret.

    Args:
        code: the code of the finding.
        ref: the secret, which begins the message.
        predicate: the rest of the message, without its full stop.
        hint: what to do; empty for the hint about the content of a secret.
    """
    return SecretProblem(
        code,
        f"The secret {ref} {predicate}.",
        hint or "Its keys are username and password, each UTF-8 text in one line.",
    )
