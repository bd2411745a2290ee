"""From a reference to its credential, or to the reason why there is none.

A secret that exists in the directory is read from there; otherwise variables are used. The two are
never mixed in one secret. The binding is checked before the credential is read.
"""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping

from sendroute.credentials import directory as files
from sendroute.credentials.binding import allows
from sendroute.credentials.content import (
    InvalidSecretError,
    SecretNotFoundError,
    credential_of,
    password_of,
    text_of,
    username_of,
)
from sendroute.credentials.variables import PREFIX, stem, variable
from sendroute.model.credential import Credential
from sendroute.model.remedy import Configure, Setting
from sendroute.model.secret import SecretProblem, SecretRef

USERNAME, PASSWORD, ALLOWED_HOSTS = "username", "password", "allowed-hosts"
_KEYS = (USERNAME, PASSWORD, ALLOWED_HOSTS)
# A Kubernetes Secret's name (RFC 1123 subdomain); so no name is a path.
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")

Answer = Credential | SecretProblem


class Secrets:
    """All secrets of one run. Each secret is read once for each destination, so that the saved
    credential is the tested one.

    Args:
        directory: the directory of secrets.
        environment: the environment variables.
        among: the references of the whole tree and of the store, to find variables that two of
            them share.
    """

    def __init__(
        self,
        directory: str | None,
        environment: Mapping[str, str],
        among: Iterable[SecretRef] = (),
    ) -> None:
        self._directory = directory
        self._environment = {k: v for k, v in environment.items() if k.startswith(PREFIX)}
        self._sharing: dict[str, set[SecretRef]] = defaultdict(set)
        for ref in among if self._environment else ():
            self._sharing[stem(ref)].add(ref)
        self._known: dict[tuple[SecretRef, str, int, str | None], Answer] = {}

    @property
    def given(self) -> bool:
        """Whether a directory or variables are given."""
        return self._directory is not None or bool(self._environment)

    def credential(
        self, ref: SecretRef, host: str, port: int, username: str | None = None
    ) -> Answer:
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
        if request not in self._known:
            self._known[request] = self._read(ref, host, port, username)
        return self._known[request]

    def _read(self, ref: SecretRef, host: str, port: int, username: str | None) -> Answer:
        if not (_NAME.fullmatch(ref.namespace) and _NAME.fullmatch(ref.name)):
            return _problem("secret-missing", ref, "has an invalid name")
        if self._directory is not None and files.has(self._directory, ref):
            return self._from_directory(self._directory, ref, host, port, username)
        return self._from_variables(ref, host, port, username)

    def _from_directory(
        self, directory: str, ref: SecretRef, host: str, port: int, username: str | None
    ) -> Answer:
        def content(key: str) -> bytes:
            return files.content_of(directory, ref, key)

        def read() -> Answer:
            keys = files.keys_of(directory, ref)
            return _credential(ref, keys, content, host, port, username)

        try:
            return files.read_consistently(directory, ref, read)
        except InvalidSecretError as unfit:
            return _problem("secret-invalid", ref, str(unfit))

    def _from_variables(self, ref: SecretRef, host: str, port: int, username: str | None) -> Answer:
        keys = [key for key in _KEYS if variable(ref, key) in self._environment]
        if not keys:
            return self._missing(ref)
        others = sorted(map(str, self._sharing[stem(ref)] - {ref}))
        if others:
            return SecretProblem(
                "secret-ambiguous",
                f"The secret {ref} is ambiguous: {', '.join(others)} uses the same variables"
                f" {stem(ref)}_….",
                "Rename one of them, or give the secrets as files.",
                Configure(Setting.SECRETS),
            )

        def content(key: str) -> bytes:
            return os.fsencode(self._environment[variable(ref, key)])

        return _credential(ref, keys, content, host, port, username)

    def _missing(self, ref: SecretRef) -> SecretProblem:
        given = self._directory is not None
        state = f"is not in {self._directory}" if given else "was not given"
        return SecretProblem(
            "secret-missing",
            f"The secret {ref} {state}.",
            f"Set {variable(ref, USERNAME)} and …_PASSWORD, or write the files username and"
            f" password into {ref.namespace}/{ref.name}/ in"
            f" {self._directory or 'the directory of secrets'}.",
            None if given else Configure(Setting.SECRETS),
        )


def _credential(
    ref: SecretRef,
    keys: Collection[str],
    content: Callable[[str], bytes],
    host: str,
    port: int,
    username: str | None,
) -> Answer:
    """From a secret's keys to a credential, for directories and variables."""
    if ALLOWED_HOSTS in keys and (refusal := _not_allowed(ref, content, host, port)) is not None:
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
        code = "secret-missing" if isinstance(unfit, SecretNotFoundError) else "secret-invalid"
        return _problem(code, ref, f"cannot be used: its {key_name} {unfit}")


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
            "One host or host:port a line, # for comments.",
        )
    return SecretProblem(
        "secret-not-bound",
        f"The secret {ref} is not sent to {host}:{port}, which its {ALLOWED_HOSTS} does not list.",
        hint,
    )


def _problem(code: str, ref: SecretRef, predicate: str) -> SecretProblem:
    return SecretProblem(
        code,
        f"The secret {ref} {predicate}.",
        "Its keys are username and password, each UTF-8 text in one line.",
    )
