"""The Postfix beside the agent: reload it, and read its queue."""

import logging

from sendroute.model.problem import ProblemError
from sendroute.postfix.installed import Postfix
from sendroute.relay.queue import active_messages

_log = logging.getLogger(__name__)


class LocalServer:
    """A :class:`~sendroute.relay.protocols.MailServer`.

    Args:
        postfix: the Postfix.
    """

    def __init__(self, postfix: Postfix) -> None:
        self._postfix = postfix

    def reload(self) -> None:
        """Reload it (postfix(1)). One that is not running has no routes to forget.

        Raises:
            ProblemError: it cannot be reloaded.
        """
        try:
            self._postfix.run("postfix", "reload")
        except ProblemError:
            if Postfix(self._postfix.config).master is not None:  # it remembers routes
                raise

    def active_messages(self) -> frozenset[str] | None:
        """The queue ids of the messages in the active queue (postqueue(1)); None if it cannot be
        read. Then every alias is kept."""
        try:
            return active_messages(self._postfix.run("postqueue", "-j").splitlines())
        except (ProblemError, ValueError) as error:
            _log.debug("The queue of Postfix cannot be read: %s", error)
            return None
