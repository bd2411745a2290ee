"""Real repositories, and git without the user's configuration."""

import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from sendroute.following.git import BranchFollower, GitOptions
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
    """A repository with a working tree; a commit in it is a push. ``url`` is its file URL."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.directory = directory
        directory.mkdir(parents=True)
        self.git("init", "-q", *options)

    @property
    def url(self) -> str:
        return f"file://{self.directory}"

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(self.directory), *arguments],
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.stdout.strip()

    def put(self, name: str, text: str = "x") -> None:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def commit(self, name: str = "a.yaml", text: str = "x", *options: str) -> str:
        """Write, commit, and return the commit's object name."""
        self.put(name, text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "x", "--allow-empty", *options)
        return self.git("rev-parse", "HEAD")

    def tree(self, *entries: str) -> str:
        """Write a tree of such lines as git-ls-tree(1) prints, and return its object name."""
        done = subprocess.run(
            ["git", "-C", str(self.directory), "mktree"],
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
            input="\n".join(entries),
        )
        return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "origin")


Follow = Callable[..., BranchFollower]


@pytest.fixture
def following(tmp_path: Path) -> Iterator[Follow]:
    """Create followers of a URL; all are closed at the end."""
    followers: list[BranchFollower] = []

    def create(
        url: str,
        *,
        state: str | None = "state",
        names_above: Sequence[str] = (),
        **options: object,
    ) -> BranchFollower:
        directory = None if state is None else str(tmp_path / state)
        git_options = GitOptions(**options)  # type: ignore[arg-type]
        follower = follow(url, git_options, directory, names_above=names_above)
        assert isinstance(follower, BranchFollower)
        followers.append(follower)
        return follower

    yield create
    for follower in followers:
        follower.close()
