"""The total-loss drill: after the store is lost, no domain is reset to the current default."""

import json
import os
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, NamedTuple

import psycopg
import pytest
from cryptography.fernet import Fernet
from tests.cli.conftest import (
    PLATFORM,
    Program,
    account,
    domain,
    git,
    profile,
    write,
    write_secret,
)
from tests.store.raw import put

Lose = Callable[[], None]


@pytest.fixture
def lose(store_url: str, monkeypatch: pytest.MonkeyPatch) -> Lose:
    """Sets the store of every command, and returns a function that deletes it."""
    monkeypatch.setenv("SENDROUTE_STORE", store_url)

    def drop() -> None:
        if store_url.startswith("postgresql"):
            with psycopg.connect(store_url, autocommit=True) as connection:
                connection.execute("DROP SCHEMA sendroute CASCADE")
        else:
            for path in Path(store_url.removeprefix("sqlite:///")).parent.glob("sendroute.db*"):
                path.unlink()

    return drop


MORE = ", defaultRoute: {{profile: {}}}"


@pytest.fixture
def history(sendroute: Program, workdir: Path, lose: Lose) -> Path:  # noqa: ARG001
    """A hosting platform after five applies: the last manifests, with their lock file."""
    manifests = workdir / "manifests"
    write_secret(workdir.parent / "secrets/acme/mailgun-smtp")
    write_secret(workdir.parent / "secrets/beta/ses-smtp")
    assert sendroute("init").status == 0
    ses, mailgun = profile("acme", "ses"), profile("acme", "mailgun", host="smtp.mg.example")
    beta = [profile("beta", "ses"), domain("beta", "b.example")]

    def apply(*documents: str) -> None:
        write(manifests / "all.yaml", PLATFORM, *documents)
        is_declared = any("name: beta," in document for document in documents)
        removed = () if is_declared else ("--remove-account", "beta/beta")
        lock = str(manifests / "sendroute.lock")
        result = sendroute(
            "apply", "manifests", "--auto-approve", "--write-lock", lock, "--max-change-percent",
            "100", "--max-remove-percent", "100", *removed,
        )  # fmt: skip
        assert result.status == 0, result

    first = [domain("acme", f"first{n}.example") for n in range(3)]
    apply(account("acme"), ses, *first, account("beta", more=MORE.format("ses")), *beta)
    # The default changes: only new domains use it.
    second = [domain("acme", "second.example"), domain("acme", "own.example", "{profile: ses}")]
    acme = [ses, mailgun, *first, *second]
    apply(account("acme", more=MORE.format("mailgun")), *acme, account("beta"), *beta)
    # An apply-all, then one domain is edited; beta is removed and added again.
    switch = ", applyToAll: {id: to-ses, route: {profile: ses}, confirm: {domains: 5}}"
    apply(account("acme", more=MORE.format("mailgun") + switch), *acme)
    acme[-1] = domain("acme", "own.example", "{profile: mailgun}")
    apply(account("acme", more=MORE.format("mailgun") + switch), *acme, account("beta"), *beta)
    # Mailgun is deleted: its domains are reassigned and the default falls back; then the default
    # changes again.
    acme.remove(mailgun)
    apply(account("acme", more=MORE.format("mailgun") + switch), *acme, account("beta"), *beta)
    apply(account("acme", plan="pro", more=MORE.format("ses") + switch), *acme,
          account("beta"), *beta)  # fmt: skip
    return manifests


def routes(sendroute: Program) -> Any:
    listed = json.loads(sendroute("routes", "-o", "json").out)["domains"]
    return [{key: value for key, value in route.items() if key != "since"} for route in listed]


