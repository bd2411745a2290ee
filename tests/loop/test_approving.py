"""What a guard stops waits, and goes through exactly as it was shown."""

import json

from .conftest import Place, Running, account, until

NAMES = [f"d{number:02}.example.com" for number in range(12)]


def _current(place: Place, *names: str) -> Running:
    """A loop that holds back the removal of all domains but ``names``."""
    place.lay("acme", account("acme", *NAMES))
    loop = place.start()
    loop.says("acme/acme", "committed")
    place.lay("acme", account("acme", *names))
    loop.says("Account acme/acme is held back")
    return loop


def test_it_is_held_back_shown_approved_and_applied(place: Place) -> None:
    loop = _current(place, NAMES[0])
    line = loop.said("held back")[0]
    assert line["code"] == "too-many-removals"
    assert "If the change is intended, approve it." in line["message"]
    assert "--max-remove-percent" not in line["message"], "there are no flags in a loop"
    assert len(place.domains()) == 12, "left as it is"
    standing = place.unsettled()["acme"]
    assert (standing["outcome"], standing["changes"]) == ("held-back", {"delete": 11})
    assert standing["digest"] == line["digest"]
    told = place.sendroute("status").stdout
    assert "11 to delete" in told
    assert "sendroute approve acme/acme" in told

    ran = place.sendroute("approve", "acme", "--auto-approve")
    assert (ran.returncode, ran.stderr) == (0, "")
    until(lambda: len(place.domains()) == 1, "the removal")
    loop.says("Account acme/acme is settled")
    assert not place.unsettled()

    changes = json.loads(place.sendroute("history", "acme", "-o", "json").stdout)["changes"]
    (approval,) = [one for one in changes if one["action"] == "approve"]
    assert standing["digest"] in approval["message"]
    assert approval["actor"]
    removals = [one for one in changes if one["action"] == "delete"]
    assert {one["revision"] for one in removals} == {approval["revision"] + 1}


def test_only_the_plan_that_was_shown_goes_through(place: Place) -> None:
    loop = _current(place, NAMES[0])
    first = place.unsettled()["acme"]["digest"]
    loop.stop()
    ran = place.sendroute("approve", "acme", "--auto-approve", "--digest", first)
    assert ran.returncode == 0, ran.stderr
    place.lay("acme", account("acme", NAMES[1]))

    again = place.start()
    line = again.says("The approval of account acme/acme", "is void")
    assert line["digest"] == first
    again.says("Account acme/acme is held back")
    assert len(place.domains()) == 12
    standing = place.unsettled()["acme"]
    assert standing["digest"] != first
    assert standing["approved"] is None

    refused = place.sendroute("approve", "acme", "--auto-approve", "--digest", first)
    assert refused.returncode == 3
    assert "is not the reviewed one" in refused.stderr


def test_an_approval_given_while_no_loop_runs_is_applied_by_the_next(place: Place) -> None:
    _current(place, NAMES[0]).stop()
    assert place.sendroute("approve", "acme/acme", "--auto-approve").returncode == 0
    told = place.sendroute("status").stdout
    assert "Approved by" in told
    place.start()
    until(lambda: len(place.domains()) == 1, "the removal")


def test_the_beginning_of_a_digest_names_it(place: Place) -> None:
    _current(place, NAMES[0])
    digest = place.unsettled()["acme"]["digest"]
    short = place.sendroute("approve", "acme", "--auto-approve", "--digest", digest[:7])
    assert short.returncode == 3, "too short to mean one"
    ran = place.sendroute("approve", "acme", "--auto-approve", "--digest", digest[:8].upper())
    assert ran.returncode == 0, ran.stderr


def test_nobody_at_a_terminal_is_told_how(place: Place) -> None:
    _current(place, NAMES[0])
    ran = place.sendroute("approve", "acme")
    assert ran.returncode == 3
    assert "--auto-approve --digest" in ran.stderr
    assert place.unsettled()["acme"]["approved"] is None


def test_nothing_held_back_is_told_plainly(place: Place) -> None:
    ran = place.sendroute("approve", "acme", "--auto-approve")
    assert ran.returncode == 1
    assert "Nothing of account acme is held back." in ran.stderr


def test_the_manifests_set_right_again_end_it(place: Place) -> None:
    loop = _current(place, NAMES[0])
    place.lay("acme", account("acme", *NAMES))
    loop.says("Account acme/acme is settled")
    assert not place.unsettled()


def test_accounts_between_which_domains_move_go_through_together(place: Place) -> None:
    place.lay("acme", account("acme", *NAMES))
    place.lay("bolt", account("bolt", *(f"b{name}" for name in NAMES)))
    loop = place.start()
    loop.says("bolt/bolt", "committed")
    # acme gives half of its domains to bolt and bolt removes half of its own: a guard stops both.
    replaced = account("bolt", *(f"b{name}" for name in NAMES[:2]), *NAMES[6:])
    place.lay("both", account("acme", *NAMES[:6]) + "---\n" + replaced)
    (place.manifests / "acme.yaml").unlink()
    (place.manifests / "bolt.yaml").unlink()
    until(lambda: len(place.unsettled()) == 2, "both held back")
    digest = place.unsettled()["acme"]["digest"]
    assert place.sendroute("approve", "acme", "--auto-approve").returncode == 0
    until(lambda: place.unsettled()["acme"]["approved"], "the approval")
    assert len(place.domains()) == 24, "one waits with the other"
    assert place.unsettled()["acme"]["digest"] == digest
    assert place.sendroute("approve", "bolt", "--auto-approve").returncode == 0
    until(lambda: not place.unsettled(), "both")
    assert len(place.domains()) == 14


def test_what_apply_leaves_is_shown_until_an_apply_settles_it(place: Place) -> None:
    place.lay("acme", account("acme", *NAMES))
    assert place.sendroute("apply", "manifests", "--auto-approve").returncode == 0
    place.lay("acme", account("acme", NAMES[0]))
    assert place.sendroute("apply", "manifests", "--auto-approve").returncode == 3
    assert place.unsettled()["acme"]["outcome"] == "held-back"
    place.lay("acme", account("acme", *NAMES[:11]))
    assert place.sendroute("apply", "manifests", "--auto-approve").returncode == 0
    assert not place.unsettled()
