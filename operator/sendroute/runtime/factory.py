"""The one place that builds the real adapters: the store, secrets, keys, connection tests.

Every front end gets its adapters here. Slow libraries (SQL drivers, cryptography, DNS) are imported
by the function that needs them.
"""

import math
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sendroute.credentials.key_file import key_path
from sendroute.credentials.keys import Keys, find_keys
from sendroute.credentials.resolve import LocalSecrets
from sendroute.model.codes import Code, finding
from sendroute.model.connection import ConnectionPolicy, TestRequest, TestResult
from sendroute.model.problem import ProblemError
from sendroute.model.remedy import Configure, Setting
from sendroute.reconcile.protocols import SecretResolver, Tester
from sendroute.reconcile.reconciler import Reconciler
from sendroute.reconcile.verifier import SavedInputs, Verifier
from sendroute.runtime.settings import Settings
from sendroute.store.url import BUSY_TIMEOUT

if TYPE_CHECKING:
    from sendroute.credentials.cipher import FernetCipher
    from sendroute.store.record import Store

_BUSY_TIMEOUT_IN_ROUNDS = 5.0
"""Seconds to wait for a store that another process writes, if the next round tries again. A stop
must not be delayed."""


class Factory:
    """Builds adapters from settings. It holds no state: each call builds a new adapter."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def check_store_url(self) -> None:
        """Check the form of the store's URL, for a front end that retries to open the store.

        Raises:
            InvalidSettingError: the URL is malformed (``invalid-value``).
        """
        from sendroute.store.backend import check_url

        check_url(self.settings.store)

    def open_store(self, busy_timeout: float = BUSY_TIMEOUT) -> "Store":
        """Open the store, and upgrade its schema if it is older than this program.

        Args:
            busy_timeout: seconds to wait for another writer.

        Returns:
            The open store; the caller closes it.

        Raises:
            ProblemError: as for :func:`sendroute.store.record.open_store`.
        """
        from sendroute.store.record import open_store

        return open_store(self.settings.store, busy_timeout=busy_timeout)

    def open_store_in_rounds(self) -> "Store":
        """Open the store as :meth:`open_store` does, for a process that runs for long: if another
        process writes for more than a few seconds, the next round tries again."""
        return self.open_store(_BUSY_TIMEOUT_IN_ROUNDS)

    def store_of(self, paths: Sequence[str]) -> "Store":
        """Open the store as :meth:`open_store` does. If there is none, but a lock file of the
        manifests, the store was lost, and the lock file says what it held.

        Args:
            paths: the paths of the manifests.

        Returns:
            The store, open for writing.

        Raises:
            ProblemError: there is no store (``not-initialised``, with what the lock file says), or
                it cannot be opened.
        """
        try:
            return self.open_store()
        except ProblemError as problem:
            first = problem.findings[0]
            if first.code != Code.NOT_INITIALISED:
                raise
            from sendroute.git.repository import is_top
            from sendroute.store.lock_guard import locks_of, lost_store

            for lock in locks_of(paths, is_top):
                raise ProblemError(lost_store(first, lock)) from problem
            raise

    def store_if_exists(self) -> "Store | None":
        """Return the store, opened as :meth:`open_store` does; None if there is none."""
        try:
            return self.open_store()
        except ProblemError as problem:
            if any(item.code == Code.NOT_INITIALISED for item in problem.findings):
                return None
            raise

    def reconciler(
        self, store: "Store", tester: Tester, *, saves: bool, shown: SavedInputs | None = None
    ) -> Reconciler:
        """Build the reconciler of one command.

        Args:
            store: the store, which stays open as long as the reconciler is used.
            tester: tests connections.
            saves: its plan will be applied.
            shown: what a saved plan was made with; None for a new plan.

        Returns:
            The reconciler. The errors of :meth:`verifier` are raised when it plans.
        """
        return Reconciler(store, partial(self.verifier, saves=saves, shown=shown), tester)

    def verifier(
        self,
        *,
        saves: bool = False,
        shown: SavedInputs | None = None,
        secrets: SecretResolver | None = None,
    ) -> Verifier:
        """Build the verifier of one run.

        Args:
            saves: the plan will be applied.
            shown: what a saved plan was made with; None for a new plan.
            secrets: where the secrets come from; None for :meth:`secrets`.

        Returns:
            The verifier.

        Raises:
            ProblemError: the directory of secrets or a given key is unusable.
        """
        secrets = self.secrets() if secrets is None else secrets
        # The library behind a cipher is slow to import, and without secrets only the credentials of
        # a lost key are looked at.
        cipher = self.cipher() if secrets.given or saves else None
        return Verifier(secrets, cipher, saves, shown, self.cipher)

    def secrets(self) -> LocalSecrets:
        """Open the secrets, from a directory or from variables.

        Returns:
            The secrets. Each is read when it is used first.

        Raises:
            ProblemError: the directory is unreadable (``unreadable``).
        """
        directory = self.settings.secrets or None  # an empty value is none
        if directory is not None and not os.access(directory, os.R_OK | os.X_OK):
            exists = os.path.lexists(directory)
            reason = (
                "is not readable for the user that runs sendroute" if exists else "does not exist"
            )
            if exists and not Path(directory).is_dir():
                reason = "is a file"
            raise ProblemError(
                finding(
                    "unreadable",
                    f"The directory of secrets {directory} {reason}.",
                    hint="Specify the directory that holds NAMESPACE/NAME/username and password.",
                    remedy=Configure(Setting.SECRETS),
                )
            )
        return LocalSecrets(directory, dict(os.environ))

    def keys(self) -> Keys | None:
        """Read the encryption keys of the settings.

        Returns:
            The keys, the current one first; None if there are none.

        Raises:
            ProblemError: as for :func:`sendroute.credentials.keys.find_keys`.
        """
        default = str(key_path(self.settings.store))
        return find_keys(self.settings.key_file, default, dict(os.environ))

    def cipher(self) -> "FernetCipher | None":
        """Build the cipher, which encrypts and decrypts credentials.

        Returns:
            The cipher; None without a key.

        Raises:
            ProblemError: as for :meth:`keys`.
        """
        return cipher_of(self.keys())


def cipher_of(keys: Keys | None) -> "FernetCipher | None":
    """Return the cipher of these keys; None without any."""
    if keys is None:
        return None
    from sendroute.credentials.cipher import FernetCipher

    return FernetCipher(keys)


def verifier_without_secrets() -> Verifier:
    """Build a verifier that reads no secret, so its plan is never applied.

    Returns:
        The verifier. It reports that no secret was compared.
    """
    return Verifier(LocalSecrets(None, {}), None)


def run_tests(
    requests: Sequence[TestRequest],
    policy: ConnectionPolicy,
    *,
    start_within: float = math.inf,
    progress: Callable[[TestResult], None] = lambda _result: None,
) -> Sequence[TestResult]:
    """Test connections, a few at a time.

    Args:
        requests: the profiles, with their credentials.
        policy: which addresses may be reached, and which authorities are trusted.
        start_within: seconds after which no further test is started.
        progress: called with each result.

    Returns:
        A result for each request, in the order of the requests. A failed test is a result, not an
        error.

    Raises:
        ValueError: ``policy.allow_networks`` contains an invalid network.
        KeyboardInterrupt: the user stopped it; every connection is closed.
    """
    from sendroute.connection.run import run_tests as run

    return run(requests, policy=policy, start_within=start_within, progress=progress)
