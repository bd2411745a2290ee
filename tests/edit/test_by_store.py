"""An edit is checked by what the store holds: the files may have changes that were not applied."""

import re
from pathlib import Path

import pytest

from .conftest import PLATFORM, Program, files_of

PROFILE = """\
---
apiVersion: sendroute.dev/v1alpha1
kind: SMTPProfile
metadata: {{name: {name}, namespace: t}}
spec: {{account: {account}, host: smtp.{name}.example, port: 25, encryption: starttls,
  connectionTest: skip{more}}}
"""
DOMAIN = """\
---
apiVersion: sendroute.dev/v1alpha1
kind: SendingDomain
metadata: {{name: {name}, namespace: t}}
spec: {{account: {account}, domain: {name}.example, route: {route}}}
"""


def account(name: str, domains: int, *, plan: str = "pro", route: str = "{profile: ses}") -> str:
    """An account with two profiles, ses and brevo, and its domains."""
    head = (
        "apiVersion: sendroute.dev/v1alpha1\nkind: MailAccount\n"
        f"metadata: {{name: {name}, namespace: t}}\nspec: {{plan: {plan}}}\n"
    )
    profiles = [f"ses-{name}", f"brevo-{name}"]
    route = route.replace("ses", f"ses-{name}")
    return "".join(
        [
            head,
            *(PROFILE.format(name=profile, account=name, more="") for profile in profiles),
            *(DOMAIN.format(name=f"{name}{n}", account=name, route=route) for n in range(domains)),
        ]
    )


@pytest.fixture
def tree(workdir: Path) -> Path:
    (workdir / "m").mkdir()
    (workdir / "m/platform.yaml").write_text(PLATFORM)
    return workdir / "m"


def apply(sendroute: Program) -> None:
    if not Path("sendroute.db").exists():
        assert sendroute("init", "-q").status == 0
    ran = sendroute("apply", "m", "--auto-approve", "-q")
    assert ran.status == 0, ran


def next_command(out: str) -> list[str]:
    [command] = re.findall("^Next: sendroute (.*)$", out, re.MULTILINE)
    return str(command).split()


def reroutes(text: str) -> list[str]:
    return re.findall(r"Applying the manifests would reroute [^;]*", text)


def test_reroutes_of_earlier_edits_that_are_not_applied_count(
    sendroute: Program, tree: Path
) -> None:
    (tree / "a.yaml").write_text(account("a", 20))
    apply(sendroute)
    for n in range(3):
        done = sendroute("edit", "set-route", f"a{n}.example", "--profile", "brevo-a", "m")
        assert (done.status, reroutes(done.err)) == (0, [])
    done = sendroute("edit", "rename-profile", "ses-a", "ireland", "m")
    warned = ["Applying the manifests would reroute 20 of the 20 domains of account t/a"]
    assert (done.status, reroutes(done.err)) == (0, warned)
    assert next_command(done.out) == ["plan", "--max-change-percent", "100", "m"]
    assert reroutes(sendroute("plan", "m").out) == warned
    assert sendroute(*next_command(done.out)).status == 0
    apply_with_limit = ["apply", *next_command(done.out)[1:], "--auto-approve"]
    assert sendroute(*apply_with_limit).status == 0
    done = sendroute("edit", "set-route", "a0.example", "--managed", "m")
    assert (reroutes(done.err), next_command(done.out)) == ([], ["plan", "m"])


def test_edits_of_several_accounts_count_for_the_whole_change(
    sendroute: Program, tree: Path
) -> None:
    """No account has the 10 domains from which a guard counts; together they have."""
    for name in "abc":
        (tree / f"{name}.yaml").write_text(account(name, 4))
    apply(sendroute)
    for name, percent in (("a", 34), ("b", 67), ("c", 100)):
        done = sendroute("edit", "rename-profile", f"ses-{name}", f"new-{name}", "m")
        assert next_command(done.out) == ["plan", "--max-change-percent", str(percent), "m"]
        refused = sendroute("plan", "m")
        assert (refused.status, reroutes(refused.out)) == (3, reroutes(done.err))
        assert sendroute(*next_command(done.out)).status == 0


