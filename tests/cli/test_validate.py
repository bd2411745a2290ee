"""validate: files only, every problem, a base, and an organisation's own rules."""

import json
from pathlib import Path

import pytest
from tests.git.test_worktree import git

from .conftest import PLATFORM, Program, account, domain, profile, write


def findings(sendroute: Program, *words: str) -> list[tuple[str, str]]:
    ran = sendroute("validate", "manifests", *words, "-o", "json")
    return [(each["code"], each["severity"]) for each in json.loads(ran.out)["findings"]]


def test_a_good_tree(sendroute: Program, manifests: Path) -> None:
    assert manifests.is_dir()
    ran = sendroute("validate", "manifests", "-o", "json")
    told = json.loads(ran.out)
    assert (ran.status, told["format_version"], told["findings"]) == (0, "1.0", [])
    assert (told["summary"]["errors"], told["summary"]["warnings"]) == (0, 0)


def test_every_problem_at_once_with_its_line(sendroute: Program, manifests: Path) -> None:
    write(
        manifests / "bad.yaml",
        domain("acme", "one.example.com", "{profile: sess}"),
        account("bolt"),
        domain("bolt", "two.example.com", "{profil: ses}"),
    )
    (manifests / "worse.yaml").write_text("a: [\n")
    ran = sendroute("validate", "manifests")
    assert ran.status == 1
    for part in (
        "unknown-profile  manifests/bad.yaml:7:",
        "Did you mean ses?",
        "unknown-field  manifests/bad.yaml:20:",
        "yaml-syntax  manifests/worse.yaml:",
    ):
        assert part in ran.out


def test_warnings_fail_where_asked(sendroute: Program, manifests: Path) -> None:
    write(manifests / "acme.yaml", account("acme"), profile("acme", "ses"))
    assert findings(sendroute) == [("profile-unused", "warning")]
    assert sendroute("validate", "manifests").status == 0
    assert sendroute("validate", "manifests", "--strict").status == 1


def test_quiet_says_only_what_is_wrong(sendroute: Program, manifests: Path) -> None:
    assert sendroute("-q", "validate", "manifests").out == ""
    (manifests / "worse.yaml").write_text("a: [\n")
    assert "yaml-syntax" in sendroute("-q", "validate", "manifests").out


def test_no_manifests(sendroute: Program, place: Path) -> None:
    (place / "manifests").mkdir()
    assert findings(sendroute) == [("no-manifests", "error")]


def test_a_deletion_that_the_base_knew_is_a_warning(sendroute: Program, manifests: Path) -> None:
    folder = manifests.parent
    git(folder, "init", "-q")
    git(folder, "add", "manifests")
    git(folder, "commit", "-qm", "with its profile")
    shop = domain("acme", "shop.example.com", "{profile: ses}")
    write(manifests / "acme.yaml", account("acme"), shop)
    assert findings(sendroute) == [("unknown-profile", "error")]
    told = findings(sendroute, "--base", "HEAD")
    assert ("profile-deleted", "warning") in told
    assert "error" not in {severity for _, severity in told}
    assert git(folder, "status", "--porcelain").strip() == "M manifests/acme.yaml"


def test_a_base_that_is_none_is_told(sendroute: Program, manifests: Path) -> None:
    git(manifests.parent, "init", "-q")
    ran = sendroute("validate", "manifests", "--base", "v1")
    assert (ran.status, "v1" in ran.err) == (1, True)


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
def test_a_policy_is_told_with_the_line_and_its_own_words(
    sendroute: Program, manifests: Path, draft: str
) -> None:
    (manifests.parent / "policy.yaml").write_text(CORP % draft)
    ran = sendroute("validate", "manifests", "--policy", "policy.yaml")
    assert ran.status == 1
    assert ran.out.count("error policy-violation  manifests/acme.yaml:") == 2
    assert "ask the mail team" in ran.out
    assert "policy-violation  manifests/acme.yaml:22:" in ran.out


