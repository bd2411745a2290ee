"""An operator in a thread of the tests, with short times."""

import random
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from threading import Thread

import yaml
from prometheus_client import CollectorRegistry

from sendroute.cluster.api import Api, connect
from sendroute.cluster.metrics import OperatorMetrics
from sendroute.cluster.operator import Operator, OperatorOptions
from sendroute.cluster.platform_file import PlatformFile
from sendroute.cluster.protocols import Adapters, NoStatusReporter
from sendroute.cluster.reporter import ClusterReporter
from sendroute.cluster.times import Times
from sendroute.model.connection import ConnectionPolicy, TestRequest, TestResult
from sendroute.model.finding import Finding
from sendroute.model.problem import ProblemError
from sendroute.planner.guards import Guards
from sendroute.runtime.factory import Factory
from sendroute.runtime.settings import Settings

from .scenario import PLATFORM

FAST = Times(
    batch=0.01,
    settle=0.02,
    settle_destructive=0.1,
    settle_longest=2.0,
    grace_period=0.3,
    interval=1.0,
    first_retry=0.005,
    longest_wait=0.05,
    heartbeat=0.2,
)


def platform_of(home: Path) -> Path:
    """The file of the platform."""
    path = home / "platform.yaml"
    path.write_text(yaml.safe_dump(PLATFORM))
    return path


class RunningOperator:
    """It follows one namespace, or several, from now until :meth:`stop`, and leads. ``shows``: and
    writes statuses. ``leads``: at once, and not only after :meth:`lead`."""

    def __init__(
        self,
        kubeconfig: Path,
        namespace: str | tuple[str, ...],
        store: str,
        platform: Path,
        identity: str | None = None,
        *,
        shows: bool = False,
        leads: bool = True,
    ) -> None:
        self.error: BaseException | None = None
        factory = Factory(Settings(store))
        self._api = Api(connect(str(kubeconfig)).client)
        adapters = Adapters(
            partial(factory.open_store, 0.2),
            partial(factory.verifier, saves=True),
            _no_tests,
            ClusterReporter(self._api, workers=2) if shows else NoStatusReporter(),
            _Health(),
            random.random,
            _unchanged,
        )
        namespaces = (namespace,) if isinstance(namespace, str) else namespace
        options = OperatorOptions(
            FAST, Guards(100, 100), "operator", namespaces, PlatformFile(str(platform))
        )
        self.operator = Operator(self._api, options, adapters, OperatorMetrics(CollectorRegistry()))
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()
        if leads:
            self.operator.lead(identity)

    def _run(self) -> None:
        try:
            self.operator.run()
        except ProblemError as error:
            self.error = error

    @property
    def has_ended(self) -> bool:
        return not self._thread.is_alive()

    def stop(self) -> None:
        self.operator.stop()
        self._thread.join(30)
        assert not self._thread.is_alive()
        self._api.close()


class _Health:
    def beat(self) -> None:
        pass

    def ready(self, reason: str) -> None:
        pass

    def not_ready(self, reason: str) -> None:
        pass


def _no_tests(
    requests: Sequence[TestRequest],
    policy: ConnectionPolicy,  # noqa: ARG001
) -> Sequence[TestResult]:
    assert not requests, "the profiles of these tests are not tested"
    return ()


def _unchanged(finding: Finding) -> Finding:
    return finding


Start = Callable[[], RunningOperator]
