"""Many rounds, and a store on PostgreSQL."""

import urllib.request
from pathlib import Path

import pytest

from .conftest import LoopProcess, Workspace, account, wait_until


def _resident(loop: LoopProcess) -> int:
    """Resident memory in KiB (proc(5))."""
    for line in Path(f"/proc/{loop.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


def _rounds(url: str) -> float:
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:  # noqa: S310
        for line in answer.read().decode().splitlines():
            if line.startswith('sendroute_rounds_total{outcome="completed"}'):
                return float(line.split()[-1])
    return 0.0


def test_memory_does_not_grow_with_rounds_or_trees(workspace: Workspace) -> None:
    names = [f"d{number}.example.com" for number in range(300)]
    workspace.write_manifest("acme", account("acme", *names))
    loop = workspace.start("--interval", "20ms", "--poll", "20ms", "--listen", "127.0.0.1:0")
    url = loop.wait_for_log("Serving http")["url"]

    def run_rounds(rounds: int) -> None:
        target = _rounds(url) + rounds
        for number in range(rounds // 10):
            workspace.write_manifest("acme", account("acme", *names[number % 7 :]))
            goal = target - rounds + 10 * number
            wait_until(lambda goal=goal: _rounds(url) >= goal, "rounds")  # type: ignore[misc]

    run_rounds(60)
    before = _resident(loop)
    run_rounds(120)
    assert _resident(loop) < before * 1.05
    assert loop.stop() == 0


def test_the_loop_reconciles_a_store_on_postgresql(
    workspace: Workspace, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"d{number}.example.com" for number in range(12)]
    monkeypatch.setenv("SENDROUTE_STORE", postgres_url)
    monkeypatch.setenv("SENDROUTE_KEY_FILE", str(workspace.directory / "sendroute.key"))
    created = workspace.sendroute("init")
    assert created.returncode == 0, created.stderr
    workspace.write_manifest("acme", account("acme", *names))
    loop = workspace.start()
    loop.wait_for_log("acme/acme", "committed")
    workspace.write_manifest("acme", account("acme", names[0]))
    loop.wait_for_log("Account acme/acme is held back")
    completed = workspace.sendroute("approve", "acme", "--auto-approve")
    assert completed.returncode == 0, completed.stderr
    loop.wait_for_log("Account acme/acme is fully applied")
    assert workspace.status()["domains"] == 1
    workspace.write_manifest("platform", "kind: [")
    loop.wait_for_log("No MailPlatform could be read")
    assert loop.stop() == 0
