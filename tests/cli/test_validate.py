"""validate: works on files alone, reports every problem, compares with a base, applies policies."""

import json
from pathlib import Path

import pytest
from tests.git.test_worktree import git

from .conftest import PLATFORM, Program, account, domain, profile, write


def findings(sendroute: Program, *arguments: str) -> list[tuple[str, str]]:
    result = sendroute("validate", "manifests", *arguments, "-o", "json")
    return [(entry["code"], entry["severity"]) for entry in json.loads(result.out)["findings"]]


def test_a_valid_tree_has_no_findings(sendroute: Program, manifests: Path) -> None:
    assert manifests.is_dir()
    result = sendroute("validate", "manifests", "-o", "json")
    document = json.loads(result.out)
    assert (result.status, document["format_version"], document["findings"]) == (0, "1.0", [])
    assert (document["summary"]["errors"], document["summary"]["warnings"]) == (0, 0)


def test_all_problems_are_reported_at_once_with_their_lines(
    sendroute: Program, manifests: Path
) -> None:
    write(
        manifests / "bad.yaml",
        domain("acme", "one.example.com", "{profile: sess}"),
        account("bolt"),
        domain("bolt", "two.example.com", "{profil: ses}"),
    )
    (manifests / "worse.yaml").write_text("a: [\n")
    result = sendroute("validate", "manifests")
    assert result.status == 1
    for part in (
        "unknown-profile  manifests/bad.yaml:7:",
        "Did you mean ses?",
        "unknown-field  manifests/bad.yaml:20:",
        "yaml-syntax  manifests/worse.yaml:",
    ):
        assert part in result.out


def test_warnings_fail_only_with_strict(sendroute: Program, manifests: Path) -> None:
    write(manifests / "acme.yaml", account("acme"), profile("acme", "ses"))
    assert findings(sendroute) == [("profile-unused", "warning")]
    assert sendroute("validate", "manifests").status == 0
    assert sendroute("validate", "manifests", "--strict").status == 1


def test_quiet_prints_only_problems(sendroute: Program, manifests: Path) -> None:
    assert sendroute("-q", "validate", "manifests").out == ""
    (manifests / "worse.yaml").write_text("a: [\n")
    assert "yaml-syntax" in sendroute("-q", "validate", "manifests").out


def test_a_directory_without_manifests_is_an_error(sendroute: Program, workdir: Path) -> None:
    (workdir / "manifests").mkdir()
    assert findings(sendroute) == [("no-manifests", "error")]


def test_with_a_base_a_reference_to_a_deleted_profile_is_a_warning(
    sendroute: Program, manifests: Path
) -> None:
    directory = manifests.parent
    git(directory, "init", "-q")
    git(directory, "add", "manifests")
    git(directory, "commit", "-qm", "with its profile")
    shop = domain("acme", "shop.example.com", "{profile: ses}")
    write(manifests / "acme.yaml", account("acme"), shop)
    assert findings(sendroute) == [("unknown-profile", "error")]
    reported = findings(sendroute, "--base", "HEAD")
    assert ("profile-deleted", "warning") in reported
    assert "error" not in {severity for _, severity in reported}
    assert git(directory, "status", "--porcelain").strip() == "M manifests/acme.yaml"


def test_an_unknown_base_is_an_error(sendroute: Program, manifests: Path) -> None:
    git(manifests.parent, "init", "-q")
    result = sendroute("validate", "manifests", "--base", "v1")
    assert (result.status, "v1" in result.err) == (1, True)


CORP = """\
$schema: %s
description: Only what we allow.
if: {properties: {kind: {const: SendingDomain}}}
then:
  properties:
    spec:
      properties:
        domain:
          pattern: "[.]corp[.]example$"
          description: Mail leaves from corp.example alone; ask the mail team.
"""
DRAFTS = [
    "https://json-schema.org/draft/2020-12/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "http://json-schema.org/draft-07/schema#",
]


@pytest.mark.parametrize("draft", DRAFTS)
def test_a_policy_violation_has_the_line_and_the_description_of_the_policy(
    sendroute: Program, manifests: Path, draft: str
) -> None:
    (manifests.parent / "policy.yaml").write_text(CORP % draft)
    result = sendroute("validate", "manifests", "--policy", "policy.yaml")
    assert result.status == 1
    assert result.out.count("error policy-violation  manifests/acme.yaml:") == 2
    assert "ask the mail team" in result.out
    assert "policy-violation  manifests/acme.yaml:22:" in result.out