@pytest.mark.usefixtures("workdir")
@pytest.mark.parametrize("source", ["lock", "backup", "restore"])
def test_after_a_total_loss_all_routes_are_restored(
    sendroute: Program, history: Path, lose: Lose, source: str
) -> None:
    before = routes(sendroute)
    assert {route["origin"] for route in before} == {"apply-all", "default", "reassigned"}
    assert sendroute("plan", "manifests", "--detailed-exitcode").status == 0
    assert sendroute("backup", "monday.db").status == 0
    lock = str(history / "sendroute.lock")
    lose()

    # What must not happen: a new, empty store to which the manifests are applied.
    key = next(history.parent.rglob("sendroute.key"), None) or next(
        history.parent.parent.glob("sendroute.key")
    )
    aside = key.rename(key.with_suffix(".kept"))
    assert sendroute("init").status == 0
    refused = sendroute("apply", "manifests", "--auto-approve")
    # 1, because references to the deleted profile are errors in a store without its history.
    assert (refused.status, "store-empty" in refused.out) == (1, True)
    assert routes(sendroute) == []
    lose()
    key.unlink()
    aside.rename(key)

    again = {
        "lock": ("init", "--from-lock", lock),
        "backup": ("init", "--from-backup", "monday.db"),
        "restore": ("restore", "monday.db"),
    }[source]
    made = sendroute(*again)
    assert made.status == 0, made
    assert "6 domains" in made.out
    assert routes(sendroute) == before
    for of in ("b.example", "beta/beta", "beta", "acme/ses", "ses"):
        shown = sendroute("history", of).out
        assert ("it came with the store" in shown) == (source == "lock"), shown
        assert "No changes.\n" not in shown
    for of in ("absent.example", "beta/absent"):
        unknown = sendroute("history", of)
        assert (unknown.status, "Neither the store nor its history" in unknown.err) == (1, True)
    plan = json.loads(sendroute("plan", "manifests", "-o", "json").out)
    # A lock file holds no credentials: they are saved again from their secrets, nothing else is.
    kinds = {(change["kind"], change["reason"]) for change in plan["changes"]}
    resaved = {("SMTPProfile", "credentials-lost"), ("MailPlatform", "credentials-lost")}
    assert kinds == (resaved if source == "lock" else set())
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    assert sendroute("plan", "manifests", "--detailed-exitcode").status == 0
    assert routes(sendroute) == before, "the apply-all did not run again"
    write(history / "more.yaml", domain("acme", "third.example"), profile("acme", "mailgun"))
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    [third] = [r for r in routes(sendroute) if r["domain"] == "third.example"]
    assert (third["route"], third["origin"]) == ({"profile": "ses"}, "default")
    # The profile that is declared again gets an id that was never used.
    assert "[p100000" in sendroute("explain", "own.example").out


@pytest.mark.parametrize("source", ["lock", "backup"])
def test_hints_lead_from_an_empty_store_back_to_the_lost_one(
    sendroute: Program, history: Path, lose: Lose, store_url: str, source: str
) -> None:
    before = routes(sendroute)
    assert sendroute("backup", "monday.db").status == 0
    lose()
    refused = sendroute("init")
    assert refused.status == 3
    assert "sendroute init --from-lock FILE, sendroute init --from-backup FILE" in refused.err
    assert sendroute("init", *shlex.split(refused.err.rpartition("sendroute init ")[2])).status == 0
    if source == "lock":
        result = sendroute("apply", "manifests", "--auto-approve", "-o", "json")
        [hint] = [
            item["hint"]
            for item in json.loads(result.out)["findings"]
            if item["code"] == "store-empty"
        ]
        file = shlex.split(hint.rpartition("--from-lock ")[2])[0]
        assert str(history / "sendroute.lock").endswith(file)
    else:
        result = sendroute("restore", "monday.db")
        assert (result.status, "wrong-store" in result.err) == (3, True), result
        hint = " ".join(result.err.partition("hint: ")[2].split())
    follow(hint, sendroute, store_url)
    assert routes(sendroute) == before


def follow(hint: str, sendroute: Program, store_url: str) -> None:
    """Do what the hint says after its colon: move the empty store away, and create another."""
    _, _, steps = hint.partition("again from the ")
    move, _, init = steps.partition(": ")[2].partition(" sendroute init ")
    if store_url.startswith("postgresql"):
        with psycopg.connect(store_url, autocommit=True) as connection:
            connection.execute(move.partition(" in ")[0].encode())
    else:
        program, old, new, also = shlex.split(move)
        assert (program, also) == ("mv", "&&")
        Path(old).rename(new)
    created = sendroute("init", *shlex.split(init))
    assert created.status == 0, created


def test_a_lock_file_brings_an_older_backup_up_to_date(
    sendroute: Program, history: Path, lose: Lose
) -> None:
    assert sendroute("backup", "monday.db").status == 0
    write(history / "more.yaml", domain("acme", "tuesday.example", "{profile: ses}"))
    lock = str(history / "sendroute.lock")
    assert sendroute("apply", "manifests", "--auto-approve", "--write-lock", lock).status == 0
    before = routes(sendroute)
    lose()
    assert sendroute("init", "--from-backup", "monday.db").status == 0
    refused = sendroute("apply", "manifests", "--auto-approve", "-o", "json")
    assert refused.status == 3
    hints = {f["code"]: f["hint"] for f in json.loads(refused.out)["findings"]}
    assert "sendroute restore manifests/sendroute.lock" in hints["wrong-store"]
    shown = sendroute("restore", lock)
    assert (shown.status, "not-approved" in shown.out) == (3, True)
    assert "tuesday.example" in shown.out
    restored = sendroute("restore", lock, "--auto-approve")
    assert (restored.status, "Restore: 1 created." in restored.out) == (0, True), restored
    assert routes(sendroute) == before
    assert sendroute("plan", "manifests", "--detailed-exitcode").status == 0
    again = sendroute("restore", lock)
    assert (again.status, again.out) == (0, "Restore: nothing to do.\n")


