"""Which of several operators leads: the one that holds a Lease of Kubernetes.

The official election holds it, in the main thread. It returns when the Lease could not be renewed
in time; then the process ends, because another one may lead already. A Lease is no fence: the
leader raises the epoch of the store besides (:mod:`sendroute.store.epochs`).
"""

import logging
import os
import socket
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from sendroute.cluster.api import Api
from sendroute.cluster.times import Times
from sendroute.model.codes import finding
from sendroute.model.problem import ProblemError

_log = logging.getLogger(__name__)

LEASE = "sendroute-operator"
_TIMEOUT = (3.0, 5.0)
"""Seconds of a request: several must fit into the time to renew."""


class Lease(NamedTuple):
    """The Lease, and the name under which this process holds it."""

    namespace: str
    identity: str
    name: str = LEASE


def own_identity() -> str:
    """Return a name for this process that no other has, and that says where it runs."""
    return f"{os.environ.get('HOSTNAME') or socket.gethostname()}_{uuid.uuid4().hex[:8]}"


class Election:
    """Call :meth:`run` in the main thread, whose signals end it by KeyboardInterrupt, and
    :meth:`release` afterwards."""

    def __init__(self, api: Api, lease: Lease, times: Times) -> None:
        from kubernetes.client import CoordinationV1Api
        from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock

        library: Any = LeaseLock  # it has no types
        self._lease = lease
        self._times = times
        self._lock = library(lease.name, lease.namespace, lease.identity)
        self._lock.api_instance = _LeaseApi(CoordinationV1Api(api.client))

    def run(self, lead: Callable[[], None]) -> None:
        """Wait for the Lease, call ``lead`` in another thread, and hold the Lease.

        Args:
            lead: begins to lead. If it raises, the Lease is given up.

        Raises:
            ProblemError: the Lease was lost (``leader-replaced``).
        """
        from kubernetes.leaderelection.electionconfig import Config
        from kubernetes.leaderelection.leaderelection import LeaderElection

        config: Any = Config
        election: Any = LeaderElection
        election(
            config(
                self._lock,
                self._times.lease,
                self._times.renew,
                self._times.lease_retry,
                lead,
                lambda: None,
            )
        ).run()
        raise ProblemError(
            finding(
                "leader-replaced",
                f"The Lease {self._lease.namespace}/{self._lease.name} could not be renewed within"
                f" {self._times.renew} s.",
                hint="This process ends, and starts again as a standby.",
            )
        )

    def release(self) -> None:
        """Give the Lease up, if this process holds it, so that another process takes it at once.
        A failure is no error: the Lease then expires."""
        with suppress(Exception):
            held, record = self._lock.get(self._lease.name, self._lease.namespace)
            if held and record.holder_identity == self._lease.identity:
                lease = self._lock.lease_reference
                lease.spec.holder_identity = ""
                self._lock.api_instance.replace_namespaced_lease(
                    self._lease.name, self._lease.namespace, lease
                )
                _log.info("Released the Lease %s/%s.", self._lease.namespace, self._lease.name)


class _LeaseApi:
    """The API of Leases: each request has a timeout, and one without an answer is a failed request
    and not the end of the election."""

    def __init__(self, leases: Any) -> None:
        self._leases = leases

    def __getattr__(self, name: str) -> Callable[..., Any]:
        from kubernetes.client.exceptions import ApiException

        method = getattr(self._leases, name)

        def call(*arguments: Any, **named: Any) -> Any:
            try:
                return method(*arguments, **named, _request_timeout=_TIMEOUT)
            except ApiException:
                raise
            except Exception as error:  # the election retries only what is an ApiException
                reason: Any = f"no answer: {error}"
                raise ApiException(status=0, reason=reason) from error

        return call
