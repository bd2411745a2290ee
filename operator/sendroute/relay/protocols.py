"""What the agent needs from its adapters."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from sendroute.model.credential import Credential
from sendroute.model.provenance import Head
from sendroute.model.records import RelayUpdate
from sendroute.model.secret import SecretBinding
from sendroute.runtime.wakeup import WatchedStore


class RelayStore(WatchedStore, Protocol):
    """The store as the agent needs it. Every method raises
    :class:`~sendroute.model.problem.ProblemError` if the store is unavailable."""

    def head(self) -> Head:
        """The latest commit of the store."""
        ...

    def relay_update(
        self, lineage: str | None, served: Head | None
    ) -> AbstractContextManager[RelayUpdate]:
        """What changed since the revision that is served; everything if there is none, or if the
        store does not contain it."""
        ...

    def report_relay(self, name: str, served: Head) -> bool:
        """Record that a relay serves a revision, and was seen now. Returns False if the store does
        not contain the revision."""
        ...


class MailServer(Protocol):
    """The Postfix beside the agent."""

    def reload(self) -> None:
        """Make Postfix decide the routes of its active queue again, and forget cached answers.

        Raises:
            ProblemError: it cannot be reloaded.
        """
        ...

    def active_messages(self) -> frozenset[str] | None:
        """The queue ids of the messages in the active queue; None if it cannot be read."""
        ...


class Decrypt(Protocol):
    """Decrypts credentials with the given keys."""

    def decrypt(self, token: str, binding: SecretBinding) -> Credential | None:
        """Decrypt a stored credential.

        Args:
            token: the credential in encrypted form.
            binding: the profile and the destination that it must belong to.

        Returns:
            The credential; None if no key decrypts it.
        """
        ...


ReadKeys = Callable[[], tuple[object, Decrypt | None]]
"""Reads the keys: a value that is equal for equal keys, and what decrypts with them; None without
keys. Raises :class:`~sendroute.model.problem.ProblemError` if they cannot be read."""
