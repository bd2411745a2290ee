"""The environment of every goal: sizes, rounds, directories and the program under test."""

import os
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

from measuring import Run, run

PYTHON = sys.executable
CHILDREN = Path(__file__).parent / "children"


class Lab(NamedTuple):
    """``room`` is an empty directory of the goal. With ``quick``, sizes are a tenth."""

    room: Path
    quick: bool = False

    def size(self, full: int) -> int:
        return full // 10 if self.quick else full

    def rounds(self, full: int) -> int:
        return min(full, 3) if self.quick else full

    def store(self, name: str) -> "Store":
        """A new store in a separate directory, which also holds the caches."""
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
        """Run a process of the program as a user does. Its output is discarded, so that the time of
        a terminal is not measured."""
        return run(
            [*PROGRAM, "--store", self.url, *map(os.fspath, words)],
            environment={"XDG_CACHE_HOME": str(self.home / "cache")},
            expect=expect,
        )

    def forget(self) -> None:
        """Empty the caches, so that the next run is cold."""
        shutil.rmtree(self.home / "cache", ignore_errors=True)


def _program() -> list[str]:
    """The installed entry point, or the module if the package is not installed."""
    installed = Path(PYTHON).with_name("sendroute")
    return [str(installed)] if installed.exists() else [PYTHON, "-m", "sendroute"]


PROGRAM = _program()
