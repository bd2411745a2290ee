"""What proving a profile needs of the outside: secrets, their sealing, and connection tests."""

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct

from sendroute.model.connection import ConnectionPolicy, TestResult
from sendroute.model.credential import Credential
from sendroute.model.desired import AccountKey
from sendroute.model.profile import Profile
from sendroute.model.secret import SecretBinding, SecretProblem, SecretRef


class Secrets(Protocol):
    """A secret is read once in a run, so that what was tested is what is saved."""

    @property
    def given(self) -> bool:
        """Whether there are any to look at."""
        ...

    def credential(
        self, ref: SecretRef, host: str, port: int, username: str | None = None
    ) -> Credential | SecretProblem: ...


class Sealer(Protocol):
    def seal(self, credential: Credential, binding: SecretBinding) -> str: ...

    def holds(self, token: str, binding: SecretBinding, credential: Credential) -> bool | None:
        """Whether a token holds this credential; None where it does not open."""
        ...


class Try(Struct, frozen=True):
    """A profile to test; ``credential`` is None where it names no secret."""

    key: AccountKey
    name: str
    profile: Profile
    credential: Credential | None


Tester = Callable[[Sequence[Try], ConnectionPolicy], Sequence[TestResult]]
"""The results stand in the order of what was asked."""
