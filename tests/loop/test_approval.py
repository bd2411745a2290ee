"""A plan that a guard holds back is applied after approval, exactly as it was shown."""

import json

from .conftest import LoopProcess, Workspace, account, wait_until

NAMES = [f"d{number:02}.example.com" for number in range(12)]


def _start_held_back(workspace: Workspace, *names: str) -> LoopProcess:
    """Start a loop that holds back the removal of all domains except ``names``."""
    workspace.write_manifest("acme", account("acme", *NAMES))
    loop = workspace.start()
    loop.wait_for_log("acme/acme", "committed")
    workspace.write_manifest("acme", account("acme", *names))
    loop.wait_for_log("Account acme/acme is held back")
    return loop


def test_a_held_back_removal_is_applied_after_approval(workspace: Workspace) -> None:
    loop = _start_held_back(workspace, NAMES[0])
    line = loop.logged("held back")[0]
    assert line["code"] == "too-many-removals"
    assert "If the change is intended, approve it: sendroute approve acme/acme" in line["message"]
    assert "--max-remove-percent" not in line["message"], "a loop has no such option"
    assert len(workspace.domains()) == 12, "nothing was removed"
    status = workspace.unapplied()["acme"]
    assert (status["reason"], status["changes"]) == ("held-back", {"delete": 11})
    assert status["digest"] == line["digest"]
    output = workspace.sendroute("status").stdout
    assert "11 to delete" in output
    assert "sendroute approve acme/acme" in output

    completed = workspace.sendroute("approve", "acme", "--auto-approve")
    assert (completed.returncode, completed.stderr) == (0, "")
    wait_until(lambda: len(workspace.domains()) == 1, "the removal")
    loop.wait_for_log("Account acme/acme is fully applied")
    assert not workspace.unapplied()

    changes = json.loads(workspace.sendroute("history", "acme", "-o", "json").stdout)["changes"]
    (approval,) = [change for change in changes if change["action"] == "approve"]
    assert status["digest"] in approval["message"]
    assert approval["actor"]
    removals = [change for change in changes if change["action"] == "delete"]
    assert {change["revision"] for change in removals} == {approval["revision"] + 1}


def test_an_approval_is_void_for_a_different_plan(workspace: Workspace) -> None:
    loop = _start_held_back(workspace, NAMES[0])
    first = workspace.unapplied()["acme"]["digest"]
    loop.stop()
    completed = workspace.sendroute("approve", "acme", "--auto-approve", "--digest", first)
    assert completed.returncode == 0, completed.stderr
    workspace.write_manifest("acme", account("acme", NAMES[1]))

    again = workspace.start()
    line = again.wait_for_log("The approval of account acme/acme", "is void")
    assert line["digest"] == first
    again.wait_for_log("Account acme/acme is held back")
    assert len(workspace.domains()) == 12
    status = workspace.unapplied()["acme"]
    assert status["digest"] != first
    assert status["approved"] is None

    refused = workspace.sendroute("approve", "acme", "--auto-approve", "--digest", first)
    assert refused.returncode == 3
    assert "is not the reviewed one" in refused.stderr


def test_an_approval_without_a_running_loop_is_applied_by_the_next_loop(
    workspace: Workspace,
) -> None:
    _start_held_back(workspace, NAMES[0]).stop()
    assert workspace.sendroute("approve", "acme/acme", "--auto-approve").returncode == 0
    output = workspace.sendroute("status").stdout
    assert "Approved by" in output
    workspace.start()
    wait_until(lambda: len(workspace.domains()) == 1, "the removal")


def test_a_prefix_of_the_digest_is_accepted(workspace: Workspace) -> None:
    _start_held_back(workspace, NAMES[0])
    digest = workspace.unapplied()["acme"]["digest"]
    refused = workspace.sendroute("approve", "acme", "--auto-approve", "--digest", digest[:7])
    assert refused.returncode == 3, "the prefix is too short"
    completed = workspace.sendroute(
        "approve", "acme", "--auto-approve", "--digest", digest[:8].upper()
    )
    assert completed.returncode == 0, completed.stderr


def test_approve_without_a_terminal_shows_the_plan_and_explains_the_options(
    workspace: Workspace,
) -> None:
    _start_held_back(workspace, NAMES[0])
    completed = workspace.sendroute("approve", "acme")
    assert completed.returncode == 3
    status = workspace.unapplied()["acme"]
    assert f"--auto-approve --digest {status['digest']}" in completed.stderr
    for name in NAMES[1:]:
        assert f"\n  delete    {name}  managed → none\n" in completed.stderr
    assert completed.stderr.count("removed: Each is no longer declared by") == 1
    assert {step["does"] for step in status["steps"]} == {"managed → none"}
    assert completed.stderr.index(NAMES[1]) < completed.stderr.index("not-approved")
    assert workspace.unapplied()["acme"]["approved"] is None


def test_approve_reports_that_nothing_is_held_back(
    workspace: Workspace,
) -> None:
    completed = workspace.sendroute("approve", "acme", "--auto-approve")
    assert completed.returncode == 1
    assert "The store has no account `acme`." in completed.stderr
    workspace.write_manifest("acme", account("acme", *NAMES))
    workspace.start().wait_for_log("acme/acme", "committed")
    completed = workspace.sendroute("approve", "acme", "--auto-approve")
    assert completed.returncode == 1
    assert "not-held-back" in completed.stderr
    assert "Account acme has no change that is held back." in completed.stderr
    completed = workspace.sendroute("approve", "acne", "--auto-approve")
    assert completed.returncode == 1
    assert "unknown-account" in completed.stderr
    assert "Did you mean `acme`?" in completed.stderr


