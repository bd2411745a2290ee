"""What the loop does with a folder that changes, and a store that others write to."""

import json
import signal

import pytest

from .conftest import Place, account, replace, until


def test_it_applies_what_lies_there_and_what_comes(place: Place) -> None:
    place.lay("acme", account("acme", "a.example.com"))
    loop = place.start()
    loop.says("acme/acme", "committed")
    place.lay("acme", account("acme", "a.example.com", "b.example.com"))
    until(lambda: len(place.domains()) == 2, "the new domain")
    (place.manifests / "acme.yaml").unlink()
    until(lambda: not place.domains(), "the removal")
    assert loop.stop() == 0
    assert loop.lines[-1]["message"] == "Stopped by SIGTERM."


def test_only_the_account_whose_manifests_changed_is_reconciled(place: Place) -> None:
    for name in ("acme", "bolt"):
        place.lay(name, account(name, f"{name}.example.com"))
    loop = place.start()
    loop.says("bolt/bolt", "committed")
    place.sql("update domain set kind = 'unconfigured' where name = 'bolt.example.com'")
    place.lay("acme", account("acme", "acme.example.com", "more.example.com"))
    loop.says("acme/acme", "committed", times=2)
    assert place.domains()["bolt.example.com"] == "unconfigured", "drift waits for the interval"
    assert len(loop.said("bolt/bolt", "committed")) == 1


def test_drift_is_repaired_within_the_interval_and_told(place: Place) -> None:
    place.lay("acme", account("acme", "a.example.com", "b.example.com"))
    loop = place.start("--interval", "1s")
    loop.says("acme/acme", "committed")
    place.sql("update domain set kind = 'unconfigured' where name = 'a.example.com'")
    line = loop.says("Account acme/acme had drifted: repaired with 1 change")
    assert (line["namespace"], line["account"], line["changes"]) == ("acme", "acme", 1)
    assert place.domains()["a.example.com"] == "managed"
    assert len(loop.said("drifted")) == 1


def test_what_another_writer_commits_is_seen_at_once(place: Place) -> None:
    place.lay("acme", account("acme", "a.example.com"))
    loop = place.start()
    loop.says("acme/acme", "committed")
    other = place.folder / "other"
    other.mkdir()
    replace(other / "all.yaml", (place.manifests / "platform.yaml").read_text())
    replace(other / "acme.yaml", account("acme", "a.example.com", route="{unconfigured: {}}"))
    ran = place.sendroute("apply", "other", "--auto-approve")
    assert ran.returncode == 0, ran.stderr
    loop.says("Account acme/acme had drifted")
    until(lambda: place.domains()["a.example.com"] == "managed", "the route")


def test_what_another_applies_of_a_newer_tree_is_not_set_back(place: Place) -> None:
    """Two loops that look at different times would undo each other's work in between."""
    place.lay("acme", account("acme", "a.example.com"))
    loop = place.start("--poll", "1h")
    loop.says("acme/acme", "committed")
    loop.says("Serving")
    place.lay("acme", account("acme", "a.example.com", "b.example.com"))
    applied = place.sendroute("apply", "manifests", "--auto-approve")
    assert applied.returncode == 0, applied.stderr
    loop.says("Serving", "2 domains")
    assert len(loop.said("acme/acme is committed")) == 1, "it had nothing to do"
    assert set(place.domains()) == {"a.example.com", "b.example.com"}


def test_one_account_in_error_stops_no_other(place: Place) -> None:
    place.lay("acme", account("acme", "a.example.com", plan="none-such"))
    place.lay("bolt", account("bolt", "b.example.com"))
    loop = place.start("--interval", "500ms")
    loop.says("bolt/bolt", "committed")
    line = loop.says("Account acme/acme failed", "none-such")
    assert (line["code"], line["level"]) == ("unknown-plan", "warning")
    assert place.domains() == {"b.example.com": "managed"}
    assert place.unsettled()["acme"]["outcome"] == "failed"
    place.lay("acme", account("acme", "a.example.com"))
    loop.says("acme/acme is settled")
    assert not place.unsettled()
    assert len(loop.said("Account acme/acme failed")) == 1, "told once, not with every round"


def test_a_domain_moves_between_two_accounts_that_are_due_one_after_the_other(
    place: Place,
) -> None:
    place.lay("acme", account("acme", "a.example.com", "moves.example.com"))
    place.lay("bolt", account("bolt", "b.example.com"))
    loop = place.start()
    loop.says("bolt/bolt", "committed")
    place.lay("bolt", account("bolt", "b.example.com", "moves.example.com"))
    loop.says("bolt/bolt", "moves.example.com")
    place.lay("acme", account("acme", "a.example.com"))

    def owner() -> bool:
        rows = place.sql(
            "select a.name from domain d join account a on a.id = d.account_id"
            " where d.name = 'moves.example.com'"
        )
        return rows == [("bolt",)]

    until(owner, "the move")
    loop.says("bolt/bolt is settled")


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda one: one.name
)
def test_a_signal_while_it_waits_ends_it_at_once(place: Place, number: int) -> None:
    place.lay("acme", account("acme", "a.example.com"))
    loop = place.start()
    loop.says("Serving")
    loop.signal(number)
    assert loop.ended() == 0


def test_no_name_of_a_users_in_a_url_is_logged(place: Place) -> None:
    """It may be a token: not every forge's can be told from a name."""
    loop = place.start("https://s0me-t0ken@127.0.0.1:1/mail.git")
    loop.says("https://127.0.0.1:1/mail.git", "Cannot read")
    assert loop.stop() == 0
    assert "s0me-t0ken" not in json.dumps(loop.lines)


def test_all_that_it_says_of_documents_of_others_is_in_its_log(place: Place) -> None:
    place.lay("others", "kind: List\n---\nkind: Other\n")
    loop = place.start("-v")
    assert loop.says("Skipped 2 documents")["level"] == "debug"
    assert loop.stop() == 0, "and no line is no JSON"


def test_quiet_it_says_only_what_failed(place: Place) -> None:
    place.lay("acme", account("acme", "a.example.com"))
    loop = place.start("manifests", "-q")
    until(place.domains, "the domain")
    assert loop.stop() == 0
    assert loop.lines == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("no-such-folder",), "source-unreachable"),
        (("manifests", "--branch", "main"), "invalid-value"),
        (("manifests", "--listen", "host.invalid:9464"), "invalid-value"),
    ],
    ids=["a source that is not there", "a branch of a folder", "a host that is not there"],
)
def test_what_cannot_be_begun_is_told_in_the_log(
    place: Place, words: tuple[str, ...], code: str
) -> None:
    loop = place.start(*words)
    assert loop.ended() == 1
    assert (loop.lines[-1]["code"], loop.lines[-1]["level"]) == (code, "error")
