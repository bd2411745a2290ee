"""The edit commands: output, refusals and exit status."""

import json
import subprocess
from pathlib import Path

import pytest

from sendroute.cli.commands.edit import COMMANDS

from .conftest import PLATFORM, Program, files_of

ACME = """\
apiVersion: sendroute.dev/v1alpha1
kind: MailAccount
metadata: {name: acme, namespace: acme}
spec:
  plan: nano  # until May
---
apiVersion: sendroute.dev/v1alpha1
kind: SMTPProfile
metadata: {name: ses, namespace: acme}
spec: {account: acme, host: smtp.ses.example, port: 587, encryption: starttls, connectionTest: skip}
---
apiVersion: sendroute.dev/v1alpha1
kind: SendingDomain
metadata: {name: shop, namespace: acme}
spec:
  account: acme
  domain: shop.example.com
  route: {profile: ses}  # shop
---
apiVersion: sendroute.dev/v1alpha1
kind: SendingDomain
metadata: {name: news, namespace: acme}
spec:
  account: acme
  domain: news.example.com
"""


@pytest.fixture
def tree(workdir: Path) -> Path:
    (workdir / "m").mkdir()
    (workdir / "m/platform.yaml").write_text(PLATFORM)
    (workdir / "m/acme.yaml").write_text(ACME)
    return workdir / "m"


def words(command: str) -> list[str]:
    return ["edit", *command.split(), "m"]


def test_what_an_edit_means_for_many_domains_is_said_once(sendroute: Program, tree: Path) -> None:
    path = tree / "acme.yaml"
    manifest = path.read_text().replace("plan: nano", "plan: pro")
    manifest = manifest.replace("route: {profile: ses}", "route: {managed: {}}")
    path.write_text(f"{manifest}  route: {{managed: {{}}}}\n")
    result = sendroute("edit", "set-plan", "acme", "nano", "m")
    assert result.status == 0, result
    assert result.err.count("warning managed-not-in-plan") == 1
    assert "the same for: shop.example.com" in result.err


TWO = """\
---
apiVersion: sendroute.dev/v1alpha1
kind: MailAccount
metadata: {name: acme, namespace: bolt}
spec: {plan: nano}
---
apiVersion: sendroute.dev/v1alpha1
kind: SMTPProfile
metadata: {name: ses, namespace: bolt}
spec: {account: acme, host: smtp.ses.example, port: 587, encryption: starttls, connectionTest: skip}
"""


@pytest.mark.parametrize(
    ("command", "status", "text"),
    [
        ("delete-profile acme/ses --unconfigured", 0, "account acme/acme: deleted"),
        ("delete-profile bolt/ses", 0, "account bolt/acme: deleted"),
        ("delete-profile bolt/ses --account bolt/acme", 0, "account bolt/acme: deleted"),
        ("rename-profile bolt/ses relay", 0, "account bolt/acme"),
        ("extract-profile acme/ses", 1, "account acme/acme already has a separate document"),
        ("delete-profile ses", 1, "Add --account acme/acme or --account bolt/acme."),
        ("rename-profile ses relay", 1, "Add --account acme/acme or --account bolt/acme."),
        ("delete-profile acne/ses", 1, "Did you mean `acme/ses`?"),
        ("delete-profile bolt/ses --account acme/acme", 1, "has no profile bolt/ses"),
    ],
)
def test_a_profile_is_named_with_its_namespace_or_its_account(
    sendroute: Program, tree: Path, command: str, status: int, text: str
) -> None:
    (tree / "bolt.yaml").write_text(TWO)
    ran = sendroute(*words(command))
    assert (ran.status, text in ran.out + ran.err) == (status, True), ran


@pytest.mark.parametrize("command", ["delete-profile ses --unconfigured", "rename-profile ses x"])
def test_the_only_profile_of_a_name_needs_no_account(
    sendroute: Program, tree: Path, command: str
) -> None:
    assert tree.is_dir()
    assert sendroute(*words(command)).status == 0


@pytest.mark.usefixtures("tree")
def test_a_domain_of_another_account_is_moved_and_not_rerouted(sendroute: Program) -> None:
    assert sendroute("edit", "add-account", "bolt/bolt", "--plan", "pro", "m").status == 0
    result = sendroute("edit", "add-domain", "shop.example.com", "--account", "bolt", "m")
    assert (result.status, "domain-conflict" in result.err) == (1, True)
    assert "To move it to account bolt/bolt, delete it there" in result.err
    assert "set-route" not in result.err


