"""Connection tests that a person asks for: of saved profiles (``test``), and of a new one before
its manifest is written (``edit add-domain --test``)."""

import sys
from collections.abc import Sequence

from sendroute.cli.lookup import profiles_named, read_tree
from sendroute.cli.session import Session, Terminal
from sendroute.model.codes import finding
from sendroute.model.connection import ConnectionPolicy, TestRequest, TestResult
from sendroute.model.desired import AccountKey, Desired, DesiredPlatform
from sendroute.model.finding import Finding, Severity
from sendroute.model.problem import ProblemError
from sendroute.model.secret import SecretProblem
from sendroute.reconcile.protocols import Tester
from sendroute.reconcile.secret_check import CheckedEndpoint, look_up
from sendroute.reconcile.verifier import failure_advice, failure_code, failure_message
from sendroute.reports.progress import progress
from sendroute.runtime.factory import run_tests
from sendroute.runtime.profile_tests import test_saved
from sendroute.store.record import Store


def tester_of(terminal: Terminal) -> Tester:
    """Connection tests with a progress bar."""

    def test(requests: Sequence[TestRequest], policy: ConnectionPolicy) -> Sequence[TestResult]:
        with progress(
            "Testing connections", len(requests), sys.stderr, quiet=terminal.quiet
        ) as advance:
            return run_tests(requests, policy, progress=lambda _result: advance(1))

    return test


def test_profiles(
    store: Store, session: Session, names: Sequence[str], manifests: Sequence[str] | None
) -> tuple[list[TestResult], ConnectionPolicy]:
    """Test saved profiles.

    Args:
        store: the store that holds them.
        session: settings and terminal.
        names: ``NAME`` or ``NAMESPACE/NAME``; all profiles if empty.
        manifests: the paths whose MailPlatform is used; None for that of the store.

    Returns:
        The results in the order of namespaces and names, and the policy of the tests.

    Raises:
        ProblemError: a name is unknown or ambiguous, or the manifests have no valid MailPlatform.
    """
    declared = _declared_platform(session, manifests) if manifests else None
    profiles = store.profiles()
    chosen = profiles_named(names, profiles) if names else profiles
    with store.snapshot() as snapshot:
        platform = snapshot.read_accounts(()).platform
        encrypted = snapshot.encrypted({profile.account for profile in chosen})
    policy = ConnectionPolicy.of(platform)
    if declared is not None:
        policy = ConnectionPolicy.of(declared.platform, declared.where.file)
    tester = tester_of(session.terminal)
    return test_saved(session.factory, chosen, encrypted, policy, tester), policy


def _declared_platform(session: Session, paths: Sequence[str]) -> DesiredPlatform:
    tree = read_tree(paths, session)
    if tree.desired.platform is None:
        errors = [item for item in tree.desired.findings if item.severity is Severity.ERROR]
        raise ProblemError(*errors)  # at least one: the reader reports why there is none
    return tree.desired.platform


def test_new_profile(
    session: Session, desired: Desired, key: AccountKey, name: str
) -> list[Finding]:
    """Test a profile of manifests that are not written yet, also if its connectionTest is skip. If
    the manifests have no MailPlatform, only public addresses may be reached.

    Args:
        session: settings and terminal.
        desired: the manifests with the profile.
        key: its account.
        name: its name.

    Returns:
        The findings; none if the test passed.
    """
    account = desired.accounts.get(key)
    declared = account.profiles.get(name) if account is not None else None
    if declared is None:
        return [
            finding(
                "connection-test-failed",
                f"Profile {name} cannot be tested: the given paths do not define all of {key}.",
                hint="Add the files of the account and of the platform, or omit --test.",
                account=key,
            )
        ]
    profile = declared.profile
    secrets = session.factory.secrets()
    answer = look_up(secrets, CheckedEndpoint(key, name, profile, None, declared.where))
    if isinstance(answer, SecretProblem):
        return [
            finding(
                answer.code, answer.message, hint=answer.hint, remedy=answer.remedy, account=key
            )
        ]
    policy = ConnectionPolicy()
    if desired.platform is not None:
        policy = ConnectionPolicy.of(desired.platform.platform, desired.platform.where.file)
    request = TestRequest(key, name, profile, answer)
    (result,) = tester_of(session.terminal)([request], policy)
    code = failure_code(result)
    if code is None:
        return []
    return [
        finding(
            code,
            failure_message(request, result),
            hint=f"Nothing was written. {failure_advice(result)}",
            account=key,
        )
    ]