def test_a_lock_file_of_a_diverged_history_is_refused(
    sendroute: Program, history: Path, lose: Lose
) -> None:
    assert sendroute("backup", "monday.db").status == 0
    lock = history / "sendroute.lock"
    write(history / "more.yaml", domain("acme", "tuesday.example", "{profile: ses}"))
    arguments = ("apply", "manifests", "--auto-approve", "--write-lock", str(lock))
    assert sendroute(*arguments).status == 0
    lose()
    assert sendroute("restore", "monday.db").status == 0
    write(history / "more.yaml", domain("acme", "wednesday.example"))
    newer = lock.rename(lock.with_suffix(".old"))
    assert sendroute(*arguments).status == 0
    assert sendroute(*arguments).status == 0
    # The revision number is the same by now, but the history is different.
    newer.rename(lock)
    refused = sendroute(*arguments)
    assert (refused.status, "wrong-store" in refused.out) == (3, True), refused


def test_backup_reports_its_contents_and_that_the_key_is_not_in_it(
    sendroute: Program, history: Path, workdir: Path
) -> None:
    assert history.is_dir()
    backup = sendroute("backup", "a.db")
    assert "2 accounts, 2 profiles and 6 domains, with their history." in backup.out
    assert "The key is not in it" in backup.out
    document = json.loads(sendroute("backup", "b.db", "-o", "json").out)
    status = json.loads(sendroute("status", "-o", "json").out)
    assert (document["file"], document["store"]) == ("b.db", status["store"])
    assert sendroute("backup", "a.db").status == 3, "an existing file is not overwritten"
    assert sendroute("backup", "-").status == 64
    assert sendroute("backup", "--quiet", "c.db").out == ""
    for path in workdir.glob("?.db"):
        assert b"a-password" not in path.read_bytes()


def test_restore_refuses_the_backup_of_another_store(
    sendroute: Program, history: Path, lose: Lose
) -> None:
    assert history.is_dir()
    assert sendroute("backup", "other.db").status == 0
    lose()
    assert sendroute("init", "--key-file", str(next(history.parents[1].rglob("*.key")))).status == 0
    before = sendroute("status", "-o", "json").out
    refused = sendroute("restore", "other.db", "--auto-approve")
    assert (refused.status, "wrong-store" in refused.err) == (3, True)
    assert sendroute("status", "-o", "json").out == before


@pytest.mark.parametrize(
    "file", ["none.db", "manifests", "manifests/all.yaml", "broken.lock", "pipe"]
)
def test_restore_reports_a_file_that_is_neither_backup_nor_lock_file(
    sendroute: Program, history: Path, file: str
) -> None:
    (history.parent / "broken.lock").write_text("{")
    os.mkfifo(history.parent / "pipe")
    result = sendroute("restore", file, "--auto-approve")
    assert result.status in (1, 3)
    assert "hint:" in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize("has_store", [True, False])
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("platform.spec", "{"),
        ("account.namespace", "../x"),
        ("account.namespace", "sendroute-system"),
        ("endpoint.port", 70_000),
    ],
)
def test_a_wrong_value_in_a_backup_is_reported_as_damage_of_the_backup(
    sendroute: Program, history: Path, lose: Lose, column: str, value: object, has_store: bool
) -> None:
    assert sendroute("backup", "b.db").status == 0
    put(history.parent / "b.db", *column.split("."), value)
    if not has_store:
        lose()
    result = sendroute("restore", "b.db", "--auto-approve")
    assert result.status == 1
    assert "The backup b.db is damaged." in result.err
    assert "Use an older backup" in result.err


def _twice(lock: Any) -> None:
    lock["accounts"].append(lock["accounts"][0])


def _domain_in_two_accounts(lock: Any) -> None:
    lock["accounts"][1]["domains"] |= lock["accounts"][0]["domains"]


def _same_id(lock: Any) -> None:
    (first, *_), (second, *_) = (list(item["profiles"].values()) for item in lock["accounts"][:2])
    second["id"] = first["id"]


def _wide_version(lock: Any) -> None:
    next(iter(lock["accounts"][0]["profiles"].values()))["version"] = 2**40


def _unknown_profile(lock: Any) -> None:
    next(iter(lock["accounts"][0]["domains"].values()))["route"] = {"profile": "absent"}


