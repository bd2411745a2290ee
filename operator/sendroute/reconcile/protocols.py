"""What verifying a profile needs from adapters: secrets, their encryption, connection tests."""

from collections.abc import Callable, Sequence
from typing import Protocol

from sendroute.model.connection import ConnectionPolicy, TestRequest, TestResult
from sendroute.model.credential import Credential
from sendroute.model.secret import SecretBinding, SecretProblem, SecretRef


class Secrets(Protocol):
    """A secret is read once in a run, so that what was tested is what is saved."""

    @property
    def given(self) -> bool:
        """Whether a directory or variables with secrets were given."""
        ...

    def credential(
        self, ref: SecretRef, host: str, port: int, username: str | None = None
    ) -> Credential | SecretProblem: ...


class Sealer(Protocol):
    def seal(self, credential: Credential, binding: SecretBinding) -> str: ...

    def holds(self, token: str, binding: SecretBinding, credential: Credential) -> bool | None:
        """Whether a token holds this credential; None where it does not open."""
        ...


Tester = Callable[[Sequence[TestRequest], ConnectionPolicy], Sequence[TestResult]]
"""Tests connections. The results are in the order of the requests."""