def test_a_policy_is_applied_to_documents_after_a_syntax_error(
    sendroute: Program, manifests: Path
) -> None:
    write(manifests / "more.yaml", "a: [\n", domain("acme", "last.example.com", "{managed: {}}"))
    (manifests.parent / "policy.json").write_text('{"properties": {"kind": {"const": "None"}}}')
    result = sendroute("validate", "manifests", "--policy", "policy.json")
    assert "yaml-syntax  manifests/more.yaml:" in result.out
    assert "SendingDomain last-example-com breaks the policy" in result.out


def test_several_policies_all_apply(sendroute: Program, manifests: Path) -> None:
    (manifests.parent / "a.json").write_text('{"properties": {"kind": {"enum": ["MailAccount"]}}}')
    (manifests.parent / "b.json").write_text("false")
    arguments = ("--policy", "a.json", "--policy", "b.json")
    assert findings(sendroute, *arguments).count(("policy-violation", "error")) == 4 + 5


POLICIES = {
    "that is not there": (None, "unreadable"),
    "that is not YAML": ("a: [", "yaml-syntax"),
    "that is not a schema": ("type: strnig", "invalid-value"),
    "that is a list": ("- a", "invalid-value"),
    "of an unknown draft": ("$schema: http://nowhere.example/draft-99", "invalid-value"),
    "that refers to the network": ("$ref: http://127.0.0.1:9/schema.json", "invalid-value"),
    "that refers to a missing definition": ("$ref: '#/$defs/gone'", "invalid-value"),
    "that refers to itself": ("$ref: '#'", "invalid-value"),
    "with an invalid pattern": ("{properties: {kind: {pattern: '['}}}", "invalid-value"),
    "that is not text": ("a: \udcff", "yaml-syntax"),
}


@pytest.mark.parametrize("case", POLICIES, ids=str)
def test_an_invalid_policy_is_one_finding(case: str, sendroute: Program, manifests: Path) -> None:
    text, code = POLICIES[case]
    if text is not None:
        (manifests.parent / "policy.yaml").write_bytes(text.encode("utf-8", "surrogateescape"))
    result = sendroute("validate", "manifests", "--policy", "policy.yaml", "-o", "json")
    (problem,) = json.loads(result.out)["findings"]
    assert (result.status, problem["code"], problem["position"]["file"]) == (1, code, "policy.yaml")


def test_a_policy_is_applied_to_invalid_documents_and_to_items_of_lists(
    sendroute: Program, workdir: Path
) -> None:
    write(workdir / "platform.yaml", PLATFORM)
    broken = domain("acme", "x.example", "{profil: ses}")
    items = {"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "Pod"}]}
    write(workdir / "all.yaml", json.dumps(items) + "\n", account("acme"), broken)
    (workdir / "p.json").write_text('{"properties": {"kind": {"enum": ["MailPlatform"]}}}')
    result = sendroute("validate", "all.yaml", "platform.yaml", "--policy", "p.json")
    assert result.out.count("policy-violation") == 2, "a Pod is not a Sendroute object"


@pytest.mark.parametrize("name", ["policy.json", "policy.yaml"])
def test_a_policy_nested_beyond_the_parsers_limit_is_a_finding(
    name: str, sendroute: Program, manifests: Path
) -> None:
    (manifests.parent / name).write_text(f'{{"x": {"[" * 100_000}{"]" * 100_000}}}')
    result = sendroute("validate", "manifests", "--policy", name)
    assert result.status == 1
    assert f"error yaml-unsupported  {name}" in result.out


@pytest.mark.parametrize("name", ["policy.json", "policy.yaml"])
def test_a_policy_with_a_number_beyond_the_parsers_limit_is_a_finding(
    name: str, sendroute: Program, manifests: Path
) -> None:
    (manifests.parent / name).write_text(f'{{"maximum": {"9" * 5_000}}}')
    result = sendroute("validate", "manifests", "--policy", name)
    assert result.status == 1
    assert f"error too-large  {name}" in result.out


def test_a_lock_file_nested_beyond_the_parsers_limit_is_a_finding(
    sendroute: Program, manifests: Path
) -> None:
    (manifests / "sendroute.lock").write_text(f'{{"x": {"[" * 100_000}{"]" * 100_000}}}')
    assert sendroute("init").status == 0
    result = sendroute("plan", "manifests")
    assert result.status == 1
    assert "invalid-value" in result.out
