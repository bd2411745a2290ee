"""The secrets, keys and connection tests of one invocation, wired to what reconciling asks for."""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from sendroute.cli.key_file import place_of_key
from sendroute.cli.session import Session
from sendroute.credentials.keys import Keys, keys_at_hand
from sendroute.credentials.resolve import Secrets
from sendroute.model.codes import finding
from sendroute.model.connection import ConnectionPolicy, TestResult
from sendroute.model.current import Current
from sendroute.model.desired import Desired
from sendroute.model.problem import ProblemError
from sendroute.model.secret import PLATFORM_NAMESPACE, SecretRef
from sendroute.planner.platform import relay_of
from sendroute.reconcile.protocols import Tester, Try
from sendroute.reconcile.verifier import Shown, Verifier

if TYPE_CHECKING:
    from sendroute.connection.probe import Request
    from sendroute.credentials.sealing import Sealer


def verifier_of(
    session: Session,
    desired: Desired,
    current: Current,
    *,
    saves: bool = False,
    shown: Shown | None = None,
) -> Verifier:
    """The verifier of one run. Raises :class:`ProblemError` if the directory of secrets or a given
    key is unusable."""
    secrets = secrets_of(session, chain(references(desired), _current_references(current)))
    # The library behind a sealer is slow to import, and without secrets nothing is compared.
    sealer = sealer_of(session) if secrets.given or saves else None
    return Verifier(secrets, sealer, saves, shown)


def secrets_of(session: Session, among: Iterable[SecretRef]) -> Secrets:
    folder = session.secrets or None  # an empty word is none
    if folder is not None and not os.access(folder, os.R_OK | os.X_OK):
        why = "cannot be read by this user" if Path(folder).exists() else "is not there"
        raise ProblemError(
            finding(
                "unreadable",
                f"The folder of secrets {folder} {why}.",
                hint="Name the folder that holds NAMESPACE/NAME/username and password: --secrets",
            )
        )
    return Secrets(folder, dict(os.environ), among)


def references(desired: Desired) -> Iterator[SecretRef]:
    """Every secret that the tree names."""
    relay = relay_of(desired.platform.platform) if desired.platform is not None else None
    if relay is not None and relay.secret is not None:
        yield SecretRef(PLATFORM_NAMESPACE, relay.secret)
    for key, account in desired.accounts.items():
        for profile in account.profiles.values():
            if profile.profile.secret is not None:
                yield SecretRef(key.namespace, profile.profile.secret)


def _current_references(current: Current) -> Iterator[SecretRef]:
    """Every secret that the store names: while a file is broken its references cannot be read, and
    another tenant's secret may mean the same variables."""
    for key, account in current.accounts.items():
        for profile in account.profiles.values():
            if profile.secret is not None:
                yield SecretRef(key.namespace, profile.secret)


def keys_of(session: Session) -> Keys | None:
    usual = str(place_of_key(session.store))
    return keys_at_hand(session.key_file, usual, dict(os.environ))


def no_key() -> ProblemError:
    from sendroute.reconcile import secret_check

    return ProblemError(secret_check.no_key())


def sealer_of(session: Session) -> "Sealer | None":
    keys = keys_of(session)
    if keys is None:
        return None
    from sendroute.credentials.sealing import Sealer

    return Sealer(keys)


def tester_of(session: Session) -> Tester:
    """Connection tests with a progress bar, a few at a time."""

    def test(tries: Sequence[Try], policy: ConnectionPolicy) -> Sequence[TestResult]:
        from sendroute.connection.run import run_tests
        from sendroute.reports.progress import progress

        with progress(
            "Testing connections", len(tries), sys.stderr, quiet=session.quiet
        ) as advance:
            return run_tests(requests_of(tries), policy=policy, progress=lambda _result: advance(1))

    return test


def requests_of(tries: Iterable[Try]) -> "list[Request]":
    """What reconciling asks to be tested, as the connection test takes it."""
    from sendroute.connection.probe import Request

    return [Request(t.key.namespace, t.name, t.profile, t.credential) for t in tries]
