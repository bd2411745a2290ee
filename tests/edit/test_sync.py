"""sync, if routes in the store differ from the manifests after an apply-all or a reassignment."""

import json
from pathlib import Path

import pytest

from .conftest import Program, files_of
from .test_commands import ACME, PLATFORM

INLINE = """\
---
apiVersion: sendroute.dev/v1alpha1
kind: SendingDomain
metadata: {name: mail, namespace: acme}
spec:
  account: acme
  domain: mail.example.com
  route:
    newProfile:
      name: relay
      host: smtp.relay.example  # ours
      port: 587
      encryption: starttls
      connectionTest: skip
"""


@pytest.fixture
def tree(workdir: Path, sendroute: Program) -> Path:
    (workdir / "m").mkdir()
    (workdir / "m/platform.yaml").write_text(PLATFORM)
    (workdir / "m/acme.yaml").write_text(ACME + INLINE)
    assert sendroute("init").status == 0
    apply(sendroute)
    assert sendroute("sync", "m", "--check").status == 0
    return workdir / "m"


def apply(sendroute: Program) -> None:
    ran = sendroute("apply", "m", "--auto-approve")
    assert ran.status == 0, ran


def routes(sendroute: Program) -> dict[str, object]:
    document = json.loads(sendroute("routes", "-o", "json").out)
    return {row["domain"]: row["route"] for row in document["domains"]}


def test_shadowed_domains_get_the_assigned_route(sendroute: Program, tree: Path) -> None:
    assert sendroute("edit", "apply-to-all", "acme", "--unconfigured", "m").status == 0
    apply(sendroute)
    before, assigned = files_of(tree), routes(sendroute)
    checked = sendroute("sync", "m", "--check")
    assert checked.status == 1
    assert checked.out.count("out-of-sync") == 2, "news declares nothing"
    assert "m/acme.yaml:22:10" in checked.out
    assert "sendroute sync m\n" in checked.out, "a command to copy"
    assert files_of(tree) == before
    assert sendroute("sync", "m").status == 0
    text = (tree / "acme.yaml").read_text()
    assert "  route: {unconfigured: {}}  # shop\n" in text
    assert "  host: smtp.relay.example  # ours\n" in text, "the profile was kept"
    assert text.count("route:") == 3, "shop, mail, and the route of the apply-all"
    apply(sendroute)
    assert routes(sendroute) == assigned
    assert sendroute("sync", "m", "--check").status == 0
    assert sendroute("sync", "m").out.startswith("No changes")


def test_a_change_that_is_not_applied_is_never_overwritten(sendroute: Program, tree: Path) -> None:
    changed = (tree / "acme.yaml").read_text().replace("{profile: ses}", "{unconfigured: {}}")
    (tree / "acme.yaml").write_text(changed)
    ran = sendroute("sync", "m")
    assert ran.status == 0
    assert "keeps its declared route" in ran.err
    assert (tree / "acme.yaml").read_text() == changed
    hint = "sendroute edit set-route shop.example.com --profile ses m"
    assert hint in " ".join(ran.err.split()), ran
    assert sendroute(*hint.split()[1:]).status == 0
    assert sendroute("sync", "m").err == ""


@pytest.mark.parametrize(
    "edit",
    [("rename-profile", "acme/ses", "own"), ("delete-profile", "acme/ses", "--unconfigured")],
)
def test_no_hint_declares_a_profile_that_is_gone(
    sendroute: Program, tree: Path, edit: tuple[str, ...]
) -> None:
    assert sendroute("edit", *edit, str(tree)).status == 0
    ran = sendroute("sync", "m")
    assert "hint: Apply the change." in ran.err
    assert "set-route" not in ran.err


def test_a_profile_deleted_from_a_route_that_overrides_an_apply_all(
    sendroute: Program, tree: Path
) -> None:
    """What is left would be spec.overrides without a route, which no edit may write."""
    assert sendroute("edit", "apply-to-all", "acme", "--unconfigured", "m").status == 0
    apply(sendroute)
    back = ("set-route", "shop.example.com", "--profile", "ses", "m")
    assert sendroute("edit", *back).status == 0
    assert "overrides" in (tree / "acme.yaml").read_text()
    apply(sendroute)
    ran = sendroute("edit", "delete-profile", "ses", "--account", "acme", "--undeclare", "m")
    assert ran.status == 0, ran
    assert "overrides" not in (tree / "acme.yaml").read_text()
    assert sendroute("validate", "m").status == 0


def test_a_route_through_a_missing_profile_is_not_written(sendroute: Program, tree: Path) -> None:
    assert sendroute("edit", "apply-to-all", "acme", "--profile", "relay", "m").status == 0
    apply(sendroute)
    text = (tree / "acme.yaml").read_text().replace(INLINE, "")
    text = text[: text.index("  applyToAll")] + text[text.index("---\n") :]
    (tree / "acme.yaml").write_text(text)
    ran = sendroute("sync", "m")
    assert ran.status == 0
    assert "unknown-profile" in ran.err
    assert (tree / "acme.yaml").read_text() == text


def test_domains_unknown_to_the_store_are_unchanged(sendroute: Program, tree: Path) -> None:
    (tree / "new.yaml").write_text(
        ACME.rpartition("---\n")[2].replace("news", "new") + "  route: {profile: ses}\n"
    )
    assert sendroute("sync", "m", "--check").status == 0