def _unknown_shadow(lock: Any) -> None:
    next(iter(lock["accounts"][0]["domains"].values())).update(origin="apply-all", shadow="absent")


def _high_revision(lock: Any) -> None:
    lock["revision"] = 10**30


def _no_commit_id(lock: Any) -> None:
    lock["commit_id"] = "it"


def _no_network(content: Any) -> None:
    content["platform"]["allow_networks"] = ["10.0.0.0/33"]


def _nul_in_path(content: Any) -> None:
    content["platform"]["ca_file"] = "/etc/\0.pem"


def _negative_limit(content: Any) -> None:
    content["accounts"][0]["profiles"]["ses"]["spec"]["limits"] = {"per_day": -1}


def _plan_of_two_lines(content: Any) -> None:
    content["platform"]["plans"][0]["name"] = "na\nno"


CONTRADICTIONS = [
    _twice,
    _domain_in_two_accounts,
    _same_id,
    _wide_version,
    _unknown_profile,
    _unknown_shadow,
    _high_revision,
    _no_commit_id,
    _no_network,
    _nul_in_path,
    _negative_limit,
    _plan_of_two_lines,
]


@pytest.mark.parametrize("change", CONTRADICTIONS)
def test_every_command_reports_a_contradictory_lock_file_alike(
    sendroute: Program, history: Path, lose: Lose, change: Callable[[Any], None]
) -> None:
    content = json.loads((history / "sendroute.lock").read_text())
    change(content)
    bad = history / "bad.lock"
    bad.write_text(json.dumps(content))
    before = [sendroute(command).out for command in ("routes", "history")]
    restored = sendroute("restore", str(bad), "--auto-approve", "-o", "json")
    assert [sendroute(command).out for command in ("routes", "history")] == before
    bad.rename(history / "sendroute.lock")
    validated = sendroute("validate", "manifests", "-o", "json")
    (history / "sendroute.lock").rename(bad)
    lose()
    created = sendroute("init", "--from-lock", str(bad))
    assert [created.status, restored.status, validated.status] == [1, 1, 1]
    assert "bad.lock is not a valid lock file." in created.err
    assert "not-initialised" in sendroute("routes").err, "no store was created"
    for result in (restored, validated):
        codes = [item["code"] for item in json.loads(result.out)["findings"]]
        assert "invalid-value" in codes, result
        assert "stale-plan" not in codes
    assert "is not a valid lock file." in restored.out + restored.err


@pytest.mark.parametrize("change", [_high_revision, _no_commit_id])
def test_a_plan_does_not_compare_the_store_with_an_invalid_lock_file(
    sendroute: Program, history: Path, change: Callable[[Any], None]
) -> None:
    lock = history / "sendroute.lock"
    content = json.loads(lock.read_text())
    change(content)
    lock.write_text(json.dumps(content))
    result = sendroute("plan", "manifests")
    assert (result.status, "wrong-store" in result.out + result.err) == (1, False)
    assert "is not a valid lock file." in result.out + result.err


@pytest.mark.parametrize("text", ["<<<<<<< HEAD\n{}\n", "", "[]", "\0\xff", '{"lineage": '])
@pytest.mark.parametrize("has_store", [True, False])
def test_restore_and_init_report_a_bad_lock_file_alike(
    sendroute: Program, history: Path, lose: Lose, text: str, has_store: bool
) -> None:
    bad = history.parent / "bad.lock"
    bad.write_bytes(text.encode("latin-1"))
    if not has_store:
        lose()
    restored = sendroute("restore", "bad.lock", "--auto-approve")
    if has_store:
        lose()
    created = sendroute("init", "--from-lock", "bad.lock")
    assert (restored.status, restored.err) == (created.status, created.err)
    assert restored.status == 1


def test_a_backup_is_read_as_one_whatever_its_name(
    sendroute: Program,
    history: Path,  # noqa: ARG001
) -> None:
    assert sendroute("backup", "monday.lock").status == 0
    assert sendroute("restore", "monday.lock", "--auto-approve").status == 0


@pytest.mark.parametrize("option", ["--from-lock", "--from-backup"])
def test_init_with_an_empty_file_name_creates_no_store(
    process: Callable[..., "CompletedProcess[str]"], workdir: Path, option: str
) -> None:
    """From an unset variable, for example: every domain would get the current default."""
    result = process("init", option, "")
    assert (result.returncode, f"{option}: the value is empty" in result.stderr) == (64, True)
    assert "Traceback" not in result.stderr
    assert not list(workdir.iterdir())


# The key is lost too


