"""Tests of the benchmark code. They check no times, only what is measured."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import peers
import pytest
import yaml
from goals import throughput
from lab import Lab
from measuring import FailedRunError, Run, interleaved, run
from table import Row, render
from trees import MANAGED, PROFILE, Tree

HERE = Path(__file__).parent


def _contents(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def test_a_tree_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    trees = [Tree(tmp_path / name, domains=40, files=8, accounts=2).write() for name in "ab"]
    first, second = (_contents(tree.root) for tree in trees)
    assert first == second
    assert len(first) == 8 + 1


def test_a_tree_has_the_given_number_of_objects(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree", domains=40, files=8, accounts=2).write()
    documents = [
        document for data in _contents(tree.root).values() for document in yaml.safe_load_all(data)
    ]
    kinds = [document["kind"] for document in documents]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "MailPlatform": 1,
        "MailAccount": 2,
        "SMTPProfile": 2,
        "SendingDomain": 40,
    }
    domains = [d["spec"] for d in documents if d["kind"] == "SendingDomain"]
    assert len({spec["domain"] for spec in domains}) == 40
    assert {spec["account"] for spec in domains} == {"team-00000", "team-00001"}


def test_a_tree_has_no_findings(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree", domains=40, files=8, accounts=2).write()
    validate = [sys.executable, "-m", "sendroute", "validate", "--strict", str(tree.root)]
    done = subprocess.run(validate, capture_output=True, check=False, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_rerouting_twice_restores_the_given_files(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree", domains=8, files=8, accounts=2).write()
    before = _contents(tree.root)
    tree.reroute(range(1, 8, 4))
    changed = {name for name, data in _contents(tree.root).items() if data != before[name]}
    assert changed == {str(tree.path(number).relative_to(tree.root)) for number in (1, 5)}
    assert MANAGED in tree.path(1).read_text()
    assert PROFILE not in tree.path(1).read_text()
    tree.reroute(range(1, 8, 4))
    assert _contents(tree.root) == before


def test_zones_have_the_given_number_of_records_on_both_sides(tmp_path: Path) -> None:
    peers.write_zones(tmp_path, records=20, zones=2)
    for side in ("wanted", "held"):
        zones = [yaml.safe_load(path.read_bytes()) for path in (tmp_path / side).iterdir()]
        assert [len(zone) for zone in zones] == [10, 10]


def test_contestants_alternate_and_the_warm_up_does_not_count() -> None:
    order: list[str] = []

    def contestant(name: str, seconds: list[float]) -> Run:
        order.append(name)
        return Run(seconds.pop(0), 0, 0, b"")

    slow, fast = [9.0, 3.0, 5.0, 4.0], [9.0, 1.0, 1.0, 2.0]
    samples = interleaved(
        {"slow": lambda: contestant("slow", slow), "fast": lambda: contestant("fast", fast)}, 3
    )
    assert order == ["slow", "fast"] * 4
    assert (samples["slow"].seconds, samples["fast"].seconds) == (4.0, 1.0)


def test_the_peak_is_measured_for_each_child() -> None:
    # A child's peak includes that of this process, which many tests may share.
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 + 200_000_000
    small = run([sys.executable, "-c", "pass"])
    large = run([sys.executable, "-c", f"held = bytearray(b'x') * {size}"])
    assert large.peak > size > small.peak


def test_a_command_with_an_unexpected_status_fails() -> None:
    words = [sys.executable, "-c", "raise SystemExit('no store')"]
    with pytest.raises(FailedRunError, match="no store"):
        run(words)
    assert run(words, expect=1).status == 1


def test_the_table_shows_met_missed_or_a_note() -> None:
    rows = [
        Row("1", "fast", "1 s", "4 s", 0.25, 0.5),
        Row("1", "large", "300 MB", "-", 300, 200, "MB"),
        Row("2", "alone", "1 s", note="no peer: offline"),
    ]
    lines = [" ".join(line.split()) for line in render(rows).splitlines()]
    assert lines[0] == "goal case ours the other ratio limit"
    assert lines[2:] == [
        "1 fast 1 s 4 s 0.25 x <= 0.5 x met",
        "1 large 300 MB - 300 MB <= 200 MB MISSED",
        "2 alone 1 s - no peer: offline",
    ]


def test_without_real_mail_its_goal_is_skipped_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(throughput, "why_not", lambda: "root only")
    (row,) = throughput.measure(Lab(tmp_path))
    assert (row.met, row.status) == (None, "SKIPPED, NO REAL MAIL: root only")
    assert "SKIPPED, goal 10" in capsys.readouterr().err


def test_a_goal_writes_its_rows_as_json(tmp_path: Path) -> None:
    rows_file = tmp_path / "rows.json"
    words = [
        sys.executable,
        str(HERE / "run.py"),
        "--quick",
        "--goal",
        "8",
        "--json",
        str(rows_file),
    ]
    done = subprocess.run(words, capture_output=True, check=False, text=True)
    assert done.returncode in (0, 1), (
        done.stderr
    )  # the test does not depend on whether the goal is met
    assert done.stdout.startswith("QUICK"), done.stderr
    rows = json.loads(rows_file.read_text())["rows"]
    assert [row["case"].partition(" /")[0] for row in rows] == [
        "sendroute --help",
        "validate of one file",
    ]
    assert all(row["value"] > 0 for row in rows)
