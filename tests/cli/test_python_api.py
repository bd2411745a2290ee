"""``sendroute.plan`` takes the decision that the command ``plan`` shows without secrets."""

import json
from pathlib import Path
from typing import Any

import pytest

import sendroute as api
from sendroute.reports.render import Format, render
from sendroute.reports.report import of_plan

from .conftest import PLATFORM, Program, account, domain, git, profile, write

STORE = "sqlite:///./sendroute.db"
ACCOUNT = account("acme")
SES = profile("acme", "ses")
ROUTED = domain("acme", "shop.example", "{profile: ses}")


@pytest.fixture
def applied(workdir: Path, sendroute: Program, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose only commit is applied; afterwards no secrets are given."""
    write_tree(workdir, ACCOUNT, SES, ROUTED)
    git(workdir, "init", "-q", "-b", "main")
    git(workdir, "add", "m")
    git(workdir, "commit", "-q", "-m", "first")
    assert sendroute("init").status == 0
    assert sendroute("apply", "m", "--auto-approve", "--write-lock", "m/sendroute.lock").status == 0
    monkeypatch.delenv("SENDROUTE_SECRETS")
    return workdir


def write_tree(workdir: Path, *documents: str) -> None:
    write(workdir / "m/platform.yaml", PLATFORM)
    write(workdir / "m/acme.yaml", *documents)


def both(sendroute: Program, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The report of the command and that of the API, without hints: only the command's name its
    options."""
    only = [argument for key in options.get("only", ()) for argument in ("--only", "/".join(key))]
    shown = json.loads(sendroute("plan", "m", "-o", "json", *only).out)
    tree = api.load("m")
    with api.open_store(STORE) as store:
        plan = api.plan(tree, store, **options)
    planned = json.loads("".join(render(of_plan(plan, locate=tree.locate), Format.JSON)))
    for finding in (*shown["findings"], *planned["findings"]):
        finding.pop("hint", None)
    return shown, planned


def codes(report: dict[str, Any]) -> set[str]:
    return {finding["code"] for finding in report["findings"]}


def test_an_accepted_finding_is_silent_in_the_api_too(applied: Path, sendroute: Program) -> None:
    accepted = 'annotations: {sendroute.dev/accept: "profile-unused"}'
    unused = profile("acme", "idle").replace("namespace: acme", f"namespace: acme, {accepted}")
    write_tree(applied, ACCOUNT, SES, ROUTED, unused, profile("acme", "spare"))
    shown, planned = both(sendroute)
    assert planned == shown
    unused_profiles = [f for f in planned["findings"] if f["code"] == "profile-unused"]
    assert len(unused_profiles) == 1, "the other one is accepted"


def test_an_older_tree_is_refused_in_the_api_too(applied: Path, sendroute: Program) -> None:
    write_tree(applied, ACCOUNT, SES, ROUTED, domain("acme", "new.example"))
    git(applied, "commit", "-q", "-a", "-m", "second")
    assert sendroute("apply", "m", "--auto-approve").status == 0
    git(applied, "reset", "-q", "--hard", "HEAD~")
    shown, planned = both(sendroute)
    assert planned == shown
    assert "older-tree" in codes(planned)
    allowed = api.Guards(allow_older_tree=True)
    with api.open_store(STORE) as store:
        findings = api.plan(api.load("m"), store, guards=allowed).all_findings
    assert "older-tree" not in {finding.code for finding in findings}


def test_the_lock_file_of_another_store_is_reported_by_the_api_too(
    applied: Path, sendroute: Program
) -> None:
    for file in applied.glob("sendroute.*"):
        file.unlink()
    assert sendroute("init").status == 0
    shown, planned = both(sendroute)
    assert planned == shown
    assert "store-empty" in codes(planned)


def test_one_account_is_planned_alike(applied: Path, sendroute: Program) -> None:
    write_tree(applied, ACCOUNT, SES, ROUTED, domain("acme", "new.example"))
    write(applied / "m/bolt.yaml", account("bolt"), domain("bolt", "bolt.example"))
    shown, planned = both(sendroute, only=[("acme", "acme")])
    assert planned == shown
    assert [change["name"] for change in planned["changes"]] == ["new.example"]


def test_an_unknown_account_whose_removal_is_confirmed_is_reported(applied: Path) -> None:
    guards = api.Guards(remove_accounts=frozenset({api.AccountKey("acme", "acne")}))
    with api.open_store(STORE) as store, pytest.raises(api.ProblemError) as error:
        api.plan(api.load(str(applied / "m")), store, guards=guards)
    assert [finding.code for finding in error.value.findings] == ["unknown-account"]