class LostKey(NamedTuple):
    """A store from a backup whose key was lost. Two profiles and the managed relay sign in."""

    sendroute: Program
    secrets: Path

    def apply(self, *arguments: str) -> tuple[int, list[tuple[str, str]]]:
        """The exit status, and code and severity of each finding."""
        applied = self.sendroute("apply", *(arguments or ("manifests",)), "--auto-approve",
                                 "-o", "json=report.json")  # fmt: skip
        report = json.loads(Path("report.json").read_text())
        findings = [(item["code"], item["severity"]) for item in report["findings"]]
        return applied.status, [item for item in findings if item[0] != "profile-unused"]

    def drop(self, *names: str) -> None:
        for name in names:
            shutil.rmtree(self.secrets / name)


@pytest.fixture
def lost_key(sendroute: Program, workdir: Path, lose: Lose) -> LostKey:
    write_secret(workdir.parent / "secrets/acme/mailgun-smtp")
    profiles = profile("acme", "ses"), profile("acme", "mailgun", host="smtp.mg.example")
    write(workdir / "manifests/all.yaml", PLATFORM, account("acme"), *profiles)
    assert sendroute("init").status == 0
    assert sendroute("apply", "manifests", "--auto-approve").status == 0
    assert sendroute("backup", "monday.db").status == 0
    lose()
    key = next(workdir.parent.rglob("sendroute.key"))
    key.rename(workdir / "old.key")
    created = sendroute("init", "--from-backup", "monday.db")
    assert "does not decrypt the backup's credentials" in created.out
    return LostKey(sendroute, workdir.parent / "secrets")


def test_with_all_secrets_every_credential_is_encrypted_again(lost_key: LostKey) -> None:
    planned = lost_key.sendroute("plan", "manifests", "-o", "json")
    assert planned.status == 0
    assert json.loads(planned.out)["summary"]["update"] == 3
    changes = json.loads(planned.out)["changes"]
    assert {change["reason"] for change in changes} == {"credentials-lost"}, "no secret changed"
    for change in changes:
        assert "saved again from its secret: the store has none" in change["message"]
        assert "the content of its secret" not in change["message"]
    assert lost_key.apply() == (0, [("credential-unreadable", "info")] * 3)
    assert lost_key.apply() == (0, [])
    assert lost_key.sendroute("plan", "manifests", "--detailed-exitcode").status == 0


def test_what_fails_its_test_has_no_version_to_fall_back_on(lost_key: LostKey) -> None:
    """Its credential cannot be decrypted, so nothing can be sent with the previous version."""
    text = Path("manifests/all.yaml").read_text()
    Path("manifests/all.yaml").write_text(text.replace("connectionTest: skip", ""))
    skipped = json.loads(
        lost_key.sendroute("apply", "manifests", "--auto-approve", "-o", "json").out
    )
    messages = [change["message"] for change in skipped["changes"] if change["action"] == "skip"]
    assert messages, skipped
    for message in messages:
        assert "nothing can be sent with it, because the store has no credential for it" in message
        assert "stays in effect" not in message


def test_without_some_secrets_the_others_are_encrypted_and_these_are_named(
    lost_key: LostKey,
) -> None:
    lost_key.drop("acme/mailgun-smtp")
    status, findings = lost_key.apply()
    assert status == 4
    assert sorted(findings) == [("credential-unreadable", "info")] * 2 + [
        ("secret-missing", "error")
    ]
    assert lost_key.apply() == (4, [("secret-missing", "error")]), "until the secret is given"
    write_secret(lost_key.secrets / "acme/mailgun-smtp")
    assert lost_key.apply() == (0, [("credential-unreadable", "info")])
    assert lost_key.apply() == (0, [])


def test_a_saved_plan_encrypts_again_what_it_showed(lost_key: LostKey) -> None:
    lost_key.drop("acme/mailgun-smtp")
    assert lost_key.sendroute("plan", "manifests", "--out", "change.plan").status == 4
    assert lost_key.apply("change.plan")[0] == 4
    assert lost_key.apply() == (4, [("secret-missing", "error")])


def test_without_any_secret_nothing_is_changed(lost_key: LostKey) -> None:
    lost_key.drop("acme/mailgun-smtp", "acme/ses-smtp", "sendroute-system/managed-relay")
    before = lost_key.sendroute("history", "-o", "json").out
    assert lost_key.apply() == (1, [("credential-unreadable", "error")])
    assert lost_key.apply("--secrets", "", "manifests")[0] == 1
    assert lost_key.sendroute("history", "-o", "json").out == before