def test_each_change_is_printed_with_its_line(sendroute: Program, tree: Path) -> None:
    ran = sendroute(*words("set-route shop.example.com --unconfigured"))
    assert ran.status == 0
    assert ran.out.splitlines() == [
        "m/acme.yaml:18: route of shop.example.com: profile ses → unconfigured",
        "Changed: m/acme.yaml",
        "Next: sendroute plan m",
    ]
    assert (tree / "acme.yaml").read_text() == ACME.replace("{profile: ses}", "{unconfigured: {}}")
    again = sendroute(*words("set-route shop.example.com --unconfigured"))
    assert (again.status, again.out) == (
        0,
        "No changes: the manifests are up to date.\n",
    )


REFUSED = {
    "an unknown domain": ("set-route shp.example.com --unconfigured", 1, "unknown-domain", "shop"),
    "an unknown domain that no edit would name": (
        "delete-domain other.example --account acme",
        1,
        "unknown-domain",
        "hint: Check the name and the given paths.",
    ),
    "a new domain in place of a known one": (
        "set-route other.example --unconfigured",
        1,
        "unknown-domain",
        "edit add-domain other.example",
    ),
    "no domain at all": ("set-route not_one --unconfigured", 1, "invalid-value", "underscore"),
    "an unknown profile": ("set-route shop.example.com --profile se", 1, "unknown-profile", "ses?"),
    "managed on a plan without": (
        "set-route shop.example.com --managed",
        1,
        "managed-not-in-plan",
        "nano",
    ),
    "an apply-all whose route is not satisfiable": (
        "apply-to-all acme --managed",
        3,
        "apply-all-unsatisfiable",
        "nano",
    ),
    "an unknown account": ("set-default acne --profile ses", 1, "unknown-account", "acme"),
    "an existing domain": (
        "add-domain SHOP.example.com --account acme",
        1,
        "domain-conflict",
        "acme.yaml:17:11",
    ),
    "an existing domain of the same account": (
        "add-domain shop.example.com --account acme",
        1,
        "domain-conflict",
        "edit set-route shop.example.com",
    ),
    "a profile of an account with only one": (
        "set-route shop.example.com --profile mailgun",
        1,
        "unknown-profile",
        "Its only profile is ses.",
    ),
    "an existing profile": (
        "add-domain x.example.com --account acme --new-profile ses --provider ses",
        1,
        "duplicate-profile",
        "through profile ses",
    ),
    "a new profile without a host": (
        "add-domain x.example.com --account acme --new-profile x --port 25 --encryption tls",
        1,
        "missing-field",
        "host",
    ),
    "a new profile with a bad name": (
        "add-domain x.example.com --account acme --new-profile X_Y --provider ses",
        1,
        "invalid-value",
        "lower-case",
    ),
    "a file whose name is too long": (
        f"add-domain x.example.com --account acme --file m/{'x' * 260}.yaml",
        1,
        "invalid-value",
        "Choose another name.",
    ),
    "a profile that is still in use": (
        "delete-profile ses --account acme",
        1,
        "unknown-profile",
        "acme.yaml:18:10",
    ),
    "a profile with its own document": (
        "extract-profile ses --account acme",
        1,
        "invalid-value",
        "already",
    ),
    "a profile replaced by itself": (
        "delete-profile ses --account acme --profile ses",
        1,
        "invalid-value",
        "cannot replace itself",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_edit_writes_nothing(case: str, sendroute: Program, tree: Path) -> None:
    command, status, code, part = REFUSED[case]
    before = files_of(tree)
    ran = sendroute(*words(command))
    assert ran.status == status, ran
    assert code in ran.err
    assert part in ran.err
    assert ran.out == ""
    assert files_of(tree) == before


def test_a_path_that_does_not_exist_is_the_only_problem(sendroute: Program, tree: Path) -> None:
    assert tree.is_dir()
    ran = sendroute("edit", "set-route", "shop.example", "--managed", "missing")
    assert ran.status == 1
    assert "no such file" in ran.err
    assert "unknown-domain" not in ran.err


WRONG = {
    "no edit": ((), "usage:"),
    "a mistyped edit": (("set-rute", "x", "m"), "Did you mean `set-route`?"),
    "no route": (("set-route", "x", "m"), "required"),
    "two routes": (("set-route", "x", "--managed", "--unconfigured", "m"), "not allowed"),
    "standard input": (("set-route", "x", "--managed", "-"), "in place"),
    "a new profile without a name": (
        ("add-domain", "x", "--account", "a", "--host", "h", "m"),
        "--new-profile",
    ),
    "an invalid port": (
        ("add-domain", "x", "--account", "a", "--new-profile", "n", "--port", "0", "m"),
        "65535",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_usage_is_one_sentence(case: str, sendroute: Program, tree: Path) -> None:
    assert tree.is_dir()
    given, part = WRONG[case]
    ran = sendroute("edit", *given)
    assert (ran.status, ran.out) == (64, "")
    assert part in ran.err
    if given[:1] == ("set-route",):
        assert "`sendroute edit set-route --help`" in ran.err


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each_edit_fits_100_columns_and_has_examples(name: str, sendroute: Program) -> None:
    ran = sendroute("edit", name, "--help")
    assert ran.status == 0
    assert f"sendroute edit {name} " in ran.out.partition("examples:")[2]
    assert max(map(len, ran.out.splitlines())) <= 100


def test_global_options_are_accepted_anywhere(sendroute: Program, tree: Path) -> None:
    assert tree.is_dir()
    given = ("set-default", "acme", "--profile", "ses", "m", "--dry-run")
    for command in (("-q", "edit", *given), ("edit", "-q", *given), ("edit", *given, "-q")):
        assert sendroute(*command).status == 0
    assert sendroute("-q", "edit", "-v", *given).status == 64


def test_variables_do_not_set_options_of_an_object(
    sendroute: Program, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kubernetes sets SENDROUTE_PORT in every pod beside a Service named sendroute."""
    assert tree.is_dir()
    monkeypatch.setenv("SENDROUTE_PORT", "tcp://10.0.0.1:587")
    ran = sendroute(*words("add-domain x.example.com --account acme"))
    assert ran.status == 0, ran


def test_a_file_with_errors_is_never_edited(sendroute: Program, tree: Path) -> None:
    text = ACME + "---\nkind: SendingDomain\nmetadata: {name: x\n"
    (tree / "acme.yaml").write_text(text)
    ran = sendroute(*words("set-route shop.example.com --unconfigured"))
    assert ran.status == 1
    assert "unwritable" in ran.err
    assert (tree / "acme.yaml").read_text() == text


def test_a_broken_file_stops_only_edits_that_need_the_whole_tree(
    sendroute: Program, tree: Path
) -> None:
    (tree / "broken.yaml").write_text("kind: SendingDomain\nmetadata: {")
    refused = sendroute(*words("delete-profile ses --account acme --undeclare"))
    assert refused.status == 1
    assert "broken.yaml" in refused.err
    assert sendroute(*words("set-route shop.example.com --unconfigured")).status == 0


@pytest.mark.parametrize(
    "command",
    ["set-route shop.example.com --unconfigured", "delete-profile ses --account acme --undeclare"],
)
def test_a_secret_in_the_file_stops_no_edit(command: str, sendroute: Program, tree: Path) -> None:
    """It is a warning, and not one of the edit's: it was there before."""
    secret = "---\napiVersion: v1\nkind: Secret\nstringData: {password: not-shown}\n"
    (tree / "acme.yaml").write_text(ACME + secret)
    ran = sendroute(*words(command))
    assert (ran.status, "secret-in-manifests" in ran.err) == (0, False)
    assert (tree / "acme.yaml").read_text().endswith(secret)


def test_an_account_beside_files_with_errors_only_names_the_file(
    sendroute: Program, tree: Path
) -> None:
    (tree / "broken.yaml").write_text("kind: SendingDomain\nmetadata: {")
    ran = sendroute("edit", "add-account", "new", "--plan", "pro", "m/broken.yaml")
    assert ran.status == 1
    assert "m/broken.yaml has errors and was not edited." in ran.err


def test_a_part_of_a_tree_can_be_edited(sendroute: Program, tree: Path) -> None:
    (tree / "x.yaml").write_text(
        ACME.rpartition("---\n")[2].replace("news", "x").replace("acme", "other")
    )
    ran = sendroute("edit", "set-route", "x.example.com", "--profile", "any", "m/x.yaml")
    assert ran.status == 0, ran
    assert "profile: any" in (tree / "x.yaml").read_text()


def test_git_applies_the_diff_of_a_dry_run(sendroute: Program, tree: Path) -> None:
    (tree / "acme.yaml").write_bytes(ACME.replace("\n", "\r\n").rstrip().encode())
    before = files_of(tree)
    command = words("add-domain new.example.com --account acme --profile ses")
    tried = sendroute(*command, "--dry-run")
    assert files_of(tree) == before
    Path("change.patch").write_bytes(tried.out.encode())
    subprocess.run(
        ["git", "apply", "--whitespace=nowarn", "change.patch"],
        check=True,
        cwd=tree.parent,
        env={"PATH": "/usr/bin:/bin", "GIT_CEILING_DIRECTORIES": str(tree.parent.parent)},
    )
    patched = files_of(tree)
    for name, data in before.items():
        (tree / name).write_bytes(data)
    assert sendroute(*command).status == 0
    assert files_of(tree) == patched


def test_json_has_changes_files_and_the_diff(sendroute: Program, tree: Path) -> None:
    assert tree.is_dir()
    ran = sendroute(*words("set-default acme --profile ses"), "-o", "json")
    document = json.loads(ran.out)
    assert document["format_version"] == "1.0"
    assert document["written"] is True
    assert document["files"] == [{"file": "m/acme.yaml", "action": "changed"}]
    assert document["changes"][0]["position"] == {"file": "m/acme.yaml", "line": 5}
    assert "+  defaultRoute: {profile: ses}" in document["diff"]


def test_each_apply_all_gets_a_new_id(sendroute: Program, tree: Path) -> None:
    ids = []
    for _ in range(2):
        assert sendroute(*words("apply-to-all acme --profile ses")).status == 0
        text = (tree / "acme.yaml").read_text()
        ids.append(text.partition("id: ")[2].partition("\n")[0])
    assert ids[0].endswith("-to-ses")
    assert ids[1] == f"{ids[0]}-2"
    assert "confirm: {domains: 2}" in text


def test_a_profile_that_fails_its_test_is_not_written(sendroute: Program, tree: Path) -> None:
    before = files_of(tree)
    command = "add-domain x.example.com --account acme --new-profile pm --provider postmark --test"
    ran = sendroute(*words(f"{command} --secret pm"))
    assert ran.status == 1
    assert "secret-missing" in ran.err
    assert files_of(tree) == before


def test_a_profile_of_an_account_with_other_errors_is_not_tested(
    sendroute: Program, tree: Path
) -> None:
    (tree / "wrong.yaml").write_text(
        ACME.split("---\n")[2].replace("ses", "pm").replace("587", "x")
    )
    before = files_of(tree)
    command = "add-domain x.example.com --account acme --new-profile pm --provider postmark --test"
    ran = sendroute(*words(f"{command} --secret pm"))
    assert ran.status == 1, ran
    assert "Traceback" not in ran.err
    assert files_of(tree) == before


@pytest.mark.parametrize("applies_to_all", [False, True])
@pytest.mark.parametrize(("number", "limit"), [(8, ""), (12, "--max-change-percent {} ")])
def test_the_next_command_of_a_rename_is_not_refused(
    sendroute: Program, tree: Path, number: int, limit: str, *, applies_to_all: bool
) -> None:
    """Each domain that uses the profile is rerouted: all but one, or with an apply-all all of the
    account. Which ones an apply-all switched is in the store."""
    route = "{unconfigured: {}}" if applies_to_all else "{profile: ses}"
    more = "".join(
        "---\napiVersion: sendroute.dev/v1alpha1\nkind: SendingDomain\n"
        f"metadata: {{name: shop{n}, namespace: acme}}\n"
        f"spec: {{account: acme, domain: shop{n}.example.com, route: {route}}}\n"
        for n in range(number - 1)
    )
    (tree / "acme.yaml").write_text(f"{ACME}{more}")
    assert sendroute("init", "-q").status == 0
    assert sendroute("apply", "m", "--auto-approve").status == 0
    if applies_to_all:
        assert sendroute(*words("apply-to-all acme --profile ses")).status == 0
        assert sendroute("apply", "m", "--auto-approve").status == 0
    ran = sendroute("edit", "rename-profile", "ses", "ireland", "--account", "acme", "m")
    assert ran.status == 0, ran
    assert ran.err.count("warning too-many-changes") == bool(limit)
    [following] = [line for line in ran.out.splitlines() if line.startswith("Next: sendroute ")]
    limit = limit.format(100 if applies_to_all else 93)
    assert following == f"Next: sendroute plan {limit}m"
    assert sendroute(*following.removeprefix("Next: sendroute ").split()).status == 0


@pytest.mark.parametrize("name", ["SES_1", "a b", ".x"])
def test_a_rename_to_an_invalid_name_says_what_a_name_is(
    sendroute: Program, tree: Path, name: str
) -> None:
    before = files_of(tree)
    ran = sendroute("edit", "rename-profile", "ses", name, "--account", "acme", "m")
    assert (ran.status, files_of(tree)) == (64, before)
    assert ran.err.count("is not a name of 1 to 63 lower-case letters") == 1


def test_an_edit_does_not_claim_what_was_so_before(sendroute: Program, workdir: Path) -> None:
    """A reference to a profile that is gone is nothing that a change of the plan causes."""
    (workdir / "m.yaml").write_text(
        """\
apiVersion: sendroute.dev/v1alpha1
kind: MailPlatform
metadata: {name: default}
spec:
  plans:
  - {name: nano, managed: false}
  - {name: pro, managed: false}
---
apiVersion: sendroute.dev/v1alpha1
kind: MailAccount
metadata: {name: acme}
spec: {plan: pro}
---
apiVersion: sendroute.dev/v1alpha1
kind: SendingDomain
metadata: {name: a-example}
spec: {account: acme, domain: a.example, route: {profile: gone}}
"""
    )
    result = sendroute("edit", "set-plan", "acme", "nano", "m.yaml")
    assert (result.status, result.err) == (0, "")
    assert "plan: nano" in (workdir / "m.yaml").read_text()


def test_an_edit_of_what_cannot_be_read_does_not_call_it_up_to_date(
    sendroute: Program, workdir: Path
) -> None:
    assert sendroute("init").status == 0
    (workdir / "m.yaml").write_bytes(b"\xff")
    result = sendroute("sync", "m.yaml")
    assert result.status == 1
    assert "No changes to what could be read of the manifests." in result.out
    assert "up to date" not in result.out


PENDING = """\
spec:
  plan: pro
  applyToAll: {id: to-managed, route: {managed: {}}, confirm: {domains: 3}}
"""


def test_a_domain_added_beside_an_apply_all_that_is_about_to_run(
    sendroute: Program, tree: Path
) -> None:
    acme = tree / "acme.yaml"
    acme.write_text(ACME.replace("spec:\n  plan: nano  # until May\n", PENDING))
    added = sendroute("edit", "add-domain", "x.example.com", "--account", "acme", "m")
    assert added.status == 0
    assert "info apply-all-wins" in added.err
    assert (
        "to-managed of account acme/acme gives x.example.com managed too, unless it ran"
        in added.err
    )
    other = ("--account", "acme", "--profile", "ses", "m")
    added = sendroute("edit", "add-domain", "y.example.com", *other)
    assert added.status == 0
    assert "warning apply-all-wins" in added.err
    assert "gives y.example.com managed too, and not profile ses" in added.err
    assert "sendroute edit set-route y.example.com" in added.err, "the way out"
    assert "has 4 domains, but only 3 are confirmed" in added.err
    assert "Set its confirm.domains to 4" in added.err


def test_an_apply_all_that_ran_does_not_concern_a_new_domain(
    sendroute: Program, tree: Path
) -> None:
    acme = tree / "acme.yaml"
    acme.write_text(ACME.replace("spec:\n  plan: nano  # until May\n", PENDING))
    assert sendroute("init").status == 0
    assert sendroute("apply", "m", "--auto-approve").status == 0
    added = sendroute("edit", "add-domain", "x.example.com", "--account", "acme", "m")
    assert (added.status, added.err) == (0, "")
