"""Only commands that load a tree and then exit turn Python's garbage collector off."""

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sendroute.cli.main import main
from sendroute.manifests.tree import read_tree

from .conftest import PLATFORM, account

DOMAIN = """\
---
apiVersion: sendroute.dev/v1alpha1
kind: SendingDomain
metadata: {{name: d{number}, namespace: acme}}
spec: {{account: acme, domain: d{number}.example.com, route: {{unconfigured: {{}}}}}}
"""


def generations_collected(function: Callable[[], object]) -> list[int]:
    """The generation of each collection while ``function`` runs."""
    generations: list[int] = []

    def count(phase: str, info: dict[str, Any]) -> None:
        if phase == "start" and gc.isenabled():
            generations.append(info["generation"])

    gc.callbacks.append(count)
    try:
        function()
    finally:
        gc.callbacks.remove(count)
    return generations


def test_only_batch_commands_turn_the_collector_off(tmp_path: Path) -> None:
    domains = "".join(DOMAIN.format(number=number) for number in range(3000))
    (tmp_path / "tree.yaml").write_text(f"{PLATFORM}---\n{account('acme')}{domains}")
    tree = str(tmp_path)
    assert len(generations_collected(lambda: read_tree([tree]))) > 2
    main(["validate", tree])  # everything is imported now
    assert len(generations_collected(lambda: main(["validate", tree]))) <= 2  # the command line
    assert gc.isenabled()


@pytest.mark.parametrize("command", ["validate", "plan", "apply"])
def test_the_collector_is_on_again_after_a_failed_command(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENDROUTE_STORE", f"sqlite:///{tmp_path}/missing.db")
    assert main([command, str(tmp_path / "missing")]) in (1, 3)
    assert gc.isenabled()
