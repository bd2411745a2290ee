"""After an edit, the plan says exactly the change that was meant."""

import json
from pathlib import Path

import pytest

from .conftest import Program
from .test_commands import ACME, PLATFORM

MAILGUN = """\
---
apiVersion: sendroute.dev/v1alpha1
kind: SMTPProfile
metadata: {name: mailgun, namespace: acme}
spec: {account: acme, host: mg.example, port: 587, encryption: starttls, connectionTest: skip}
"""
INLINE = """\
---
apiVersion: sendroute.dev/v1alpha1
kind: SendingDomain
metadata: {name: inline, namespace: acme}
spec:
  account: acme
  domain: inline.example.com
  route:
    newProfile:
      {name: brevo, host: b.example, port: 587, encryption: starttls, connectionTest: skip}
"""

Changes = set[tuple[str, str, str]]


@pytest.fixture
def tree(sendroute: Program, workdir: Path) -> Path:
    manifests = workdir / "m"
    manifests.mkdir()
    (manifests / "platform.yaml").write_text(PLATFORM)
    (manifests / "acme.yaml").write_text(ACME + MAILGUN + INLINE)
    assert sendroute("init", "-q").status == 0
    return manifests


def applied(sendroute: Program) -> None:
    ran = sendroute("apply", "m", "--auto-approve")
    assert ran.status == 0, ran


def planned(sendroute: Program) -> Changes:
    """Kind, name and action of each change; of a domain also its route."""
    ran = sendroute("plan", "m", "-o", "json")
    assert ran.status == 0, ran
    document = json.loads(ran.out)
    assert [f for f in document["findings"] if f["severity"] in ("error", "refused")] == []
    return {
        (
            change["kind"],
            change["name"],
            change["action"] + _route((change["after"] or {}).get("route")),
        )
        for change in document["changes"]
    }


def _route(route: dict[str, str] | None) -> str:
    if not route:
        return ""
    ((kind, value),) = route.items()
    return f" to {value or kind}"


EDITS: dict[str, tuple[str, Changes]] = {
    "a plan": ("set-plan acme pro", {("MailAccount", "acme", "update")}),
    "an account": (
        "add-account globex/globex --plan pro",
        {("MailAccount", "globex", "create")},
    ),
    "a profile": (
        "add-profile relay --account acme --host smtp.example.com --port 587 --encryption starttls",
        {("SMTPProfile", "relay", "create")},
    ),
    "a deleted domain": (
        "delete-domain shop.example.com",
        {("SendingDomain", "shop.example.com", "delete")},
    ),
    "a deleted domain that defines a profile": (
        "delete-domain inline.example.com",
        {("SendingDomain", "inline.example.com", "delete")},
    ),
    "a renamed profile": (
        "rename-profile ses ses-ireland --account acme",
        {
            ("SMTPProfile", "ses", "delete"),
            ("SMTPProfile", "ses-ireland", "create"),
            ("SendingDomain", "shop.example.com", "reroute to ses-ireland"),
        },
    ),
    "a renamed inline profile": (
        "rename-profile brevo brevo-eu --account acme",
        {
            ("SMTPProfile", "brevo", "delete"),
            ("SMTPProfile", "brevo-eu", "create"),
            ("SendingDomain", "inline.example.com", "reroute to brevo-eu"),
        },
    ),
    "an extracted profile": ("extract-profile brevo --account acme", set()),
    "a profile that nothing refers to": (
        "delete-profile mailgun --account acme",
        {("SMTPProfile", "mailgun", "delete")},
    ),
}


@pytest.mark.parametrize("case", EDITS)
def test_the_plan_after_an_edit_says_exactly_what_was_meant(
    case: str, sendroute: Program, tree: Path
) -> None:
    assert tree.is_dir()
    applied(sendroute)
    command, expected = EDITS[case]
    ran = sendroute("edit", *command.split(), "m")
    assert ran.status == 0, ran
    assert ran.out.splitlines()[-1] == "Next: sendroute plan m"
    assert planned(sendroute) == expected


def test_a_lower_plan_is_set_although_domains_declare_managed(
    sendroute: Program, tree: Path
) -> None:
    text = ACME.replace("plan: nano", "plan: pro").replace("{profile: ses}", "{managed: {}}")
    (tree / "acme.yaml").write_text(text)
    applied(sendroute)
    ran = sendroute("edit", "set-plan", "acme", "nano", "m")
    assert ran.status == 0, ran
    assert "managed-not-in-plan" in ran.err
    assert planned(sendroute) == {
        ("MailAccount", "acme", "update"),
        ("SendingDomain", "news.example.com", "reassign to unconfigured"),
        ("SendingDomain", "shop.example.com", "reassign to unconfigured"),
    }


