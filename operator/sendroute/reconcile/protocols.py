"""What verifying a profile needs from adapters: secrets, their encryption, connection tests."""

from collections.abc import Callable, Sequence
from typing import Protocol

from sendroute.model.connection import ConnectionPolicy, TestRequest, TestResult
from sendroute.model.credential import Credential
from sendroute.model.secret import SecretBinding, SecretProblem, SecretRef


class SecretResolver(Protocol):
    """A secret is read once in a run, so that what was tested is what is saved."""

    @property
    def given(self) -> bool:
        """Whether a directory or variables with secrets were given."""
        ...

    def credential(
        self, ref: SecretRef, host: str, port: int, username: str | None = None
    ) -> Credential | SecretProblem:
        """Resolve a secret for a destination.

        Args:
            ref: the secret.
            host: the host that the credential is for.
            port: its TCP port.
            username: the username of the profile's preset, if the secret has none.

        Returns:
            The credential, or the problem: a secret that is missing, invalid or not allowed for
            this destination raises no error.
        """
        ...


class CredentialCipher(Protocol):
    def encrypt(self, credential: Credential, binding: SecretBinding) -> str:
        """Encrypt a credential, so that it decrypts only with the same binding.

        Args:
            credential: the credential.
            binding: the profile and the destination that it belongs to.

        Returns:
            The token to store.
        """
        ...

    def holds(self, token: str, binding: SecretBinding, credential: Credential) -> bool | None:
        """Compare a token with a credential.

        Args:
            token: a token from :meth:`encrypt`.
            binding: the profile and the destination that it must belong to.
            credential: the credential.

        Returns:
            Whether the token contains the credential; None if it cannot be decrypted.
        """
        ...


Tester = Callable[[Sequence[TestRequest], ConnectionPolicy], Sequence[TestResult]]
"""Tests connections. The results are in the order of the requests."""