def test_an_edit_that_repairs_what_others_rerouted_needs_no_limit(
    sendroute: Program, tree: Path
) -> None:
    """Compared with the files before it, the second edit reroutes every domain."""
    (tree / "a.yaml").write_text(account("a", 12))
    apply(sendroute)
    assert sendroute("edit", "rename-profile", "ses-a", "ireland", "m").status == 0
    done = sendroute("edit", "rename-profile", "ireland", "ses-a", "m")
    assert (done.status, done.err) == (0, "")
    assert next_command(done.out) == ["plan", "m"]


def test_a_declaration_that_the_store_never_saw_is_new_for_a_change_of_the_plan(
    sendroute: Program, tree: Path
) -> None:
    (tree / "a.yaml").write_text(account("a", 3))
    apply(sendroute)
    assert sendroute("edit", "set-route", "a0.example", "--managed", "m").status == 0
    before = files_of(tree)
    done = sendroute("edit", "set-plan", "a", "nano", "m")
    assert (done.status, done.out, files_of(tree)) == (1, "", before)
    assert "error managed-not-in-plan" in done.err

    apply(sendroute)
    done = sendroute("edit", "set-plan", "a", "nano", "m")
    assert done.status == 0, "the store knows the declaration: step 5 decides"
    assert "warning managed-not-in-plan" in done.err
    assert sendroute(*next_command(done.out)).status == 0


@pytest.mark.parametrize("store", ["none", "of another program"])
def test_without_a_usable_store_the_files_count_as_applied(
    sendroute: Program, tree: Path, store: str
) -> None:
    (tree / "a.yaml").write_text(account("a", 1, route="{managed: {}}"))
    if store != "none":
        Path("sendroute.db").write_text("not a database")
    done = sendroute("edit", "set-plan", "a", "nano", "m")
    assert done.status == 0, done
    assert "warning managed-not-in-plan" in done.err


def test_a_tree_with_errors_is_repaired_step_by_step(sendroute: Program, tree: Path) -> None:
    (tree / "a.yaml").write_text(account("a", 2))
    apply(sendroute)
    (tree / "a.yaml").write_text(account("a", 2, plan="nano", route="{managed: {}}"))
    for n, status in ((0, 1), (1, 0)):
        done = sendroute("edit", "set-route", f"a{n}.example", "--profile", "ses-a", "m")
        assert (done.status, done.err) == (0, "")
        assert sendroute(*next_command(done.out)).status == status


def test_the_rest_of_an_account_that_is_gone_is_removed_step_by_step(
    sendroute: Program, tree: Path
) -> None:
    """The error counts what is left, and a smaller number is no new error."""
    (tree / "a.yaml").write_text(account("a", 2))
    apply(sendroute)
    rest = (tree / "a.yaml").read_text().partition("---\n")[2]
    (tree / "a.yaml").write_text(rest)
    assert "account-not-empty" in sendroute("plan", "m").out
    for command in (("delete-domain", "a0.example"), ("delete-profile", "t/brevo-a")):
        done = sendroute("edit", *command, "m")
        assert done.status == 0, done


def test_a_route_through_a_suspended_profile_that_the_store_does_not_have_is_refused(
    sendroute: Program, tree: Path
) -> None:
    """The files alone do not show whether it exists."""
    (tree / "a.yaml").write_text(account("a", 1))
    apply(sendroute)
    suspended = PROFILE.format(name="later", account="a", more=", suspend: true")
    (tree / "later.yaml").write_text(suspended.removeprefix("---\n"))
    before = files_of(tree)
    done = sendroute("edit", "set-route", "a0.example", "--profile", "later", "m")
    assert (done.status, done.out, files_of(tree)) == (1, "", before)
    assert "error unknown-profile" in done.err