def test_a_rename_keeps_the_routes_of_domains_that_do_not_declare_the_profile(
    sendroute: Program, tree: Path
) -> None:
    """Two use it by an apply-all that ran; the third would have it by default."""
    applied(sendroute)
    assert sendroute("edit", "apply-to-all", "acme", "--profile", "mailgun", "m").status == 0
    applied(sendroute)
    ran = sendroute("edit", "rename-profile", "mailgun", "mg", "--account", "acme", "m")
    assert ran.status == 0, ran
    assert "removed, because it ran already" in ran.out
    assert "applyToAll" not in (tree / "acme.yaml").read_text()
    assert planned(sendroute) == {
        ("SMTPProfile", "mailgun", "delete"),
        ("SMTPProfile", "mg", "create"),
        ("SendingDomain", "inline.example.com", "reroute to mg"),
        ("SendingDomain", "news.example.com", "reroute to mg"),
        ("SendingDomain", "shop.example.com", "reroute to mg"),
    }
    applied(sendroute)
    assert planned(sendroute) == set()


def test_a_rename_leaves_a_declared_route_that_is_not_applied_yet(
    sendroute: Program, tree: Path
) -> None:
    """The domain does not use the profile any more after the apply."""
    applied(sendroute)
    edit = ("edit", "set-route", "shop.example.com", "--profile", "mailgun", "m")
    assert sendroute(*edit).status == 0
    assert sendroute("edit", "rename-profile", "acme/ses", "ireland", "m").status == 0
    assert ("SendingDomain", "shop.example.com", "reroute to mailgun") in planned(sendroute)
    assert tree.is_dir()


def mailgun_for_all(sendroute: Program) -> None:
    """Every domain uses mailgun, and none declares it."""
    applied(sendroute)
    assert sendroute("edit", "apply-to-all", "acme", "--profile", "mailgun", "m").status == 0
    applied(sendroute)


@pytest.mark.usefixtures("tree")
def test_what_replaces_a_deleted_profile_is_declared_where_it_is_used(sendroute: Program) -> None:
    mailgun_for_all(sendroute)
    ran = sendroute("edit", "delete-profile", "acme/mailgun", "--profile", "ses", "m")
    assert ran.status == 0, ran
    # The author declared a route for this one, of which an apply-all took it.
    assert "would be reassigned with the next change: inline.example.com." in " ".join(
        ran.err.split()
    )
    assert planned(sendroute) == {
        ("SMTPProfile", "mailgun", "delete"),
        ("SendingDomain", "inline.example.com", "reassign to brevo"),
        ("SendingDomain", "news.example.com", "reroute to ses"),
        ("SendingDomain", "shop.example.com", "reassign to ses"),
    }
    applied(sendroute)
    assert planned(sendroute) == set()


@pytest.mark.usefixtures("tree")
def test_domains_that_a_deleted_profile_leaves_without_a_choice_are_named(
    sendroute: Program,
) -> None:
    mailgun_for_all(sendroute)
    ran = sendroute("edit", "delete-profile", "acme/mailgun", "--undeclare", "m", "--dry-run")
    shown = " ".join(ran.err.split())
    assert "warning profile-deleted" in shown
    names = "inline.example.com, news.example.com, shop.example.com"
    assert "3 domains of account acme/acme use profile mailgun without declaring it" in shown
    assert f"reassigned with the next change: {names}." in shown


@pytest.mark.usefixtures("tree")
def test_a_profile_that_no_domain_uses_is_deleted_without_a_note(sendroute: Program) -> None:
    applied(sendroute)
    ran = sendroute("edit", "delete-profile", "acme/mailgun", "m")
    assert (ran.status, ran.err) == (0, ""), ran


def test_a_pending_apply_all_follows_a_rename(sendroute: Program, tree: Path) -> None:
    applied(sendroute)
    assert sendroute("edit", "apply-to-all", "acme", "--profile", "mailgun", "m").status == 0
    assert (
        sendroute("edit", "rename-profile", "mailgun", "mg", "--account", "acme", "m").status == 0
    )
    assert "route: {profile: mg}" in (tree / "acme.yaml").read_text()
    changes = planned(sendroute)
    assert ("SendingDomain", "news.example.com", "reroute to mg") in changes


