"""Wires the loop to its source, store, secrets and connection tests."""

import logging
import random
from contextlib import closing
from functools import partial
from typing import NamedTuple

from sendroute.cli.hints import with_hint
from sendroute.cli.lookup import read_tree
from sendroute.cli.session import Session
from sendroute.following.directory import DirectoryFollower
from sendroute.following.follower import SourceSnapshot
from sendroute.following.git import GitOptions as GitOptions
from sendroute.following.selection import TreeLimits as TreeLimits
from sendroute.following.source import follow
from sendroute.git.process import end_all
from sendroute.git.repository import is_top
from sendroute.loop.loop import Loop, PollIntervals
from sendroute.loop.metrics import LoopMetrics
from sendroute.loop.rounds import RoundOptions
from sendroute.loop.served_trees import ServedTrees
from sendroute.loop.source_record import SourceRecord
from sendroute.manifests.tree import LoadedTree
from sendroute.planner.guards import Guards
from sendroute.reconcile.reconciler import DesiredTree
from sendroute.runtime.actor import actor
from sendroute.runtime.desired_tree import tree_of_snapshot
from sendroute.runtime.factory import run_tests
from sendroute.runtime.service import running
from sendroute.store.lock_guard import NAME as LOCK_FILE
from sendroute.store.lock_guard import lock_file_candidates

_log = logging.getLogger(__name__)

# Seconds in which a round starts connection tests, because other accounts wait for them. If a
# provider of a thousand profiles hangs, the remaining tests are retried later, each after its wait.
_START_WITHIN = 30.0


class RunOptions(NamedTuple):
    """The options of ``run``. ``poll`` is None for the default of the kind of source; ``listen`` is
    ``HOST:PORT``, empty for no server."""

    source: str
    branch: GitOptions
    state_dir: str | None
    interval: float
    poll: float | None
    settle_destructive: float
    listen: str
    guards: Guards


_POLL_GIT = 30.0
_POLL_DIRECTORY = 2.0


def run_loop(session: Session, options: RunOptions) -> None:
    """Run the loop until SIGTERM or SIGINT.

    Raises:
        ProblemError: the source is invalid, or the state directory or the address is unavailable.
    """
    with (
        running(interval=options.interval, at_once=end_all) as service,
        closing(
            follow(options.source, options.branch, options.state_dir, _locks, [LOCK_FILE])
        ) as follower,
    ):
        tree_of = partial(
            tree_of_snapshot,
            follower,
            signed=options.branch.verify_signatures,
            should_stop=service.stop.is_set,
        )

        def read(snapshot: SourceSnapshot) -> DesiredTree:
            return tree_of(snapshot, _read(session, snapshot))

        trees = ServedTrees(follower, read, service.stop, options.settle_destructive)
        factory = session.factory
        verifier_for = partial(factory.verifier, saves=True)
        tester = partial(run_tests, start_within=_START_WITHIN)
        round_options = RoundOptions(verifier_for, tester, options.guards, actor(), service.stop)
        is_path = isinstance(follower, DirectoryFollower)
        poll = options.poll or (_POLL_DIRECTORY if is_path else _POLL_GIT)
        loop = Loop(
            trees,
            factory.open_store_in_rounds,
            round_options,
            PollIntervals(options.interval, poll),
            LoopMetrics(service.metrics),
            service.health,
            random.random,
            SourceRecord(_source_name(follower.shown, options.branch)),
            with_hint,
        )
        _log.info("Following %s.", follower.shown, extra={"source": follower.shown})
        with service.serving(options.listen):
            loop.run()


def _source_name(shown: str, options: GitOptions) -> str:
    """Each branch and directory of a repository is a source."""
    parts = [shown]
    if options.branch:
        parts.append(f"branch {options.branch}")
    if options.path:
        parts.append(f"path {options.path}")
    return ", ".join(parts)


def _read(session: Session, snapshot: SourceSnapshot) -> LoadedTree:
    return read_tree([snapshot.path], session, parallel=False, submodules=snapshot.submodules)


def _locks(path: str) -> list[str]:
    return list(lock_file_candidates(path, is_top))
