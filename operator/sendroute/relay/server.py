"""The Postfix beside the agent: reload it, and read its queue."""

import logging

from sendroute.model.problem import ProblemError
from sendroute.postfix.installed import Postfix
from sendroute.relay.queue import active_messages

_log = logging.getLogger(__name__)
_NOT_RUNNING = "the Postfix mail system is not running"


class LocalServer:
    """A :class:`~sendroute.relay.protocols.MailServer`.

    Args:
        postfix: the Postfix.
    """

    def __init__(self, postfix: Postfix) -> None:
        self._postfix = postfix

    def reload(self) -> None:
        """Reload it (postfix(1)). One that does not run has no routes to forget.

        Raises:
            ProblemError: it cannot be reloaded.
        """
        try:
            self._postfix.run("postfix", "reload")
        except ProblemError as problem:
            if not any(_NOT_RUNNING in item.message for item in problem.findings):
                raise

    def active_messages(self) -> frozenset[str] | None:
        """The queue ids of the messages in the active queue (postqueue(1)); None if it cannot be
        read. Then every alias is kept."""
        try:
            return active_messages(self._postfix.run("postqueue", "-j").splitlines())
        except (ProblemError, ValueError) as error:
            _log.debug("The queue of Postfix cannot be read: %s", error)
            return None