def test_corrected_manifests_settle_a_held_back_account(workspace: Workspace) -> None:
    loop = _start_held_back(workspace, NAMES[0])
    workspace.write_manifest("acme", account("acme", *NAMES))
    loop.wait_for_log("Account acme/acme is fully applied")
    assert not workspace.unapplied()


def _bolt_beside_acme(*domains: str) -> str:
    """Account bolt in the namespace of acme: the two are one tenant."""
    return account("bolt", *domains).replace("namespace: bolt", "namespace: acme")


def test_accounts_linked_by_a_move_are_applied_together_after_both_approvals(
    workspace: Workspace,
) -> None:
    workspace.write_manifest("acme", account("acme", *NAMES))
    workspace.write_manifest("bolt", _bolt_beside_acme(*(f"b{name}" for name in NAMES)))
    loop = workspace.start()
    loop.wait_for_log("acme/bolt", "committed")
    # acme gives half of its domains to bolt, and both remove many: a guard stops both.
    replaced = _bolt_beside_acme(*(f"b{name}" for name in NAMES[:2]), *NAMES[6:])
    workspace.write_manifest("both", account("acme", *NAMES[:2]) + "---\n" + replaced)
    (workspace.manifests / "acme.yaml").unlink()
    (workspace.manifests / "bolt.yaml").unlink()
    wait_until(lambda: len(workspace.unapplied()) == 2, "both held back")
    digest = workspace.unapplied()["acme"]["digest"]
    assert workspace.sendroute("approve", "acme/acme", "--auto-approve").returncode == 0
    wait_until(lambda: workspace.unapplied()["acme"]["approved"], "the approval")
    assert len(workspace.domains()) == 24, "linked accounts wait for each other"
    assert workspace.unapplied()["acme"]["digest"] == digest
    assert workspace.sendroute("approve", "acme/bolt", "--auto-approve").returncode == 0
    wait_until(lambda: not workspace.unapplied(), "both")
    assert len(workspace.domains()) == 10


def test_accounts_that_vanish_wait_until_each_is_approved(workspace: Workspace) -> None:
    for name in ("acme", "bolt", "crow"):
        workspace.write_manifest(name, account(name, *(f"{name}{n}.example" for n in range(4))))
    loop = workspace.start()
    loop.wait_for_log("crow/crow", "committed")
    for name in ("bolt", "crow"):
        (workspace.manifests / f"{name}.yaml").unlink()
    wait_until(lambda: set(workspace.unapplied()) == {"bolt", "crow"}, "both held back")
    findings = workspace.unapplied()["bolt"]["findings"]
    assert {item["code"] for item in findings} == {"account-removal", "too-many-removals"}
    assert len(workspace.domains()) == 12
    assert workspace.sendroute("approve", "bolt", "--auto-approve").returncode == 0
    loop.wait_for_log("Account bolt/bolt is deleted", "bolt0.example")
    assert len(workspace.domains()) == 8
    assert set(workspace.unapplied()) == {"crow"}, "an approval is for one account"


def test_status_shows_a_held_back_account_until_an_apply_settles_it(workspace: Workspace) -> None:
    workspace.write_manifest("acme", account("acme", *NAMES))
    assert workspace.sendroute("apply", "manifests", "--auto-approve").returncode == 0
    workspace.write_manifest("acme", account("acme", NAMES[0]))
    assert workspace.sendroute("apply", "manifests", "--auto-approve").returncode == 3
    assert workspace.unapplied()["acme"]["reason"] == "held-back"
    workspace.write_manifest("acme", account("acme", *NAMES[:11]))
    assert workspace.sendroute("apply", "manifests", "--auto-approve").returncode == 0
    assert not workspace.unapplied()


def test_the_rest_of_a_large_change_waits_although_a_part_and_new_domains_are_applied(
    workspace: Workspace,
) -> None:
    names = [f"t{number}" for number in range(6)]
    for name in names:
        workspace.write_manifest(name, account(name, f"a.{name}.example", f"b.{name}.example"))
    loop = workspace.start()
    loop.wait_for_log("t5/t5", "committed")
    loop.stop()
    for name in names[:4]:
        workspace.write_manifest(name, account(name, f"a.{name}.example"))
    workspace.write_manifest("new", account("new", *(f"n{n}.example" for n in range(20))))
    loop = workspace.start()
    wait_until(lambda: len(workspace.unapplied()) == 4, "all that lose a domain held back")
    wait_until(lambda: len(workspace.domains()) == 32, "the new domains")
    for left, name in ((3, "t0"), (2, "t1")):
        assert workspace.sendroute("approve", name, "--auto-approve").returncode == 0
        wait_until(lambda: len(workspace.unapplied()) == left, "the approved removal")  # noqa: B023
    loop.stop()
    restarted = workspace.start()
    restarted.wait_for_log("held back")
    edited = account("t2", "a.t2.example", "c.t2.example")
    workspace.write_manifest("t2", edited)
    wait_until(lambda: workspace.unapplied()["t2"]["changes"].get("create") == 1, "the new plan")
    assert set(workspace.unapplied()) == {"t2", "t3"}
    assert len(workspace.domains()) == 30
    for name in ("t2", "t3"):
        assert workspace.sendroute("approve", name, "--auto-approve").returncode == 0
        wait_until(lambda: name not in workspace.unapplied(), "the approved removal")  # noqa: B023
    assert len(workspace.domains()) == 29
