"""The connection test of one profile before its manifest is written."""

from sendroute.cli.proof import references, secrets_of, tester_of
from sendroute.cli.session import Session
from sendroute.model.codes import finding
from sendroute.model.connection import ConnectionPolicy
from sendroute.model.desired import AccountKey, Desired
from sendroute.model.finding import Finding
from sendroute.model.secret import SecretProblem
from sendroute.reconcile.protocols import Try
from sendroute.reconcile.secret_check import Endpoint, look_up
from sendroute.reconcile.verifier import failure_code


def test_provider(session: Session, desired: Desired, key: AccountKey, name: str) -> list[Finding]:
    """What is wrong with a profile of a tree that is not written yet; nothing where it passed.

    Somebody asked for this test, so it is made whatever the profile's connectionTest says. Where
    the tree has no MailPlatform, nothing but public addresses may be reached.
    """
    account = desired.accounts.get(key)
    current = account.profiles.get(name) if account is not None else None
    if current is None:
        return [
            finding(
                "connection-test-failed",
                f"Profile {name} cannot be tested: the paths given do not define all of {key}.",
                hint="Name the files of the account and of the platform too, or leave out --test.",
                account=key,
            )
        ]
    profile = current.profile
    secrets = secrets_of(session, references(desired))
    answer = look_up(secrets, Endpoint(key, name, profile, None, current.where))
    if isinstance(answer, SecretProblem):
        return [finding(answer.code, answer.message, hint=answer.hint, account=key)]
    platform = desired.platform.platform if desired.platform is not None else None
    policy = ConnectionPolicy.of(platform) if platform is not None else ConnectionPolicy()
    (result,) = tester_of(session)([Try(key, name, profile, answer)], policy)
    code = failure_code(result)
    if code is None:
        return []
    outcome = "" if code == result.outcome else f" ({result.outcome})"
    return [
        finding(
            code,
            f"The connection test of profile {name} failed{outcome}: {result.detail}",
            hint="Nothing was written. Mend what is told of the profile or its secret.",
            account=key,
        )
    ]
