"""The connection test of one profile before its manifest is written: the one seam."""

from sendroute.cli.session import Session
from sendroute.model.codes import finding
from sendroute.model.finding import Finding
from sendroute.model.profile import Profile
from sendroute.model.wanted import AccountKey


def test_provider(
    session: Session,  # noqa: ARG001  its secrets, which a real test reads
    key: AccountKey,
    name: str,
    profile: Profile,
) -> list[Finding]:
    """What the test found; with an error among it nothing is written."""
    return [
        finding(
            "connection-not-tested",
            f"Profile {name} ({profile.host}, port {profile.port}) was not tested: this version "
            "makes no connection tests.",
            hint="Check that its host, port, encryption and credentials are right.",
            account=key,
        )
    ]