def test_an_account_is_deleted_in_two_steps(sendroute: Program, tree: Path) -> None:
    """First the removal is declared and confirmed; when it is applied, the documents go."""
    applied(sendroute)
    ran = sendroute("edit", "delete-account", "acme", "m")
    assert ran.status == 0, ran
    assert ran.out.splitlines()[-1] == "Next: sendroute plan m"
    assert "  remove: {confirm: {domains: 3}}\n" in (tree / "acme.yaml").read_text()
    assert planned(sendroute) == {
        ("MailAccount", "acme", "delete"),
        ("SMTPProfile", "brevo", "delete"),
        ("SMTPProfile", "mailgun", "delete"),
        ("SMTPProfile", "ses", "delete"),
        ("SendingDomain", "inline.example.com", "delete"),
        ("SendingDomain", "news.example.com", "delete"),
        ("SendingDomain", "shop.example.com", "delete"),
    }
    again = sendroute("edit", "delete-account", "acme", "m")
    assert again.out == "No changes: the manifests are up to date.\n"
    assert "not applied yet" in again.err
    applied(sendroute)
    assert planned(sendroute) == set()
    assert sendroute("edit", "delete-account", "acme", "m").status == 0
    assert sorted(path.name for path in tree.iterdir()) == ["platform.yaml"]
    assert planned(sendroute) == set()


def test_without_a_store_documents_of_an_account_are_never_removed(
    sendroute: Program, tree: Path
) -> None:
    Path("sendroute.db").unlink()
    assert sendroute("edit", "delete-account", "acme", "m").status == 0
    assert "remove: {confirm: {domains: 3}}" in (tree / "acme.yaml").read_text()


def test_a_suspended_account_is_not_deleted(sendroute: Program, tree: Path) -> None:
    applied(sendroute)
    text = (tree / "acme.yaml").read_text()
    (tree / "acme.yaml").write_text(text.replace("plan: nano", "suspend: true\n  plan: nano", 1))
    ran = sendroute("edit", "delete-account", "acme", "m")
    assert ran.status == 1
    assert "is suspended, so its removal would not be applied" in ran.err


def test_without_a_store_a_rename_says_which_domains_it_cannot_know(
    sendroute: Program, tree: Path
) -> None:
    Path("sendroute.db").unlink()
    ran = sendroute("edit", "rename-profile", "ses", "ses-ireland", "--account", "acme", "m")
    assert ran.status == 0, ran
    assert "because no store was read" in ran.err
    assert tree.is_dir()


def test_each_hint_of_a_refused_deletion_works(sendroute: Program, tree: Path) -> None:
    """Managed is not in the account's plan, so it is no choice; the suggested command is run."""
    ran = sendroute("edit", "delete-profile", "ses", "--account", "acme", "m")
    assert ran.status == 1
    assert "managed" not in ran.err.partition("hint:")[2]
    words = " ".join(ran.err.split()).partition("no declared route: sendroute ")[2].split()
    assert words[-1] == "m", words
    assert sendroute(*words).status == 0
    for choice in ("--profile mailgun", "--unconfigured"):
        (tree / "acme.yaml").write_text(ACME + MAILGUN + INLINE)
        command = ("edit", "delete-profile", "ses", "--account", "acme")
        assert sendroute(*command, *choice.split(), "m").status == 0


@pytest.mark.usefixtures("tree")
def test_the_removal_of_an_account_may_be_confirmed_for_no_domain(sendroute: Program) -> None:
    assert sendroute("edit", "add-account", "new/new", "--plan", "pro", "m").status == 0
    assert sendroute("edit", "delete-account", "new/new", "--confirm", "0", "m").status == 0
    ran = sendroute("edit", "delete-account", "new/new", "--confirm", "-1", "m")
    assert (ran.status, "not a whole number from 0" in ran.err) == (64, True)


def test_an_edit_of_a_part_of_a_tree_does_not_suggest_to_plan_that_part(
    sendroute: Program, tree: Path
) -> None:
    assert tree.is_dir()
    ran = sendroute("edit", "set-route", "shop.example.com", "--unconfigured", "m/acme.yaml")
    assert ran.out.splitlines()[-1] == (
        "Next: sendroute plan PATH, with the paths of the whole tree"
    )