@pytest.mark.parametrize("drop", [False, True], ids=["no directory", "an empty directory"])
def test_plan_without_any_secret_refuses_as_apply_does(lost_key: LostKey, drop: bool) -> None:
    options = ["manifests"] if drop else ["manifests", "--secrets", ""]
    if drop:
        lost_key.drop("acme/mailgun-smtp", "acme/ses-smtp", "sendroute-system/managed-relay")
    planned = lost_key.sendroute("plan", *options, "-o", "json=plan.json")
    status, items = lost_key.apply(*options)
    assert (planned.status, status) == (1, 1)
    report = json.loads(Path("plan.json").read_text())
    assert (
        [
            (item["code"], item["severity"])
            for item in report["findings"]
            if item["code"] != "profile-unused"
        ]
        == items
        == [("credential-unreadable", "error")]
    )
    new = next(lost_key.secrets.parent.rglob("sendroute.key"))
    new.write_text(new.read_text() + Path("old.key").read_text())
    assert lost_key.sendroute("plan", *options).status == 0, "the old key decrypts them"


def test_an_old_key_that_is_found_again_is_enough(lost_key: LostKey) -> None:
    new = next(lost_key.secrets.parent.rglob("sendroute.key"))
    new.write_text(new.read_text() + Path("old.key").read_text())
    lost_key.drop("acme/mailgun-smtp", "acme/ses-smtp", "sendroute-system/managed-relay")
    status, findings = lost_key.apply()
    assert (status, {code for code, _ in findings}) == (0, {"secret-not-compared"})


def test_rekey_leaves_the_credentials_of_the_lost_key_and_names_them(lost_key: LostKey) -> None:
    new = next(lost_key.secrets.parent.rglob("sendroute.key"))
    before = lost_key.sendroute("history", "-o", "json").out
    refused = lost_key.sendroute("rekey", "--key-file", str(new))
    assert (refused.status, "credential-unreadable" in refused.err) == (1, True), "all are lost"
    assert lost_key.sendroute("history", "-o", "json").out == before
    lost_key.drop("acme/mailgun-smtp")
    assert lost_key.apply()[0] == 4
    keys = Path("keys")
    keys.write_text(Fernet.generate_key().decode() + "\n" + new.read_text())
    partly = lost_key.sendroute("rekey", "--key-file", str(keys))
    assert (partly.status, "Re-encrypted 2 credentials" in partly.out) == (4, True), partly
    assert "of profile mailgun of account acme/acme (present) cannot be decrypted" in partly.err
    assert "of profile ses of account acme/acme (retired) cannot be decrypted" in partly.err
    assert lost_key.apply("--key-file", "keys", "manifests") == (4, [("secret-missing", "error")])
    keys.write_text(keys.read_text() + "\n" + Path("old.key").read_text())
    whole = lost_key.sendroute("rekey", "--key-file", str(keys))
    assert (whole.status, whole.err) == (0, ""), "nothing was lost"
    keys.write_text(keys.read_text().split()[0])
    status, findings = lost_key.apply("--key-file", "keys", "manifests")
    assert (status, {code for code, _ in findings}) == (0, {"secret-not-compared"})


def test_a_wrong_key_is_still_refused(lost_key: LostKey) -> None:
    """Once the credentials were encrypted again, another key is a mistake."""
    assert lost_key.apply()[0] == 0
    Path("wrong.key").write_text(Fernet.generate_key().decode())
    assert lost_key.apply("--key-file", "wrong.key", "manifests") == (
        1,
        [("credential-unreadable", "error")],
    )


# A second init


def test_init_if_missing_creates_the_store_once(sendroute: Program, lose: Lose) -> None:
    assert lose
    created = sendroute("init", "--if-missing")
    assert (created.status, "Created the store" in created.out) == (0, True)
    lineage = json.loads(sendroute("status", "-o", "json").out)["store"]["lineage"]
    again = sendroute("init", "--if-missing")
    assert (again.status, again.err) == (0, "")
    assert "exists. Nothing was changed." in again.out
    assert json.loads(sendroute("status", "-o", "json").out)["store"]["lineage"] == lineage


def test_init_if_missing_does_not_take_another_file_for_the_store(
    sendroute: Program, lose: Lose
) -> None:
    assert lose
    Path("other.db").write_text("not a store")
    refused = sendroute("init", "--if-missing", "--store", "sqlite:///other.db")
    assert (refused.status, "wrong-store" in refused.err) == (3, True), refused
    Path("lost.db-wal").write_text("the log of a store that was moved")
    refused = sendroute("init", "--if-missing", "--store", "sqlite:///lost.db")
    assert (refused.status, "store-exists" in refused.err) == (3, True), refused
    assert not Path("lost.db").exists()