def test_a_policy_holds_beyond_what_cannot_be_read(sendroute: Program, manifests: Path) -> None:
    write(manifests / "more.yaml", "a: [\n", domain("acme", "last.example.com", "{managed: {}}"))
    (manifests.parent / "policy.json").write_text('{"properties": {"kind": {"const": "None"}}}')
    ran = sendroute("validate", "manifests", "--policy", "policy.json")
    assert "yaml-syntax  manifests/more.yaml:" in ran.out
    assert "SendingDomain last-example-com breaks the policy" in ran.out


def test_policies_add_up(sendroute: Program, manifests: Path) -> None:
    (manifests.parent / "a.json").write_text('{"properties": {"kind": {"enum": ["MailAccount"]}}}')
    (manifests.parent / "b.json").write_text("false")
    words = ("--policy", "a.json", "--policy", "b.json")
    assert findings(sendroute, *words).count(("policy-violation", "error")) == 4 + 5


POLICIES = {
    "that is not there": (None, "unreadable"),
    "that is not YAML": ("a: [", "yaml-syntax"),
    "that is no schema": ("type: strnig", "invalid-value"),
    "that is a list": ("- a", "invalid-value"),
    "of an unknown draft": ("$schema: http://nowhere.example/draft-99", "invalid-value"),
    "that refers to the network": ("$ref: http://127.0.0.1:9/schema.json", "invalid-value"),
    "that refers to nothing of its own": ("$ref: '#/$defs/gone'", "invalid-value"),
    "that refers to itself": ("$ref: '#'", "invalid-value"),
    "with a pattern that is none": ("{properties: {kind: {pattern: '['}}}", "invalid-value"),
    "that is not text": ("a: \udcff", "yaml-syntax"),
}


@pytest.mark.parametrize("case", POLICIES, ids=str)
def test_a_policy(case: str, sendroute: Program, manifests: Path) -> None:
    text, code = POLICIES[case]
    if text is not None:
        (manifests.parent / "policy.yaml").write_bytes(text.encode("utf-8", "surrogateescape"))
    ran = sendroute("validate", "manifests", "--policy", "policy.yaml", "-o", "json")
    (found,) = json.loads(ran.out)["findings"]
    assert (ran.status, found["code"], found["position"]["file"]) == (1, code, "policy.yaml")


def test_a_policy_sees_documents_with_problems_and_those_of_lists(
    sendroute: Program, place: Path
) -> None:
    write(place / "platform.yaml", PLATFORM)
    broken = domain("acme", "x.example", "{profil: ses}")
    items = {"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "Pod"}]}
    write(place / "all.yaml", json.dumps(items) + "\n", account("acme"), broken)
    (place / "p.json").write_text('{"properties": {"kind": {"enum": ["MailPlatform"]}}}')
    ran = sendroute("validate", "all.yaml", "platform.yaml", "--policy", "p.json")
    assert ran.out.count("policy-violation") == 2, "the Pod is not ours"


@pytest.mark.parametrize("name", ["policy.json", "policy.yaml"])
def test_a_policy_nested_beyond_the_parsers_limit_is_a_finding(
    name: str, sendroute: Program, manifests: Path
) -> None:
    (manifests.parent / name).write_text(f'{{"x": {"[" * 100_000}{"]" * 100_000}}}')
    ran = sendroute("validate", "manifests", "--policy", name)
    assert ran.status == 1
    assert f"error yaml-unsupported  {name}" in ran.out


@pytest.mark.parametrize("name", ["policy.json", "policy.yaml"])
def test_a_policy_with_a_number_beyond_the_parsers_limit_is_a_finding(
    name: str, sendroute: Program, manifests: Path
) -> None:
    (manifests.parent / name).write_text(f'{{"maximum": {"9" * 5_000}}}')
    ran = sendroute("validate", "manifests", "--policy", name)
    assert ran.status == 1
    assert f"error too-large  {name}" in ran.out


def test_a_lock_file_nested_beyond_the_parsers_limit_is_a_finding(
    sendroute: Program, manifests: Path
) -> None:
    (manifests / "sendroute.lock").write_text(f'{{"x": {"[" * 100_000}{"]" * 100_000}}}')
    assert sendroute("init").status == 0
    ran = sendroute("plan", "manifests")
    assert ran.status == 1
    assert "invalid-value" in ran.out
