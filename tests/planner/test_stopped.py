"""Reference errors of accounts that are stopped by errors in their own documents."""

from pathlib import Path

from tests.planner.test_cases import PLANS, read_tree, tree_with_platform

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


def test_only_a_profile_that_no_document_defines_is_reported_as_unknown(tmp_path: Path) -> None:
    case = PLANS / "an-error-in-a-document-hides-no-unknown-reference-of-its-account"
    findings = check_tree(read_tree(tree_with_platform(case / "after.yaml", tmp_path / "tree")))
    messages = {finding.message for finding in findings if finding.code == "unknown-profile"}
    assert messages == {
        "one.example.com refers to profile mailgum, which account acme/acme does not have.",
        "six.example.com refers to profile nowhere, which account acme/other does not have.",
    }


def test_a_hint_says_that_an_unknown_reference_may_be_in_an_unreadable_file(tmp_path: Path) -> None:
    case = PLANS / "a-reference-never-leaves-its-account"
    tree = tree_with_platform(case / "after.yaml", tmp_path / "tree")
    (tree / "profiles.yaml").write_bytes(b"\xff")
    findings = check_tree(read_tree(tree))
    hints = [finding.hint or "" for finding in findings if "unknown" in finding.code]
    assert hints
    assert all(hint.endswith("part of the tree, which may define it.") for hint in hints)


def test_the_order_of_documents_does_not_change_the_findings_of_a_stopped_account() -> None:
    here = Where("a.yaml", 0)
    key = AccountKey("acme", "acme")
    platform = DesiredPlatform(Platform(None, (ServicePlan("nano", managed=False),)), here)
    domains = [DesiredDomain(f"{name}.example.com", via("nowhere"), here) for name in "abc"]

    def findings_of(domains: list[DesiredDomain]) -> tuple[Finding, ...]:
        account = DesiredAccount(key, "nano", here, domains=domains)
        return check_tree(Desired(platform, {key: account}))

    assert findings_of(domains) == findings_of(domains[::-1])
    codes = [item.code for item in findings_of(domains)]
    assert codes.count("unknown-profile") == len(domains)