def test_a_second_init_reports_the_store_and_leaves_its_key_alone(
    sendroute: Program, lose: Lose
) -> None:
    assert lose
    assert sendroute("init").status == 0
    for arguments in ((), ("--key-file", "sendroute.key"), ("--from-backup", "none.db")):
        again = sendroute("init", *arguments)
        assert (again.status, "store-exists" in again.err) == (3, True), again
        assert "moved" not in again.err
        assert "key" not in again.err
    key = next(Path.cwd().parent.rglob("sendroute.key"))
    kept = key.rename(key.with_name("kept"))
    assert sendroute("init").status == 3
    assert not key.exists()
    kept.rename(key)
    lose()
    refused = sendroute("init")
    assert (refused.status, "key-exists" in refused.err) == (3, True)
    assert "--key-file" in refused.err


@pytest.mark.parametrize("option", ["--from-lock", "--from-backup"])
def test_init_from_a_file_over_an_empty_store_gives_the_whole_command(
    sendroute: Program, history: Path, lose: Lose, option: str
) -> None:
    assert sendroute("backup", "monday.db").status == 0
    saved = {"--from-lock": str(history / "sendroute.lock"), "--from-backup": "monday.db"}[option]
    refused = sendroute("init", option, saved)
    assert (refused.status, "store-exists" in refused.err) == (3, True), refused
    assert "empty" not in refused.err, "it holds something"
    lose()
    key = next(Path.cwd().parent.rglob("sendroute.key"))
    assert sendroute("init", "--key-file", str(key)).status == 0
    refused = sendroute("init", option, saved)
    assert (refused.status, "is an empty store" in refused.err) == (3, True), refused
    assert f"sendroute init {option} {shlex.quote(saved)}" in refused.err
    assert "mv " in refused.err or "ALTER SCHEMA" in refused.err


