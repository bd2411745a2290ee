"""Real repositories, and git as the tests use it: without anybody's configuration."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sendroute.following.git import Branch, GitOptions
from sendroute.following.source import follow

HOME_CONFIG = """\
[user]
name = A
email = a@example.com
[init]
defaultBranch = main
"""


def never() -> bool:
    return False


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)  # a hook that runs the tests sets some
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(HOME_CONFIG)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    return home


class Repository:
    """A work tree that is pushed to by committing in it; ``url`` is its file URL."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.git("init", "-q", *options)

    @property
    def url(self) -> str:
        return f"file://{self.folder}"

    def git(self, *words: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(self.folder), *words],
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.stdout.strip()

    def put(self, name: str, text: str = "x") -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def commit(self, name: str = "a.yaml", text: str = "x", *options: str) -> str:
        """Its id."""
        self.put(name, text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "x", "--allow-empty", *options)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "origin")


RunOptions = Callable[..., Branch]


@pytest.fixture
def following(tmp_path: Path) -> Iterator[RunOptions]:
    """Makes followers of a URL; all are closed."""
    made: list[Branch] = []

    def make(url: str, *, state: str | None = "state", **desired: object) -> Branch:
        folder = None if state is None else str(tmp_path / state)
        follower = follow(url, GitOptions(**desired), folder)  # type: ignore[arg-type]
        assert isinstance(follower, Branch)
        made.append(follower)
        return follower

    yield make
    for follower in made:
        follower.close()