def test_apply_all_uses_ids_and_counts_of_the_store(sendroute: Program, tree: Path) -> None:
    edit = ("edit", "apply-to-all", "acme", "--profile", "ses")
    assert sendroute(*edit, "--id", "once", "m").status == 0
    apply(sendroute)
    text = (tree / "acme.yaml").read_text()
    again = sendroute(*edit, "--id", "once", "m")
    assert (again.status, "apply-all-id-reused" in again.err) == (3, True)
    (tree / "acme.yaml").write_text(text.replace(INLINE, ""))
    assert sendroute(*edit, "m").status == 0
    assert "confirm: {domains: 3}" in (tree / "acme.yaml").read_text(), (
        "the store has more domains than the manifests"
    )


def test_without_a_store_sync_fails(sendroute: Program, workdir: Path) -> None:
    (workdir / "a.yaml").write_text(ACME)
    ran = sendroute("sync", "a.yaml", "--check")
    assert (ran.status, "not-initialised" in ran.err) == (3, True)


def test_a_file_behind_a_link_out_of_the_paths_is_not_rewritten(
    sendroute: Program, tree: Path
) -> None:
    assert sendroute("edit", "apply-to-all", "acme", "--unconfigured", "m").status == 0
    apply(sendroute)
    (tree.parent / "other").mkdir()
    (tree / "acme.yaml").rename(tree.parent / "other/acme.yaml")
    (tree / "team").symlink_to("../other")
    before = files_of(tree.parent)
    checked = sendroute("sync", "m", "--check")
    assert (checked.status, "unwritable" in checked.out) == (1, True)
    ran = sendroute("sync", "m")
    assert ran.status == 1
    assert "m/team/acme.yaml" in ran.err
    assert files_of(tree.parent) == before
    assert sendroute("sync", "m", "other").status == 0


def test_a_hostile_comment_is_escaped_in_the_diff(sendroute: Program, tree: Path) -> None:
    assert sendroute("edit", "apply-to-all", "acme", "--unconfigured", "m").status == 0
    apply(sendroute)
    file = tree / "acme.yaml"
    file.write_text(file.read_text().replace("# shop", "# ##[group]\u3164"))
    ran = sendroute("sync", "m", "--dry-run")
    assert ran.status == 0, ran
    assert "# ## [group]\\u3164" in ran.out
    assert ran.err.count("is shown with escapes") == 1


BETA = """\
apiVersion: sendroute.dev/v1alpha1
kind: MailAccount
metadata: {name: beta, namespace: acme}
spec: {plan: nano}
""" + INLINE.replace("account: acme", "account: beta").replace("mail", "post").replace(
    "host: smtp.relay", "host: smtp.beta"
)


def copied(sendroute: Program, err: str) -> None:
    """Run the commands of the one hint that renames a profile."""
    (line,) = [line for line in err.splitlines() if "rename-profile" in line]
    for command in line.partition(": sendroute ")[2].split(" && sendroute "):
        ran = sendroute(*command.split())
        assert ran.status == 0, (command, ran)


@pytest.fixture
def sharing(sendroute: Program, tree: Path) -> Path:
    """Two accounts of a namespace define a profile of one name inline, and an apply-all shadows
    both domains."""
    (tree / "beta.yaml").write_text(BETA)
    apply(sendroute)
    for account in ("acme", "beta"):
        edit = ("edit", "apply-to-all", account, "--unconfigured", "m")
        assert sendroute(*edit).status == 0
    apply(sendroute)
    return tree


def test_sync_skips_only_a_domain_whose_inline_profile_cannot_get_a_document(
    sendroute: Program, sharing: Path
) -> None:
    ran = sendroute("sync", "m")
    assert ran.status == 0, ran
    assert "route of shop.example.com: profile ses → unconfigured" in ran.out
    assert "route of mail.example.com: profile relay → unconfigured" in ran.out
    assert "warning duplicate-object  m/beta.yaml" in ran.err
    assert "The manifest of post.example.com keeps its declared route." in ran.err
    assert (sharing / "beta.yaml").read_text().endswith(BETA.partition("---\n")[2])
    before = routes(sendroute)
    copied(sendroute, ran.err)
    apply(sendroute)
    assert routes(sendroute) == before, "the profile has another name, and no route changes"
    assert sendroute("sync", "m", "--check").status == 0


@pytest.mark.usefixtures("sharing")
@pytest.mark.parametrize(
    "command",
    [
        ("set-route", "post.example.com", "--unconfigured"),
        ("extract-profile", "acme/relay", "--account", "beta"),
        ("delete-domain", "post.example.com"),
    ],
)
def test_an_edit_that_needs_another_name_for_a_profile_says_which_command_gives_it(
    sendroute: Program, command: tuple[str, ...]
) -> None:
    extracted = sendroute("edit", "extract-profile", "acme/relay", "--account", "acme", "m")
    assert extracted.status == 0, extracted
    ran = sendroute("edit", *command, "m")
    assert (ran.status, "duplicate-object" in ran.err) == (1, True)
    copied(sendroute, ran.err)
    command = tuple(word.replace("/relay", "/relay-2") for word in command)
    assert sendroute("edit", *command, "m").status == 0
