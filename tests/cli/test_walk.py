"""The walk of a reader from the command to the commit: how many modules call each other on it."""

import sys
from pathlib import Path
from types import FrameType

import pytest
from sqlalchemy import Connection, Engine, event

from .conftest import Program, account, domain, write

LIMIT = 20


def modules_on_the_stack() -> list[str]:
    """Sendroute's modules that are called at this moment, the outermost first, each once."""
    names: list[str] = []
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        names.insert(0, frame.f_globals["__name__"])
        frame = frame.f_back
    return list(dict.fromkeys(name for name in names if name.startswith("sendroute.")))


@pytest.mark.usefixtures("store")
def test_apply_passes_few_modules_from_the_command_to_the_commit(
    sendroute: Program, manifests: Path
) -> None:
    write(manifests / "bolt.yaml", account("bolt"), domain("bolt", "mail.bolt.example"))
    walks: list[list[str]] = []

    def record(_connection: Connection) -> None:
        walks.append(modules_on_the_stack())

    event.listen(Engine, "commit", record)
    try:
        assert sendroute("apply", "manifests", "--auto-approve").status == 0
    finally:
        event.remove(Engine, "commit", record)
    (walk,) = (walk for walk in walks if "sendroute.reconcile.commit" in walk)
    assert walk[0] == "sendroute.cli.main"
    assert "sendroute.cli.commands.apply" in walk
    assert len(walk) <= LIMIT, walk
