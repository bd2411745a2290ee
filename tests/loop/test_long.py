"""What only shows after many rounds, and on another database."""

import urllib.request
from pathlib import Path

import pytest

from .conftest import Place, Running, account, until


def _resident(loop: Running) -> int:
    """KiB, as the kernel has it (proc(5))."""
    for line in Path(f"/proc/{loop.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


def _rounds(url: str) -> float:
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:  # noqa: S310
        for line in answer.read().decode().splitlines():
            if line.startswith('sendroute_rounds_total{outcome="made"}'):
                return float(line.split()[-1])
    return 0.0


def test_memory_does_not_grow_with_rounds_or_with_trees(place: Place) -> None:
    names = [f"d{number}.example.com" for number in range(300)]
    place.lay("acme", account("acme", *names))
    loop = place.start("--interval", "20ms", "--poll", "20ms", "--listen", "127.0.0.1:0")
    url = loop.says("Answering at")["url"]

    def more(rounds: int) -> None:
        until_then = _rounds(url) + rounds
        for turn in range(rounds // 10):
            place.lay("acme", account("acme", *names[turn % 7 :]))
            goal = until_then - rounds + 10 * turn
            until(lambda goal=goal: _rounds(url) >= goal, "rounds")  # type: ignore[misc]

    more(60)
    before = _resident(loop)
    more(120)
    assert _resident(loop) < before * 1.05
    assert loop.stop() == 0


def test_it_keeps_a_store_on_a_server_so(
    place: Place, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"d{number}.example.com" for number in range(12)]
    monkeypatch.setenv("SENDROUTE_STORE", postgres_url)
    monkeypatch.setenv("SENDROUTE_KEY_FILE", str(place.folder / "sendroute.key"))
    made = place.sendroute("init")
    assert made.returncode == 0, made.stderr
    place.lay("acme", account("acme", *names))
    loop = place.start()
    loop.says("acme/acme", "committed")
    place.lay("acme", account("acme", names[0]))
    loop.says("Account acme/acme is held back")
    ran = place.sendroute("approve", "acme", "--auto-approve")
    assert ran.returncode == 0, ran.stderr
    loop.says("Account acme/acme is settled")
    assert place.status()["domains"] == 1
    place.lay("platform", "kind: [")
    loop.says("No MailPlatform could be read")
    assert loop.stop() == 0
