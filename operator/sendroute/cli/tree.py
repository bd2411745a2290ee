"""Read a tree of manifests for a command, and report what was skipped if the user wants to know."""

from collections.abc import Sequence

from sendroute.cli.session import Session
from sendroute.manifests import tree
from sendroute.manifests.tree import LoadedTree


def read_tree(
    paths: Sequence[str], session: Session, *, cached: bool = False, parallel: bool = True
) -> LoadedTree:
    """Read everything in ``paths``; see :func:`sendroute.manifests.tree.read_tree`.

    Args:
        parallel: False for a process that runs for long, with threads and connections of its
            own.
    """
    loaded = tree.read_tree(paths, cached=cached, parallel=parallel)
    if session.terminal.verbose and loaded.foreign:
        _report(f"Skipped {loaded.foreign} documents of other API groups.", session)
    return loaded


def _report(line: str, session: Session) -> None:
    if session.settings.log_format == "json":
        import logging

        logging.getLogger(__name__).debug(line)
    else:
        from sendroute.cli.command_line import stderr_line

        stderr_line(line)
