"""What every process that runs until a signal needs: its stop, its health and its HTTP server."""

import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from sendroute.runtime.stop import Stop, stop_on_signals
from sendroute.telemetry.app import registry
from sendroute.telemetry.health import Health
from sendroute.telemetry.server import serving

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_log = logging.getLogger(__name__)

_LONGEST_ROUND = 900.0
"""Seconds that one round, or reading a large store, may take without a heartbeat."""


class Service(NamedTuple):
    """One process: the stop that signals set, its health, and the registry of its metrics."""

    stop: Stop
    health: Health
    metrics: "CollectorRegistry"

    @contextmanager
    def serving(self, address: str) -> Iterator[None]:
        """Serve ``/metrics``, ``/healthz`` and ``/readyz`` while the block runs.

        Args:
            address: ``HOST:PORT``; empty to serve nothing.

        Raises:
            ProblemError: the address is invalid or in use.
        """
        if not address:
            yield
            return
        with serving(address, self.health, self.metrics) as url:
            _log.info("Serving %s/metrics, /healthz and /readyz.", url, extra={"url": url})
            yield


@contextmanager
def running(
    *, interval: float = 0.0, at_once: Callable[[], None] = lambda: None
) -> Iterator[Service]:
    """A context in which a process runs until SIGTERM or SIGINT. The block ends when the stop of
    the service is set; then the signal is logged.

    Args:
        interval: seconds that it may wait between two rounds, without a heartbeat.
        at_once: called before a second signal ends the process, to kill child processes.

    Yields:
        The service.
    """
    stop = Stop()
    with stop_on_signals(stop, at_once):
        yield Service(stop, Health(interval + _LONGEST_ROUND), registry())
    _log.info("Stopped by %s.", signal.Signals(stop.signal).name)
