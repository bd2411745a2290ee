"""The log of the agent: a problem is logged when it begins, when it changes and when it ends."""

import logging
from collections.abc import Sequence

from sendroute.model.codes import finding
from sendroute.model.words import first_of
from sendroute.runtime.transition_log import Advise, TransitionLog

_SHOWN = 5


class AgentLog:
    """The log of one agent. ``advise`` words what can be done about a problem."""

    def __init__(self, advise: Advise) -> None:
        self.store = TransitionLog("The store answers again.", logging.ERROR, advise)
        self.tables = TransitionLog("The tables are written again.", logging.ERROR, advise)
        self.reload = TransitionLog("Postfix is reloaded again.", logging.WARNING, advise)
        self.report = TransitionLog(
            "The store records again what is served.", logging.WARNING, advise
        )
        self.keys = TransitionLog("The keys can be read again.", logging.WARNING, advise)
        self._credentials = TransitionLog("Every credential is served.", logging.WARNING, advise)

    def without_credential(self, owners: Sequence[str]) -> None:
        """Log whose mail waits, because a credential is missing or cannot be decrypted."""
        if not owners:
            self._credentials.update(())
            return
        message = (
            "Mail waits, because a credential is missing or cannot be decrypted:"
            f" {first_of(owners, _SHOWN)}."
        )
        hint = "Give the key, or apply the manifests again with their secrets."
        self._credentials.update([finding("credential-not-served", message, hint=hint)])
