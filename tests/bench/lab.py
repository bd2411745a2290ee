"""What every goal is given: how large, how often, where, and the program under test."""

import os
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

from measuring import Run, run

PYTHON = sys.executable
CHILDREN = Path(__file__).parent / "children"


class Lab(NamedTuple):
    """``room`` is an empty folder for the goal alone. Sizes are a tenth where ``quick``."""

    room: Path
    quick: bool = False

    def size(self, full: int) -> int:
        return full // 10 if self.quick else full

    def rounds(self, full: int) -> int:
        return min(full, 3) if self.quick else full

    def store(self, name: str) -> "Store":
        """A new store in a folder of its own, which is also where its user's caches are."""
        store = Store(self.room / name)
        store.home.mkdir()
        store.sendroute("init")
        return store


class Store(NamedTuple):
    home: Path

    @property
    def url(self) -> str:
        return f"sqlite:///{self.home / 'sendroute.db'}"

    def sendroute(self, *words: str | os.PathLike[str], expect: int = 0) -> Run:
        """One whole process of the program, as a user starts it. Its output goes nowhere: what a
        terminal costs is not ours."""
        return run(
            [*PROGRAM, "--store", self.url, *map(os.fspath, words)],
            environment={"XDG_CACHE_HOME": str(self.home / "cache")},
            expect=expect,
        )

    def forget(self) -> None:
        """Empties the caches: the next run is cold."""
        shutil.rmtree(self.home / "cache", ignore_errors=True)


def _program() -> list[str]:
    """The installed entry point; from a source tree alone, the module."""
    installed = Path(PYTHON).with_name("sendroute")
    return [str(installed)] if installed.exists() else [PYTHON, "-m", "sendroute"]


PROGRAM = _program()
