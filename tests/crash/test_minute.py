"""A minute with two appliers, a loop and manifests that change all the time, and with a server that
crashes every few seconds: every account ends where one applier alone would have put it.

Why there is one such end, whoever applied which tree when, is said in :mod:`tests.crash.courses`.
"""

import os
import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psycopg
import pytest
from tests.planner.naive import Key
from tests.planner.values import as_store
from tests.postgres import Cluster
from tests.store.raw import opened

from sendroute.model.problem import ProblemError
from sendroute.store.record import open_store

from .conftest import Place
from .courses import Course
from .estates import ACCOUNTS, PAIRS, lay, lay_pair
from .forks import Forked, Forks
from .test_killed_apply import APPLY, is_empty

SECONDS = float(os.environ.get("SENDROUTE_TEST_MINUTE", "60"))
PATIENCE = 60.0
RUN = ("--max-change-percent", "100", "--max-remove-percent", "100", "--listen", "")


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """One that nobody else needs meanwhile."""
    with Cluster() as started:
        yield started


class Minute:
    """All that goes on at once. Whoever waits calls :meth:`tend` again and again."""

    def __init__(self, place: Place, cluster: Cluster | None, chance: random.Random) -> None:
        self.place = place
        self.statuses: Counter[int] = Counter()
        self.restarts = 0
        self._cluster = cluster
        self._chance = chance
        self._manifests = place.home / "trees"
        self._appliers: list[Forked] = []
        self._loop: Forked | None = None
        self._loops: list[Forked] = []
        self._restart_at = time.monotonic() + 3

    def begin(self) -> None:
        self._appliers = [self._applier() for _ in range(2)]
        self._start_loop()

    def _applier(self) -> Forked:
        return self.place.start("apply", str(self._manifests), *APPLY)

    def _start_loop(self) -> None:
        self._loop = self.place.start(
            *("run", str(self._manifests), *RUN),
            *("--poll", "100ms", "--interval", "2s"),
        )
        self._loops.append(self._loop)

    def tend(self) -> None:
        for number, one in enumerate(self._appliers):
            if one.ended():
                self._note(one)
                self._appliers[number] = self._applier()
        if self._loop is not None:
            assert not self._loop.ended(), self._loop.text()
        if self._cluster is not None and time.monotonic() > self._restart_at:
            self._cluster.stop(signal.SIGQUIT)
            self._cluster.start()
            self.restarts += 1
            self._restart_at = time.monotonic() + self._chance.uniform(2, 6)
        time.sleep(0.02)

    def _note(self, applier: Forked) -> None:
        assert applier.status is not None
        self.statuses[applier.status] += 1
        assert applier.status in (0, 1, 3, 4), applier.text()
        assert "Traceback" not in applier.text(), applier.text()
        assert "store-locked" not in applier.text(), "nobody has it for so long"
        if applier.status == 1:  # for no other reason than a server that is away
            assert self._cluster is not None, applier.text()
            assert "store-failed" in applier.text(), applier.text()

    def until(self, holds: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline, f"{what} did not come: {self._told()}"
            self.tend()

    def barrier(self) -> None:
        """From now on nobody is at work who has read a tree before."""
        began = time.monotonic()
        self._end_loop()
        self._start_loop()
        self.until(lambda: all(one.began > began for one in self._appliers), "the appliers' end")

    def _end_loop(self) -> None:
        loop, self._loop = self._loop, None
        assert loop is not None
        loop.signal(signal.SIGTERM)
        self.until(loop.ended, "the loop's end")
        assert loop.status == 0, loop.text()
        assert "Traceback" not in loop.text(), loop.text()

    def end(self) -> None:
        self._end_loop()
        for one in self._appliers:
            one.wait()
            self._note(one)

    def is_committed(self, marks: list[str]) -> bool:
        if not marks:
            return True
        words = " OR ".join(f"\"after\" LIKE '%{mark}%'" for mark in marks)
        asked = f"SELECT count(DISTINCT account) FROM history WHERE {words}"  # noqa: S608
        try:
            with opened(self.place.url) as raw:
                [(count,)] = raw.execute(asked).fetchall()  # type: ignore[call-overload]
        except (psycopg.OperationalError, sqlite3.OperationalError):
            return False
        return bool(count == len(marks))

    def is_at(self, course: Course) -> bool:
        try:
            with open_store(self.place.url) as store:
                return as_store(store.read()) == course.expected
        except ProblemError:
            return False

    def _told(self) -> str:
        return "\n".join(one.text() for one in [*self._appliers, *self._loops[-1:]])


@pytest.fixture
def minute(
    request: pytest.FixtureRequest, forks: Forks, tmp_path: Path, chance: random.Random
) -> Iterator[Minute]:
    cluster: Cluster | None = None
    url = f"sqlite:///{tmp_path}/work/sendroute.db"
    if request.param == "postgresql":
        cluster = request.getfixturevalue("own_cluster")
        url = cluster.url(cluster.create_database())
    place = Place(forks, url, tmp_path)
    place.run("init")
    yield Minute(place, cluster, chance)
    place.close()


@pytest.mark.parametrize("minute", ["sqlite", "postgresql"], indirect=True)
def test_every_account_ends_where_one_applier_alone_would_have_put_it(
    minute: Minute, chance: random.Random
) -> None:
    place, course = minute.place, Course(chance)
    manifests = lay(course.tree, place.home / "trees")
    place.lay_secrets(ACCOUNTS, "word")
    minute.begin()
    ends = time.monotonic() + SECONDS
    rounds = edits = 0
    minute.until(lambda: minute.is_at(course), "the first tree")
    while time.monotonic() < ends:
        edits += wander(minute, course, manifests)
        minute.barrier()
        course.assess()
        lay(course.tree, manifests)
        minute.until(lambda: minute.is_at(course), "the settled tree")
        minute.barrier()
        course.close()
        lay(course.tree, manifests)
        minute.until(lambda: minute.is_at(course), "the closing tree")
        rounds += 1
    minute.end()
    place.run("apply", str(manifests), *APPLY)
    place.rest()
    assert place.current() == course.expected
    told = place.check()
    is_empty(place, str(manifests))
    place.check_nothing_is_left()
    print(
        f"{rounds} rounds, {edits} edits, {told[-1].number} revisions, {minute.restarts} restarts,"
        f" exit statuses {dict(minute.statuses)}"
    )


def wander(minute: Minute, course: Course, manifests: Path) -> int:
    """Pairs in turn; a pair again as soon as what was asked of it was committed by somebody."""
    marks: dict[Key, list[str]] = {}
    edits = 0
    for pair in PAIRS * 2:
        asked = marks.get(pair[0], [])
        minute.until(partial(minute.is_committed, asked), "an edit")
        marks[pair[0]] = course.wander(pair)
        lay_pair(course.tree, pair, manifests)
        edits += 1
    for asked in marks.values():
        minute.until(partial(minute.is_committed, asked), "an edit")
    return edits
