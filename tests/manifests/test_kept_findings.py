"""Of very many findings some are kept, and what they stop does not depend on which."""

from pathlib import Path

import pytest

from sendroute.manifests import parallel, read
from sendroute.manifests.compile import compile_reading
from sendroute.manifests.kept_findings import MOST_OF_FILE, KeptFindings
from sendroute.manifests.read import TreeReading
from sendroute.manifests.sources import FileSource
from sendroute.model.desired import AccountKey, Desired
from sendroute.model.finding import Severity

BROKEN = "apiVersion: sendroute.dev/v1alpha1\nkind: MailAccount\n---\n"
OF_ACCOUNT = """\
apiVersion: sendroute.dev/v1alpha1
kind: SendingDomain
metadata: {{name: d{number}, namespace: {account}}}
spec: {{account: {account}, domains: x}}
---
"""
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {a: b}\n---\n"


def desired(root: Path) -> Desired:
    return compile_reading(TreeReading(FileSource([str(root)])))


def test_a_file_keeps_some_findings_and_counts_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(BROKEN * 1000)
    findings = desired(tmp_path).findings
    *others, last = (item for item in findings if item.code != "no-platform")
    assert len(others) == MOST_OF_FILE
    assert (last.code, last.severity) == ("findings-omitted", Severity.ERROR)
    assert last.message == f"{2 * 1000 - MOST_OF_FILE:,} more findings are not shown."


def test_every_stopped_account_keeps_its_first_finding(tmp_path: Path) -> None:
    accounts = [AccountKey(f"a{number}", f"a{number}") for number in range(300)]
    (tmp_path / "a.yaml").write_text(BROKEN * 200)
    text = "".join(OF_ACCOUNT.format(number=0, account=key.name) * 2 for key in accounts)
    (tmp_path / "b.yaml").write_text(text)
    (tmp_path / "c.yaml").write_text("kind: [")
    tree = desired(tmp_path)
    assert tree.stopped == set(accounts)
    assert {item.account for item in tree.findings} >= {key.name for key in accounts}
    assert not tree.complete


def test_the_first_problem_of_something_unread_is_kept(tmp_path: Path) -> None:
    text = "".join(OF_ACCOUNT.format(number=number, account="acme") for number in range(200))
    (tmp_path / "a.yaml").write_text(text + BROKEN)
    tree = desired(tmp_path)
    assert len(tree.unread) == 1
    assert set(tree.unread) <= set(tree.findings)


def test_a_tree_keeps_some_findings_of_all_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(8):
        (tmp_path / f"{number}.yaml").write_text(BROKEN * 200)
    monkeypatch.setattr(read, "MOST_OF_TREE", 250)
    tree = desired(tmp_path)
    *others, last = (item for item in tree.findings if item.code != "no-platform")
    assert len(others) == 250
    assert last.message == f"{8 * 400 - 250:,} more findings are not shown."


def test_several_processes_keep_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        text = BROKEN * 200 + OF_ACCOUNT.format(number=number, account=f"a{number}")
        (tmp_path / f"{number}.yaml").write_text(text)
    alone = desired(tmp_path)
    monkeypatch.setattr(read, "_BYTES_BEFORE_WORKERS", 1000)
    monkeypatch.setattr(parallel, "available_workers", lambda: 3)
    together = compile_reading(TreeReading(FileSource([str(tmp_path)]), workers=3))
    assert together == alone
    assert len(together.stopped) == 20


def test_advice_is_counted_too(tmp_path: Path) -> None:
    kept = KeptFindings(1)
    assert kept.summary(Severity.WARNING) == []
    (tmp_path / "a.yaml").write_text(SECRET * 2)
    tree = desired(tmp_path)
    for item in tree.findings:
        kept.add(item)
    (last,) = kept.summary(Severity.WARNING)
    assert last.severity is Severity.WARNING
