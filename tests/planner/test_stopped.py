"""What is told of the references of an account that errors in its own documents stop."""

from pathlib import Path

from tests.planner.test_cases import PLANS, read_tree, staged

from sendroute.model.desired import (
    AccountKey,
    Desired,
    DesiredAccount,
    DesiredDomain,
    DesiredPlatform,
)
from sendroute.model.finding import Finding, Where
from sendroute.model.platform import Platform, ServicePlan
from sendroute.model.route import via
from sendroute.planner.offline import check_tree


def test_only_a_profile_that_no_document_defines_is_called_unknown(tmp_path: Path) -> None:
    case = PLANS / "an-error-in-a-document-hides-no-unknown-reference-of-its-account"
    findings = check_tree(read_tree(staged(case / "after.yaml", tmp_path / "tree")))
    told = {found.message for found in findings if found.code == "unknown-profile"}
    assert told == {
        "one.example.com refers to profile mailgum, which account acme does not have.",
        "six.example.com refers to profile nowhere, which account other does not have.",
    }


def test_what_is_unknown_while_a_file_cannot_be_read_may_be_in_there(tmp_path: Path) -> None:
    case = PLANS / "a-reference-never-leaves-its-account"
    tree = staged(case / "after.yaml", tmp_path / "tree")
    (tree / "profiles.yaml").write_bytes(b"\xff")
    hints = [each.hint or "" for each in check_tree(read_tree(tree)) if "unknown" in each.code]
    assert hints
    assert all(hint.endswith("what could not be read: it may be there.") for hint in hints)


def test_the_order_of_documents_never_shows_in_an_account_that_its_references_stop() -> None:
    here = Where("a.yaml", 0)
    key = AccountKey("acme", "acme")
    platform = DesiredPlatform(Platform(None, (ServicePlan("nano", managed=False),)), here)
    domains = [DesiredDomain(f"{name}.example.com", via("nowhere"), here) for name in "abc"]

    def told(domains: list[DesiredDomain]) -> tuple[Finding, ...]:
        account = DesiredAccount(key, "nano", here, domains=domains)
        return check_tree(Desired(platform, {key: account}))

    assert told(domains) == told(domains[::-1])
    assert len(told(domains)) == len(domains)
