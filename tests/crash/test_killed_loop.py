"""``kill -9`` at any moment of the loop: nothing lost, doubled or half done, and the next one goes
on from there, from a folder and from a branch of git."""

import random
import signal
import subprocess
import time

import pytest
from tests.planner.naive import Tree

from .conftest import KILLS, PARTS, Place, check_whole, until
from .estates import ACCOUNTS, Estate, lay
from .forks import Forked

RUN = ("--max-change-percent", "100", "--max-remove-percent", "100", "--listen", "", "-q")
# Of the time from a new tree, or a start, to what the tree says.
MOMENTS = [(-0.05, 1.2), (0.4, 1.0)]


class Folder:
    """A link to a folder that is whole, as git-sync leaves it."""

    poll = "30ms"

    def __init__(self, place: Place) -> None:
        self._trees = place.home / "trees"
        self._count = 0
        self.words = (str(self._trees / "current"),)

    def publish(self, tree: Tree) -> str | None:
        """Gives the commit, where there is one."""
        self._count += 1
        folder = lay(tree, self._trees / str(self._count))
        link = self._trees / "next"
        link.symlink_to(folder)
        link.rename(self._trees / "current")
        return None

    def check_nothing_is_left(self) -> None:
        """Nothing is kept."""


class Branch:
    """A repository."""

    poll = "200ms"

    def __init__(self, place: Place) -> None:
        self._folder = place.home / "trees" / "origin"
        self._state = place.home / "state"
        self._folder.mkdir()
        self._git("init", "-q")
        self.words = (f"file://{self._folder}", "--state-dir", str(self._state))

    def publish(self, tree: Tree) -> str | None:
        lay(tree, self._folder)
        self._git("add", "-A")
        self._git("-c", "user.name=A", "-c", "user.email=a@example.com", "commit", "-q", "-m", "x")
        return self._git("rev-parse", "HEAD")

    def _git(self, *words: str) -> str:
        told = ["git", "-C", str(self._folder), *words]
        return subprocess.run(told, check=True, capture_output=True, text=True).stdout.strip()

    def check_nothing_is_left(self) -> None:
        [within] = self._state.iterdir()
        assert {path.name for path in within.iterdir()} == {"repository", "trees"}
        assert len(list((within / "trees").iterdir())) == 1
        assert not list((within / "repository").rglob("*.lock"))


@pytest.mark.parametrize("kind", [Folder] * (PARTS - 1) + [Branch])
def test_nothing_is_lost_doubled_or_half_done(
    kind: type[Folder] | type[Branch], place: Place, chance: random.Random
) -> None:
    source, estate = kind(place), Estate(chance)
    place.lay_secrets(ACCOUNTS, "first")
    source.publish(estate.tree)
    loop, whole = arrived(place, source, estate)
    amid = 0
    for _ in range(KILLS // PARTS):
        estate.go_on()
        if is_start := chance.random() < 0.5:
            loop.kill()  # while there is nothing to do
        commit = source.publish(estate.tree)
        began = time.monotonic()
        if is_start:
            loop = start(place, source)
        moment = began + chance.uniform(*chance.choice(MOMENTS)) * whole
        time.sleep(max(0.0, moment - time.monotonic()))
        assert not loop.ended(), loop.text()
        loop.kill()
        place.rest()
        amid += 0 < check_whole(place.current(), estate) < len(ACCOUNTS)
        revision = place.check()[-1].number
        loop, took = arrived(place, source, estate)
        whole = max(took, 0.8 * whole)
        told = place.check()
        if commit is not None:
            commits = place.commits()
            assert {commits[one.number] for one in told if one.number > revision} <= {commit}
    loop.signal(signal.SIGTERM)
    assert loop.wait() == 0, loop.text()
    assert "Traceback" not in loop.text()
    assert place.current() == estate.after
    place.rest()
    place.check()
    place.check_nothing_is_left()
    source.check_nothing_is_left()
    print(f"{amid} of {KILLS // PARTS} were amid the commits, of {whole:.2f} s")


def start(place: Place, source: Folder | Branch) -> Forked:
    return place.start("run", *source.words, "--poll", source.poll, *RUN)


def arrived(place: Place, source: Folder | Branch, estate: Estate) -> tuple[Forked, float]:
    """A loop that was started and has done what its tree says, and how long that took."""
    began = time.monotonic()
    loop = start(place, source)
    place.until_held(estate.after, loop)
    took = time.monotonic() - began
    until(place.settled, "a store in which nothing is unsettled")
    return loop, took
