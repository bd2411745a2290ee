"""Wires the operator to the cluster, the store, the secrets and the connection tests."""

import logging
import os
import random
import signal
from contextlib import ExitStack
from functools import partial
from threading import Thread
from typing import NamedTuple

from sendroute.cli.session import Session
from sendroute.cluster.api import Api, connect
from sendroute.cluster.leadership import Election, Lease, own_identity
from sendroute.cluster.metrics import OperatorMetrics
from sendroute.cluster.operator import Operator, OperatorOptions
from sendroute.cluster.platform_file import PlatformFile
from sendroute.cluster.protocols import Adapters
from sendroute.cluster.reporter import ClusterReporter
from sendroute.cluster.secrets import ApiSecrets
from sendroute.cluster.times import Times
from sendroute.planner.guards import Guards
from sendroute.runtime.actor import VARIABLE, actor
from sendroute.runtime.factory import run_tests
from sendroute.runtime.service import Service, running
from sendroute.runtime.transition_log import AnyFinding

_log = logging.getLogger(__name__)

_START_WITHIN = 10.0
"""Seconds in which a round starts connection tests, because other accounts wait for them, and a
stop waits for the tests."""
_ENDING = 25.0
"""Seconds that a stop waits for the operator; Kubernetes waits for 30."""
_ACTOR = "operator"


class OperatorRunOptions(NamedTuple):
    """The options of ``operator``. ``listen`` is ``HOST:PORT``, empty for no server."""

    kubeconfig: str | None
    namespaces: tuple[str, ...]
    namespace: str | None
    platform: str | None
    elects: bool
    lease_namespace: str | None
    settle: float
    settle_destructive: float
    interval: float
    listen: str
    guards: Guards


def run_operator(session: Session, options: OperatorRunOptions) -> None:
    """Run the operator until SIGTERM or SIGINT.

    Raises:
        ProblemError: there is no usable configuration of the API, the file of the platform or the
            address is unavailable, or another operator leads now.
    """
    platform = PlatformFile(options.platform) if options.platform is not None else None
    connection = connect(options.kubeconfig)
    with ExitStack() as stack:
        service = stack.enter_context(running(interval=options.interval))
        metrics = OperatorMetrics(service.metrics)
        api = stack.enter_context(Api(connection.client, metrics.answered))
        times = _times(options)
        namespace = options.namespace or os.environ.get("POD_NAMESPACE") or connection.namespace
        thread = _Thread(_operator(session, options, api, namespace, platform, metrics, service))
        lease = Lease(options.lease_namespace or namespace, own_identity())
        election = Election(api, lease, times) if options.elects else None
        with service.serving(options.listen):
            thread.start()
            try:
                _lead(thread, election, lease, service)
            finally:
                thread.operator.stop()
                thread.join(_ENDING)
                if election is not None:
                    election.release()
    if thread.error is not None:
        raise thread.error


def _lead(thread: "_Thread", election: Election | None, lease: Lease, service: Service) -> None:
    """Hold the Lease in this thread, until a signal arrives or the operator ends. Without an
    election too, the store knows who leads, so that of two operators only the newer one writes."""
    try:
        with service.stop.interruptible():
            if election is None:
                thread.operator.lead(lease.identity)
                thread.join()
            else:
                election.run(lambda: thread.operator.lead(lease.identity))
    except KeyboardInterrupt:
        if not service.stop.is_set():
            raise


class _Thread(Thread):
    """The thread of the operator. If it fails, the process ends as by a signal."""

    def __init__(self, operator: Operator) -> None:
        super().__init__(name="operator", daemon=True)
        self.operator = operator
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.operator.run()
        except BaseException as error:  # noqa: BLE001 - the main thread raises it
            self.error = error
            os.kill(os.getpid(), signal.SIGTERM)


def _times(options: OperatorRunOptions) -> Times:
    return Times(
        settle=options.settle,
        settle_destructive=max(options.settle, options.settle_destructive),
        interval=options.interval,
    )


def _operator(
    session: Session,
    options: OperatorRunOptions,
    api: Api,
    namespace: str,
    platform: PlatformFile | None,
    metrics: OperatorMetrics,
    service: Service,
) -> Operator:
    factory = session.factory
    adapters = Adapters(
        factory.open_store_in_rounds,
        partial(factory.verifier, saves=True),
        partial(run_tests, start_within=_START_WITHIN),
        ClusterReporter(api),
        service.health,
        random.random,
        _advise,
    )
    if session.settings.secrets is None:
        secrets = ApiSecrets(api, namespace)
        adapters = adapters._replace(
            verifier_for=lambda: factory.verifier(saves=True, secrets=secrets.run()),
            changed_secrets=secrets.changed,
            forget_secrets=secrets.forget,
        )
    name = actor() if os.environ.get(VARIABLE) else _ACTOR
    operator_options = OperatorOptions(
        _times(options), options.guards, name, options.namespaces, platform, namespace
    )
    return Operator(api, operator_options, adapters, metrics)


def _advise(finding: AnyFinding, /) -> AnyFinding:
    """A finding as it is: who reads the log of an operator has objects, and no command line."""
    return finding
