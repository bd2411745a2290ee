"""The connection test of one profile before its manifest is written."""

from sendroute.cli.proof import references, secrets_of, tester_of
from sendroute.cli.session import Session
from sendroute.model.codes import finding
from sendroute.model.connection import ConnectionPolicy
from sendroute.model.finding import Finding
from sendroute.model.secret import Lacking
from sendroute.model.wanted import AccountKey, Wanted
from sendroute.reconcile.comparing import Endpoint, look_up
from sendroute.reconcile.protocols import Try
from sendroute.reconcile.proving import failure_code


def test_provider(session: Session, wanted: Wanted, key: AccountKey, name: str) -> list[Finding]:
    """What is wrong with a profile of a tree that is not written yet; nothing where it passed.

    Somebody asked for this test, so it is made whatever the profile's connectionTest says. Where
    the tree has no MailPlatform, nothing but public addresses may be reached.
    """
    account = wanted.accounts.get(key)
    held = account.profiles.get(name) if account is not None else None
    if held is None:
        return [
            finding(
                "connection-test-failed",
                f"Profile {name} cannot be tested: the paths given do not define all of {key}.",
                hint="Name the files of the account and of the platform too, or leave out --test.",
                account=key,
            )
        ]
    profile = held.profile
    secrets = secrets_of(session, references(wanted))
    answer = look_up(secrets, Endpoint(key, name, profile, None, held.where))
    if isinstance(answer, Lacking):
        return [finding(answer.code, answer.message, hint=answer.hint, account=key)]
    platform = wanted.platform.platform if wanted.platform is not None else None
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