def test_the_command_that_replaces_an_empty_store_names_it_if_it_is_not_the_default(
    sendroute: Program, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifests = write(workdir / "m/platform.yaml", PLATFORM).parent
    first = ("--store", "sqlite:///./first.db")
    assert sendroute(*first, "init").status == 0
    written = sendroute(*first, "apply", str(manifests), "--auto-approve", "--write-lock", "x.lock")
    assert written.status == 0
    given = ("--store", "sqlite:///./other.db", "--key-file", "sendroute.key")
    assert sendroute(*given, "init").status == 0
    refused = sendroute(*given, "init", "--from-lock", "x.lock")
    kept = "sendroute --store sqlite:///./other.db --key-file sendroute.key"
    assert f"&& {kept} init --from-lock x.lock" in refused.err
    monkeypatch.setenv("SENDROUTE_STORE", "sqlite:///./other.db")
    refused = sendroute("init", "--from-lock", "x.lock")
    assert f"sendroute init --from-lock x.lock --store sqlite:///{workdir}/other.db" in refused.err


@pytest.mark.parametrize("option", ["--from-lock", "--from-backup"])
@pytest.mark.parametrize("file", ["nowhere", "damaged", "the store"])
def test_no_empty_store_is_moved_away_for_a_file_that_cannot_replace_it(
    sendroute: Program, workdir: Path, option: str, file: str
) -> None:
    assert sendroute("init").status == 0
    (workdir / "damaged").write_text("{")
    refused = sendroute("init", option, {"the store": "sendroute.db"}.get(file, file))
    assert (refused.status, "store-exists" in refused.err) == (3, True), refused
    assert "mv " not in refused.err
    if file != "the store":
        assert re.search(rf"{file} (is|cannot)|There is no backup at \S*{file}", refused.err), (
            refused
        )


@pytest.mark.parametrize("other", ["empty", "text", "directory", "link"])
def test_init_calls_nothing_a_store_that_is_none(
    sendroute: Program, workdir: Path, other: str
) -> None:
    path = workdir / "sendroute.db"
    match other:
        case "directory":
            path.mkdir()
        case "link":
            path.symlink_to("nowhere")
        case _:
            path.write_text("" if other == "empty" else "text")
    refused = sendroute("init")
    assert (refused.status, "already exists, and is no store" in refused.err) == (3, True), refused
    assert "Use that store" not in refused.err


def test_init_makes_git_ignore_the_key_and_the_store(sendroute: Program, workdir: Path) -> None:
    git(workdir, "init", "-q")
    (workdir / ".gitignore").write_text("*.pyc")
    created = sendroute("init")
    assert "Added /sendroute.key to" in created.out
    assert (workdir / ".gitignore").read_text() == "*.pyc\n/sendroute.key\n/sendroute.db*\n"
    assert "sendroute." not in git(workdir, "status", "--porcelain", "-uall")
    (workdir / "sendroute.db").unlink()
    (workdir / "sendroute.key").unlink()
    assert "gitignore" not in sendroute("init").out


def test_init_keeps_the_key_out_of_a_damaged_repository(sendroute: Program, workdir: Path) -> None:
    git(workdir, "init", "-q")
    (workdir / ".git/HEAD").unlink()
    assert "Added /sendroute.key to" in sendroute("init").out
    assert (workdir / ".gitignore").read_text() == "/sendroute.key\n/sendroute.db*\n"


@pytest.mark.parametrize("list_of", ["the directory above", "the clone"])
def test_init_adds_no_line_for_what_git_ignores_already(
    sendroute: Program, workdir: Path, monkeypatch: pytest.MonkeyPatch, list_of: str
) -> None:
    git(workdir, "init", "-q")
    file = ".gitignore" if list_of == "the directory above" else ".git/info/exclude"
    (workdir / file).write_text("*.key\n*.db*\n")
    (workdir / "below").mkdir()
    monkeypatch.chdir(workdir / "below")
    assert "gitignore" not in sendroute("init").out
    assert not (workdir / "below/.gitignore").exists()


def test_init_adds_a_line_if_git_ignores_only_a_part_of_the_store(
    sendroute: Program, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(workdir, "init", "-q")
    (workdir / ".gitignore").write_text("*.key\n*.db\n")
    (workdir / "below").mkdir()
    monkeypatch.chdir(workdir / "below")
    sendroute("init")
    assert (workdir / "below/.gitignore").read_text() == "/sendroute.db*\n"


def test_init_says_on_standard_error_that_it_changed_a_file_even_if_quiet(
    sendroute: Program, workdir: Path
) -> None:
    git(workdir, "init", "-q")
    assert "Added /sendroute.key" in sendroute("init", "-q").err


def test_init_warns_if_it_cannot_change_the_list_of_ignored_files(
    sendroute: Program, workdir: Path
) -> None:
    git(workdir, "init", "-q")
    (workdir / "elsewhere").write_text("/sendroute.key\n")
    (workdir / ".gitignore").symlink_to("elsewhere")
    assert "never commit it" in sendroute("init").out
    assert (workdir / "elsewhere").read_text() == "/sendroute.key\n"


def test_init_reads_no_endless_list_of_ignored_files(sendroute: Program, workdir: Path) -> None:
    git(workdir, "init", "-q")
    (workdir / ".gitignore").symlink_to("/dev/zero")
    assert "never commit it" in sendroute("init").out


def test_a_line_that_takes_the_key_back_is_followed_by_one_that_ignores_it(
    sendroute: Program, workdir: Path
) -> None:
    git(workdir, "init", "-q")
    (workdir / ".gitignore").write_text("/sendroute.key\n!/sendroute.key\n")
    assert "Added /sendroute.key to" in sendroute("init").out
    assert "sendroute." not in git(workdir, "status", "--porcelain", "-uall")


@pytest.mark.parametrize("options", [(), ("-q",), ("-o", "json")])
def test_backup_makes_git_ignore_its_file_and_says_so(
    sendroute: Program, workdir: Path, options: tuple[str, ...]
) -> None:
    sendroute("init")
    git(workdir, "init", "-q")
    backup = sendroute("backup", "monday.db", *options)
    assert ("Added /monday.db to" in backup.out) is (options == ())
    assert ("Added /monday.db to" in backup.err) is (options != ())
    assert "monday.db" not in git(workdir, "status", "--porcelain", "-uall")


def test_backup_names_the_file_of_the_key_only_if_it_is_known(
    sendroute: Program, workdir: Path
) -> None:
    sendroute("init")
    key = (workdir / "sendroute.key").rename(workdir / "old.key")
    assert "a copy of the key separately" in sendroute("backup", "a.db").out
    given = sendroute("--key-file", "old.key", "backup", "b.db")
    assert "a copy of old.key separately" in given.out
    key.rename(workdir / "sendroute.key")
    assert "a copy of sendroute.key separately" in sendroute("backup", "c.db").out


@pytest.mark.parametrize("command", ["plan manifests", "apply manifests", "status manifests"])
def test_a_lost_store_is_created_again_from_the_lock_file_of_the_manifests(
    sendroute: Program, store: Path, workdir: Path, command: str
) -> None:
    lock = "manifests/sendroute.lock"
    assert sendroute("apply", "manifests", "--auto-approve", "--write-lock", lock).status == 0
    store.unlink()
    answer = sendroute(*command.split())
    assert (answer.status, f"sendroute init --from-lock {lock}" in answer.err) == (3, True)
    (workdir / "sendroute.key").unlink()
    assert sendroute("init", "--from-lock", lock).status == 0
