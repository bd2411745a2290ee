"""What explain and status say of domains whose change was not applied."""

import json
from pathlib import Path

import pytest

from .conftest import Program, account, domain, profile, write


@pytest.fixture
def waiting(sendroute: Program, manifests: Path, workdir: Path) -> Path:
    """A store of which forty new domains wait for a profile without its secret."""
    assert sendroute("init").status == 0
    (workdir.parent / "secrets/acme/ses-smtp/password").unlink()
    names = [f"d{number}.example" for number in range(40)]
    documents = [domain("acme", name, "{profile: ses}") for name in names]
    write(manifests / "acme.yaml", account("acme"), profile("acme", "ses"), *documents)
    assert sendroute("apply", "manifests", "--auto-approve").status == 4
    return manifests


@pytest.mark.usefixtures("waiting")
def test_explain_says_why_a_skipped_domain_is_not_there(sendroute: Program) -> None:
    text = sendroute("explain", "jane@d7.example").out
    assert "d7.example waits for profile ses, which was not saved: not created yet" in text
    assert "The secret acme/ses-smtp has no password" in text or "acme/ses-smtp" in text
    pending = json.loads(sendroute("explain", "d7.example", "-o", "json").out)["pending"]
    assert (pending["account"], pending["reason"]) == ("acme", "skipped")
    assert pending["causes"][0]["hint"]


@pytest.mark.usefixtures("waiting")
def test_explain_of_an_unknown_domain_names_what_is_left_open(sendroute: Program) -> None:
    text = sendroute("explain", "d77.example").out
    assert "waits for" not in text
    assert "1 account has changes that are not applied yet: sendroute status" in text


@pytest.mark.usefixtures("workdir")
def test_explain_of_an_unknown_domain_does_not_count_the_platform_as_an_account(
    sendroute: Program,
) -> None:
    assert sendroute("init", "-q").status == 0
    assert sendroute("apply", "nowhere", "--auto-approve").status == 1
    text = sendroute("explain", "d77.example").out
    assert text.endswith("The platform has changes that are not applied yet: sendroute status\n")


@pytest.mark.usefixtures("waiting")
def test_explain_of_an_unknown_domain_names_the_platform_beside_accounts(
    sendroute: Program,
) -> None:
    assert sendroute("apply", "nowhere", "--auto-approve").status == 1
    text = sendroute("explain", "d77.example").out
    assert "The platform and 1 account have changes that are not applied yet" in text


@pytest.mark.usefixtures("waiting")
def test_status_reports_the_domains_that_wait_once_and_names_all(sendroute: Program) -> None:
    text = sendroute("status").out
    assert text.count("40 domains wait for profile ses, which was not saved") == 1
    assert all(f"d{number}.example" in text for number in range(40))
    (open_account,) = json.loads(sendroute("status", "-o", "json").out)["unapplied"]
    (waits,) = (f for f in open_account["findings"] if f["code"] == "dependency-skipped")
    assert len(waits["domains"]) == 40
    assert waits.keys() == {
        "code",
        "severity",
        "message",
        "hint",
        "position",
        "domains",
        "more_domains",
    }


def test_explain_says_that_a_new_domain_is_held_back(sendroute: Program, manifests: Path) -> None:
    names = [f"d{number}.example" for number in range(12)]
    write(manifests / "more.yaml", *(domain("acme", name) for name in names))
    assert sendroute("init").status == 0
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    write(manifests / "more.yaml", domain("acme", "new.example"))
    assert sendroute("apply", "manifests", "--auto-approve").status == 3
    text = sendroute("explain", "new.example").out
    assert "The change of account acme/acme is held back: new.example is new" in text
    assert "--max-remove-percent" in text or "sendroute approve" in text


def test_explain_says_that_a_domain_is_in_dispute(sendroute: Program, manifests: Path) -> None:
    write(manifests / "bolt.yaml", account("bolt"), domain("bolt", "both.example"))
    write(manifests / "zoo.yaml", account("zoo"), domain("zoo", "both.example"))
    assert sendroute("init").status == 0
    assert sendroute("apply", "manifests", "--auto-approve").status == 1
    text = sendroute("explain", "both.example").out
    assert "both.example" in text.partition("Not applied since")[2]


def test_explain_says_what_is_wrong_in_the_document_of_a_domain(
    sendroute: Program, manifests: Path
) -> None:
    misspelt = domain("bolt", "new.example").replace("account:", "acount:")
    profiles = domain("bolt", "other.example", "{profile: nosuch}")
    write(manifests / "bolt.yaml", account("bolt"), misspelt, profiles)
    assert sendroute("init").status == 0
    assert sendroute("apply", "manifests", "--auto-approve").status == 1
    assert "acount" in sendroute("explain", "new.example").out
    text = " ".join(sendroute("explain", "other.example").out.split())
    assert "manifests/bolt.yaml:" in text, "the position of the cause"
    assert "refers to profile nosuch" in text
    assert "acount" not in text


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("command", ["explain", "routes", "history"])
def test_an_emoji_domain_is_answered_with_the_form_to_write(
    sendroute: Program, command: str
) -> None:
    result = sendroute(command, "💩.la")
    assert "Write xn--ls8h.la." in result.out + result.err


def test_a_renamed_account_whose_new_profile_fails_says_what_to_fix(
    sendroute: Program, manifests: Path
) -> None:
    assert sendroute("init").status == 0
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    acme = manifests / "acme.yaml"
    text = acme.read_text().replace("{name: acme,", "{name: acme2,")
    acme.write_text(text.replace("account: acme", "account: acme2").replace("ses-smtp", "nosuch"))
    result = sendroute("apply", "manifests", "--auto-approve")
    assert result.status == 4
    assert "because account acme/acme2 cannot take it now" in result.out
    assert "Fix what keeps account acme/acme2 from taking it" in result.out
    assert "for account acme/acme, the present holder, which cannot change now" in result.out
