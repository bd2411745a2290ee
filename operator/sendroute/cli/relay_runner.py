"""Wires the relay's agent to the store, the keys, the tables and Postfix."""

import logging
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from sendroute.cli.hints import with_hint
from sendroute.cli.session import Session
from sendroute.model.problem import ProblemError
from sendroute.postfix.installed import Postfix
from sendroute.relay.agent import Agent, AgentOptions
from sendroute.relay.directory import RelayDirectory
from sendroute.relay.metrics import AgentMetrics
from sendroute.relay.protocols import Decrypt
from sendroute.relay.server import LocalServer
from sendroute.runtime.factory import Factory, cipher_of
from sendroute.runtime.health import notify_ready
from sendroute.runtime.service import running

_log = logging.getLogger(__name__)


class RelayOptions(NamedTuple):
    """The options of ``relay``."""

    directory: str
    name: str
    group: str
    config: str | None
    reloads: bool
    listen: str


def run_agent(session: Session, options: RelayOptions) -> None:
    """Run the agent until SIGTERM or SIGINT.

    Raises:
        ProblemError: the directory or the address to listen on cannot be used.
    """
    directory = RelayDirectory(Path(options.directory), options.group)
    with (
        _files_for_the_group(),
        running() as service,
        directory.locked(),
    ):
        server, reloads = _postfix(options)
        if not directory.is_shared:
            _log.warning(
                "%s does not belong to the group %s, but to %s, which can read the tables.",
                directory.path,
                options.group,
                directory.group,
            )
        agent = Agent(
            directory,
            session.factory.open_store_in_rounds,
            partial(_keys, session.factory),
            AgentOptions(options.name, server, reloads),
            service.stop,
            AgentMetrics(service.metrics),
            service.health,
            random.random,
            notify_ready,
            with_hint,
        )
        _log.info("Relay %s keeps the tables in %s.", options.name, directory.path)
        with service.serving(options.listen):
            agent.run()


@contextmanager
def _files_for_the_group() -> Iterator[None]:
    """A context in which new files are not for others; the caller keeps its own mask."""
    before = os.umask(0o027)
    try:
        yield
    finally:
        os.umask(before)


def _postfix(options: RelayOptions) -> tuple[LocalServer | None, bool]:
    """The Postfix of this machine, and whether to reload it. Warns of what this user, or a machine
    without Postfix, cannot do."""
    postfix = Postfix(options.config)
    try:
        _ = postfix.version
    except ProblemError as problem:
        _log.warning(
            "%s Postfix is not reloaded, and no alias is ever deleted.", problem.findings[0].message
        )
        return None, False
    if options.reloads and os.geteuid() == 0:
        return LocalServer(postfix), True
    reason = "Only root may reload Postfix" if options.reloads else "Postfix is not reloaded"
    _log.warning(
        "%s, so mail in its active queue keeps an old route until it is tried again.", reason
    )
    return LocalServer(postfix), False


def _keys(factory: Factory) -> tuple[object, Decrypt | None]:
    keys = factory.keys()
    return keys, cipher_of(keys)
