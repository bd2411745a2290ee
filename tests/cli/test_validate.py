"""validate: works on files alone, reports every problem, compares with a base, applies policies."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from tests.git.test_worktree import git

from sendroute.manifests import exact, fast

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
    write(
        manifests / "acme.yaml",
        account("acme", more=", defaultRoute: {profile: ses}"),
        profile("acme", "ses").replace("587", "5870"),
    )
    assert findings(sendroute) == [("unusual-port", "warning")]
    assert sendroute("validate", "manifests").status == 0
    assert sendroute("validate", "manifests", "--strict").status == 1


KUBERNETES_SECRET = """\
apiVersion: v1
kind: Secret
metadata: {name: ses-smtp, namespace: acme}
stringData: {username: canary-user, password: canary-password}
"""


def test_a_secret_beside_the_manifests_is_a_warning_that_repeats_none_of_it(
    sendroute: Program,
    process: Callable[..., "subprocess.CompletedProcess[str]"],
    manifests: Path,
) -> None:
    (manifests / "secret.yaml").write_text(KUBERNETES_SECRET)
    shown = sendroute("-v", "validate", "manifests")
    assert shown.status == 0
    assert "secret-in-manifests  manifests/secret.yaml:4:1" in shown.out
    assert "--secrets DIR" in shown.out
    assert sendroute("validate", "manifests", "--strict").status == 1
    forms = ("text", "json", "markdown", "html", "github", "sarif", "junit")
    for form in forms:
        output = sendroute("-v", "validate", "manifests", "-o", form)
        assert "canary" not in output.out + output.err
    assert (
        process("validate", "-", stdin=KUBERNETES_SECRET).stdout.count("secret-in-manifests") == 1
    )


def test_a_secret_accepts_the_finding_where_it_is(sendroute: Program, manifests: Path) -> None:
    accepts = "annotations: {sendroute.dev/accept: secret-in-manifests}"
    accepted = KUBERNETES_SECRET.replace("namespace: acme", f"namespace: acme, {accepts}")
    (manifests / "secret.yaml").write_text(f"{accepted}---\n{KUBERNETES_SECRET}")
    assert findings(sendroute) == [("secret-in-manifests", "warning")]
    (manifests / "secret.yaml").write_text(accepted)
    assert findings(sendroute) == []


def test_a_tree_of_only_a_secret_has_no_manifests(sendroute: Program, manifests: Path) -> None:
    for path in manifests.iterdir():
        path.unlink()
    (manifests / "secret.yaml").write_text(KUBERNETES_SECRET)
    assert ("no-manifests", "error") in findings(sendroute)


def test_a_path_that_does_not_exist_is_the_only_finding(sendroute: Program) -> None:
    result = sendroute("validate", "nodir", "-o", "json")
    assert result.status == 1
    (only,) = json.loads(result.out)["findings"]
    assert only["code"] == "unreadable"


def test_offline_nothing_is_claimed_about_the_account_that_holds_a_domain(
    sendroute: Program, manifests: Path
) -> None:
    write(manifests / "bolt.yaml", account("bolt"), domain("bolt", "shop.example.com"))
    result = sendroute("validate", "manifests", "-o", "json")
    messages = {item["message"] for item in json.loads(result.out)["findings"]}
    assert messages == {
        "shop.example.com is declared by more than one account: the one that holds it in the store"
        " keeps it; if none does, no account gets it."
    }


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


def test_with_a_base_a_route_that_no_manifest_declares_is_not_claimed_to_be_known(
    sendroute: Program, manifests: Path
) -> None:
    directory = manifests.parent
    default = account("acme", more=", defaultRoute: {profile: ses}")
    shop = domain("acme", "shop.example.com")
    write(manifests / "acme.yaml", default, shop, profile("acme", "ses"))
    git(directory, "init", "-q")
    git(directory, "add", "manifests")
    git(directory, "commit", "-qm", "with its profile")
    write(manifests / "acme.yaml", account("acme"), shop)
    result = sendroute("validate", "manifests", "--base", "HEAD")
    assert "Profile ses of account acme/acme is removed" in result.out
    assert "A domain that declares no route counts as on the default in the base revision" in (
        " ".join(result.out.split())
    )


def test_a_base_warns_of_the_guards_that_the_change_would_meet(
    sendroute: Program, manifests: Path
) -> None:
    """What vanishes is reported by validate already, as a warning: only a store knows."""
    directory = manifests.parent
    shops = [domain("acme", f"shop-{number}.example.com") for number in range(10)]
    write(manifests / "acme.yaml", account("acme"), *shops)
    write(manifests / "bolt.yaml", account("bolt"), domain("bolt", "bolt.example.com"))
    git(directory, "init", "-q")
    git(directory, "add", "manifests")
    git(directory, "commit", "-qm", "before")
    assert sendroute("init").status == 0
    assert sendroute("apply", "manifests", "--auto-approve").status == 0

    write(manifests / "acme.yaml", account("acme", plan="nano"), *shops[:6])
    (manifests / "bolt.yaml").unlink()
    guards = {"account-removal", "too-many-changes", "too-many-removals"}
    plan = sendroute("plan", "manifests", "-o", "json")
    assert plan.status == 3
    refused = {
        (entry["code"], entry["message"].replace("in the store", "in the base revision"))
        for entry in json.loads(plan.out)["findings"]
        if entry["severity"] == "refused"
    }
    checked = sendroute("validate", "manifests", "--base", "HEAD", "-o", "json")
    assert checked.status == 0
    warned = {
        (entry["code"], entry["message"])
        for entry in json.loads(checked.out)["findings"]
        if entry["code"] in guards and entry["severity"] == "warning"
    }
    assert warned == refused
    assert {code for code, _ in warned} == guards
    assert sendroute("validate", "manifests", "--base", "HEAD", "--strict").status == 1
    assert not guards & {code for code, _ in findings(sendroute)}


def test_what_waits_for_a_guard_is_a_warning_as_the_guard_is(
    sendroute: Program, manifests: Path
) -> None:
    directory = manifests.parent
    moves = "moves.example.com"
    write(manifests / "acme.yaml", account("acme"))
    write(
        manifests / "bolt.yaml", account("bolt"), domain("bolt", "b.example"), domain("bolt", moves)
    )
    git(directory, "init", "-q")
    git(directory, "add", "manifests")
    git(directory, "commit", "-qm", "before")
    write(manifests / "acme.yaml", account("acme"), domain("acme", moves))
    (manifests / "bolt.yaml").unlink()
    result = sendroute("validate", "manifests", "--base", "HEAD")
    assert "warning account-removal" in result.out
    assert "warning dependency-skipped" in result.out
    assert result.status == 0
    assert sendroute("validate", "manifests", "--base", "HEAD", "--strict").status == 1


def test_a_base_counts_the_domains_that_follow_the_default(
    sendroute: Program, manifests: Path
) -> None:
    directory = manifests.parent
    follows, declares = (
        domain("acme", "a.example.com"),
        domain("acme", "b.example.com", "{profile: ses}"),
    )
    write(
        manifests / "acme.yaml",
        account("acme", more=", defaultRoute: {profile: ses}"),
        profile("acme", "ses"),
        follows,
        declares,
    )
    git(directory, "init", "-q")
    git(directory, "add", "manifests")
    git(directory, "commit", "-qm", "before")
    write(manifests / "acme.yaml", account("acme"), follows, declares)
    result = sendroute("validate", "manifests", "--base", "HEAD")
    assert "ses of account acme/acme is removed; 2 domains get another route" in result.out


def test_a_profile_that_the_base_lacks_too_is_not_reported_as_removed(
    sendroute: Program, manifests: Path
) -> None:
    directory = manifests.parent
    shop = domain("acme", "shop.example.com", "{profile: ses}")
    write(manifests / "acme.yaml", account("acme"), shop)
    git(directory, "init", "-q")
    git(directory, "add", "manifests")
    git(directory, "commit", "-qm", "the profile is gone already")
    result = sendroute("validate", "manifests", "--base", "HEAD")
    assert "still refers to profile ses" in result.out
    assert "is removed" not in result.out


def test_a_managed_route_that_the_base_did_not_offer_is_no_reroute(
    sendroute: Program, manifests: Path
) -> None:
    directory = manifests.parent
    shops = [domain("acme", f"shop-{n}.example.com", "{managed: {}}") for n in range(10)]
    write(manifests / "acme.yaml", account("acme", plan="nano"), *shops)
    git(directory, "init", "-q")
    git(directory, "add", "manifests")
    git(directory, "commit", "-qm", "before")
    assert set(findings(sendroute, "--base", "HEAD")) == {("managed-not-in-plan", "warning")}


def test_a_base_with_an_apply_all_does_not_show_what_is_rerouted(
    sendroute: Program, manifests: Path
) -> None:
    """The apply-all may have switched the domains already, which only a store knows."""
    directory = manifests.parent
    names = [f"shop-{number}.example.com" for number in range(12)]
    more = ", applyToAll: {id: once, route: {profile: ses}, confirm: {domains: 50}}"
    declared = [domain("acme", name, "{managed: {}}") for name in names]
    write(manifests / "acme.yaml", account("acme", more=more), profile("acme", "ses"), *declared)
    git(directory, "init", "-q")
    git(directory, "add", "manifests")
    git(directory, "commit", "-qm", "before")
    synced = [domain("acme", name, "{profile: ses}") for name in names]
    write(manifests / "acme.yaml", account("acme", more=more), profile("acme", "ses"), *synced)
    reported = {code for code, _ in findings(sendroute, "--base", "HEAD")}
    assert "too-many-changes" not in reported


def test_what_a_base_does_not_show_is_named_and_never_an_error(
    sendroute: Program, manifests: Path
) -> None:
    directory = manifests.parent
    git(directory, "init", "-q")
    (manifests / "broken.yaml").write_text("a: [\n")
    (manifests / "gone").symlink_to("nowhere")
    git(directory, "add", "manifests")
    git(directory, "commit", "-qm", "1")
    commit = git(directory, "rev-parse", "HEAD").strip()
    git(directory, "update-index", "--add", "--cacheinfo", f"160000,{commit},manifests/tenants")
    git(directory, "commit", "-qm", "2")
    (manifests / "broken.yaml").unlink()
    (manifests / "gone").unlink()
    (manifests / "tenants").mkdir()
    write(manifests / "tenants/acme.yaml", account("other"))
    result = sendroute("validate", "manifests", "--base", "HEAD", "--strict")
    assert result.status == 0, result
    for name in ("broken.yaml", "gone", "tenants"):
        assert f"HEAD:manifests/{name}" in result.out
    assert result.out.count("The base revision is not known whole.") == 3
    assert "it is a submodule" in result.out


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
    "with a huge repetition": (
        "{properties: {kind: {pattern: 'a{99999999999}'}}}",
        "invalid-value",
    ),
    "whose draft is a number": ("$schema: 5", "invalid-value"),
    "whose draft is a mapping": ("$schema: {a: 1}", "invalid-value"),
}


@pytest.mark.parametrize("case", POLICIES, ids=str)
def test_an_invalid_policy_is_one_finding(case: str, sendroute: Program, manifests: Path) -> None:
    text, code = POLICIES[case]
    if text is not None:
        (manifests.parent / "policy.yaml").write_bytes(text.encode("utf-8", "surrogateescape"))
    result = sendroute("validate", "manifests", "--policy", "policy.yaml", "-o", "json")
    (problem,) = json.loads(result.out)["findings"]
    assert (result.status, problem["code"], problem["position"]["file"]) == (1, code, "policy.yaml")


@pytest.mark.parametrize("number", [".nan", ".inf", "-.inf"])
def test_a_number_that_a_rule_cannot_take_is_a_finding_at_its_document(
    number: str, sendroute: Program, manifests: Path
) -> None:
    policy = {"properties": {"spec": {"properties": {"x": {"multipleOf": 0.1}}}}}
    (manifests.parent / "p.json").write_text(json.dumps(policy))
    text = (manifests / "acme.yaml").read_text()
    (manifests / "acme.yaml").write_text(text.replace("spec:\n", f"spec:\n  x: {number}\n", 1))
    result = sendroute("validate", "manifests", "--policy", "p.json", "-o", "json")
    reported = [
        (item["code"], item["position"]["file"]) for item in json.loads(result.out)["findings"]
    ]
    assert result.status == 1
    assert reported.count(("policy-violation", "manifests/acme.yaml")) == 1
    assert ("unknown-field", "manifests/acme.yaml") in reported


@pytest.mark.parametrize(
    "rule", ['{"title": "x", "$ref": "#/title"}', '{"x": [1], "$ref": "#/x/0"}']
)
def test_a_policy_whose_reference_leads_to_no_schema_is_a_finding_at_each_document(
    rule: str, sendroute: Program, manifests: Path
) -> None:
    (manifests.parent / "p.json").write_text(rule)
    result = sendroute("validate", "manifests", "--policy", "p.json")
    assert result.status == 1
    assert "cannot be checked against the policy p.json" in result.out


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
    assert "deeper than 100 levels" in result.out


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


SECRET = "hunter2-in-a-strangers-file"
OUTSIDE = {
    "syntax": f"a: [{SECRET}\n: {SECRET}\n",
    "an ambiguous value": domain("acme", "x.example.com").replace("account: acme", "account: 0465"),
    "a key that is no field": account(SECRET) + f"{SECRET}: {SECRET}\n",
    "a wrong value": account(SECRET, plan=f"'{SECRET} {SECRET}'"),
    "a wrong domain": domain("acme", f"{SECRET}_.example.com"),
    "an unknown profile": domain("acme", "x.example.com", f"{{profile: {SECRET}}}"),
    "a misspelt group": account("a").replace("sendroute.dev", f"sendroute.{SECRET}"),
    "bytes that are not UTF-8": "caf\udce9",
}


@pytest.mark.parametrize("case", OUTSIDE)
@pytest.mark.parametrize("form", ["text", "json", "markdown", "html", "github", "sarif", "junit"])
def test_a_file_outside_the_tree_is_not_quoted(
    case: str, form: str, sendroute: Program, manifests: Path
) -> None:
    secret = manifests.parent / "elsewhere/secret.yaml"
    secret.parent.mkdir()
    secret.write_text(OUTSIDE[case], errors="surrogateescape")
    (manifests / "link.yaml").symlink_to(secret)
    result = sendroute("validate", "manifests", "-o", form)
    assert result.status == 1
    assert "link.yaml" in result.out
    for part in (SECRET, "0465", "0xe9"):
        assert part not in result.out + result.err


def test_a_file_below_a_link_out_of_the_tree_is_not_quoted(
    sendroute: Program, manifests: Path
) -> None:
    write(manifests.parent / "elsewhere/deep/x.yaml", account("a", plan=f"'{SECRET} '"))
    (manifests / "tenants").symlink_to("../elsewhere")
    (manifests / ".hidden").mkdir()
    write(manifests / ".hidden/y.yaml", account("b", plan=f"'{SECRET} '"))
    (manifests / "y.yaml").symlink_to(".hidden/y.yaml")
    result = sendroute("validate", "manifests", "-o", "json")
    reported = {entry["position"]["file"] for entry in json.loads(result.out)["findings"]}
    assert reported == {"manifests/tenants/deep/x.yaml", "manifests/y.yaml"}
    assert SECRET not in result.out


def test_the_hint_about_a_file_outside_the_tree_has_no_name_of_it(
    sendroute: Program, manifests: Path
) -> None:
    """Neither a remedy with the names of its objects, nor one that does not fit the hint."""
    write(
        manifests.parent / "elsewhere/x.yaml",
        account("strange"),
        profile("strange", SECRET),
        KUBERNETES_SECRET,
    )
    (manifests / "x.yaml").symlink_to("../elsewhere/x.yaml")
    result = sendroute("validate", "manifests", "-o", "json")
    hints = {entry["code"]: entry["hint"] for entry in json.loads(result.out)["findings"]}
    assert hints.keys() == {"profile-unused", "secret-in-manifests"}
    assert {hint.rpartition(". ")[2] for hint in hints.values()} == {
        "Nothing of the file is quoted, because a link that leads out of the tree leads to it."
    }
    for part in (SECRET, "strange", "canary"):
        assert part not in result.out


def test_a_link_within_the_tree_is_quoted(sendroute: Program, manifests: Path) -> None:
    write(manifests / "deep/x.txt", account("a", plan="'No Plan'"))
    (manifests / "x.yaml").symlink_to("deep/x.txt")
    assert "No Plan" in sendroute("validate", "manifests", "-o", "json").out


def test_a_number_is_quoted_as_it_is_written(sendroute: Program, manifests: Path) -> None:
    applies = ", applyToAll: {id: 1.10, route: {managed: {}}}"
    write(manifests / "acme.yaml", account("acme", more=applies))
    result = sendroute("validate", "manifests", "-o", "json")
    (wrong,) = json.loads(result.out)["findings"]
    assert wrong["message"].endswith("not 1.10.")
    assert wrong["hint"] == 'Put it into quotes to use it as text: "1.10".'
    write(manifests / "acme.yaml", account("acme", more=applies.replace("1.10", '"1.10"')))
    assert sendroute("validate", "manifests").status == 0


def test_the_hint_of_a_quoted_port_is_a_number_that_is_accepted(
    sendroute: Program, manifests: Path
) -> None:
    for written, hint in (('"0465"', "Write it without quotes: 465."), ('"99999"', "without")):
        write(
            manifests / "acme.yaml",
            account("acme", more=", defaultRoute: {profile: ses}"),
            profile("acme", "ses").replace("587", written),
        )
        (wrong,) = json.loads(sendroute("validate", "manifests", "-o", "json").out)["findings"]
        assert (hint in wrong["hint"]) is (hint != "without")


@pytest.mark.parametrize(
    "document",
    [
        account("acme"),
        domain("acme", "x.example.com"),
        domain("acme", "bücher.example", "{managed: {}}"),
        profile("acme", "ses"),
        account("acme", more=", typo: 1"),
    ],
)
def test_the_namespace_of_the_platform_is_closed_to_tenants(
    document: str, sendroute: Program, manifests: Path
) -> None:
    text = document.replace("namespace: acme", "namespace: sendroute-system")
    write(manifests / "system.yaml", text)
    result = sendroute("validate", "manifests", "-o", "json")
    reported = {(f["code"], f["position"]["line"]) for f in json.loads(result.out)["findings"]}
    assert ("reserved-namespace", 3) in reported
    assert result.status == 1


def accepting(document: str, codes: str) -> str:
    return document.replace("metadata: {", f"metadata: {{annotations: {{{codes}}}, ", 1)


def test_an_object_accepts_findings_below_error(sendroute: Program, manifests: Path) -> None:
    accepted = '"sendroute.dev/accept": "unusual-port,profile-unused"'
    odd = profile("acme", "odd").replace("587", "5870")
    write(manifests / "odd.yaml", accepting(odd, accepted), odd.replace("odd", "other"))
    reported = json.loads(sendroute("validate", "manifests", "-o", "json").out)["findings"]
    assert {f["position"]["line"] > 10 for f in reported} == {True}
    write(manifests / "odd.yaml", accepting(odd, accepted))
    assert findings(sendroute, "--strict") == []
    assert sendroute("validate", "manifests", "--strict").status == 0


def test_an_error_cannot_be_accepted(sendroute: Program, manifests: Path) -> None:
    accepted = '"sendroute.dev/accept": "unknown-profile"'
    write(
        manifests / "x.yaml",
        accepting(domain("acme", "x.example.com", "{profile: nope}"), accepted),
    )
    assert sorted(findings(sendroute)) == [
        ("invalid-value", "warning"),
        ("unknown-profile", "error"),
    ]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("unknown-profile", "which is an error and cannot be accepted"),
        ("account-removal", "which is a refusal and cannot be accepted"),
        ("managed-not-in-plan", None),
    ],
)
def test_accepting_what_is_never_below_error_is_a_warning(
    sendroute: Program, manifests: Path, code: str, words: str | None
) -> None:
    accepted = f'"sendroute.dev/accept": "{code}"'
    write(manifests / "x.yaml", accepting(domain("acme", "x.example.com"), accepted))
    reported = json.loads(sendroute("validate", "manifests", "-o", "json").out)["findings"]
    assert [words in item["message"] for item in reported if words] == [True] * bool(words)
    assert len(reported) == bool(words)
    for item in reported:
        assert (item["code"], item["severity"]) == ("invalid-value", "warning")
        assert item["position"]["file"].endswith("x.yaml")


def test_an_unknown_code_that_is_accepted_is_a_warning(sendroute: Program, manifests: Path) -> None:
    accepted = '"sendroute.dev/accept": "unusual-prot"'
    write(manifests / "x.yaml", accepting(domain("acme", "x.example.com"), accepted))
    result = sendroute("validate", "manifests", "-o", "json")
    (warning,) = json.loads(result.out)["findings"]
    assert (warning["code"], warning["severity"]) == ("invalid-value", "warning")
    assert warning["hint"] == "Did you mean unusual-port?"
    assert result.status == 0


@pytest.mark.parametrize(
    ("annotation", "meant"),
    [
        ("sendroute.dev/acept", "accept"),
        ("sendroute.dev/Accept", "accept"),
        ("sendroute.dev/aprove", "approve"),
        ("sendrute.dev/accept", "accept"),
        ("sendroute.io/accept", "accept"),
        ("accept", None),
        ("sendroute.dev/approve", None),
        ("sendroute.dev/ticket", None),
        ("other.example/acept", None),
        ("kubernetes.io/accept", None),
    ],
)
@pytest.mark.parametrize("kind", ["SendingDomain", "MailAccount"])
def test_an_annotation_that_is_nearly_ours_is_a_warning(
    kind: str, annotation: str, meant: str | None, sendroute: Program, manifests: Path
) -> None:
    document = domain("acme", "x.example.com") if kind == "SendingDomain" else account("other")
    write(manifests / "x.yaml", accepting(document, f'"{annotation}": "profile-unused"'))
    result = sendroute("validate", "manifests", "-o", "json")
    reported = json.loads(result.out)["findings"]
    assert (result.status, len(reported)) == (0, int(meant is not None))
    for warning in reported:
        assert (warning["code"], warning["severity"]) == ("invalid-value", "warning")
        assert warning["hint"] == f"Did you mean sendroute.dev/{meant}?"
        assert warning["position"]["file"].endswith("x.yaml")


def test_documents_that_are_ignored_are_counted(sendroute: Program, manifests: Path) -> None:
    """The sentence refers to no list, because an edit shows none."""
    removed = account("gone", more=", remove: {confirm: {domains: 0}}")
    for count, words in (
        (1, "so 1 other document of it is"),
        (14, "so 14 other documents of it are"),
    ):
        domains = [domain("gone", f"d{number}.example") for number in range(count)]
        write(manifests / "gone.yaml", removed, *domains)
        assert f"{words} ignored." in sendroute("validate", "manifests").out


def test_one_document_of_others_is_counted_as_one(sendroute: Program, manifests: Path) -> None:
    write(manifests / "other.yaml", "apiVersion: v1\nkind: ConfigMap\n")
    assert "Skipped 1 document of other" in sendroute("-v", "validate", "manifests").err


LOCKS = {
    "merge marks": ('{\n<<<<<<< HEAD\n "revision": 1,\n', 2, "has an unresolved merge conflict."),
    "a mark that was forgotten": (' {\n=======\n "revision": 1}', 2, "merge conflict"),
    "merge marks behind text": ('{"é": "\n>>>>>>> theirs\n', 2, "merge conflict"),
    "no JSON": ('{\n "lineage": x\n}\n', 2, "not well-formed JSON"),
    "a cut file": ('{\n "lineage": "\n', 2, "not well-formed JSON"),
    "no UTF-8": ('{\n "lineage": "\udce9"\n}\n', 2, "not "),
    "something else": ('{"lineage": "hunter2", "revision": 1}', 1, "not a valid lock file"),
}


@pytest.mark.parametrize("case", LOCKS)
def test_a_lock_file_that_cannot_be_read_is_reported_at_its_line(
    case: str, sendroute: Program, manifests: Path, store: Path
) -> None:
    assert store.exists()
    text, line, message = LOCKS[case]
    (manifests / "sendroute.lock").write_text(text, errors="surrogateescape")
    for arguments in (("validate", "manifests"), ("plan", "manifests")):
        result = sendroute(*arguments, "-o", "json")
        (report,) = json.loads(result.out)["findings"]
        assert result.status == 1
        assert report["position"]["file"] == "manifests/sendroute.lock"
        assert (report["position"].get("line", 1), message in report["message"]) == (line, True)
        assert "hunter2" not in result.out
    assert sendroute("apply", "manifests", "--auto-approve").status == 1


@pytest.mark.parametrize(
    "case", ["a named pipe", "a directory", "a later format", "a later header", "no format"]
)
def test_every_command_refuses_a_lock_file_that_validate_refuses(
    case: str, sendroute: Program, manifests: Path, store: Path
) -> None:
    assert store.exists()
    lock = manifests / "sendroute.lock"
    assert sendroute("apply", "manifests", "--write-lock", str(lock)).status == 0
    content = json.loads(lock.read_text())
    code = {"no format": "invalid-value"}.get(case, "store-version")
    if make := {"a named pipe": os.mkfifo, "a directory": os.mkdir}.get(case):
        code = "unreadable"
        lock.unlink()
        make(lock)
    elif case == "no format":
        del content["format_version"]
    else:
        content["format_version"] = "2.0"
        if case == "a later header":
            content["lineage"] = 1
    if lock.is_file():
        lock.write_text(json.dumps(content))
    for command in ("validate", "plan", "apply", "status"):
        result = sendroute(command, "manifests", "-o", "json")
        document = json.loads(result.out)
        listed = document["lock_files" if command == "status" else "findings"]
        assert (command, [item["code"] for item in listed]) == (command, [code])
        assert result.status in (1, 3)


def test_a_lock_file_whose_link_has_no_target_is_not_taken_for_absent(
    sendroute: Program, manifests: Path
) -> None:
    (manifests / "sendroute.lock").symlink_to("nowhere")
    reported = json.loads(sendroute("validate", "manifests", "-o", "json").out)["findings"]
    assert {(f["code"], f["position"]["file"]) for f in reported} == {
        ("unreadable", "manifests/sendroute.lock")
    }
    assert any("lock file" in f["message"] for f in reported)


@pytest.mark.usefixtures("manifests")
@pytest.mark.parametrize("also_read", [False, True])
def test_a_bug_while_policies_are_checked_is_one_finding_of_the_file(
    sendroute: Program, monkeypatch: pytest.MonkeyPatch, also_read: bool
) -> None:
    def failing(*_: object) -> NoReturn:
        raise KeyError("canary")

    Path("policy.yaml").write_text("required: [nothing]\n")
    Path("manifests/acme.yaml").unlink()
    monkeypatch.setattr(exact, "pieces", failing)
    if also_read:
        monkeypatch.setattr(fast, "read", failing)
    result = sendroute("validate", "manifests", "--policy", "policy.yaml")
    assert (result.status, "Traceback" in result.err, "canary" in result.out) == (1, False, False)
    assert result.out.count("error internal-error  manifests/platform.yaml") == 1, result
