"""A running operator and the calls that it makes, for tests of what it shows in the cluster."""

import re
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.conftest import OperatorProcess, rows, running, sendroute
from tests.control_plane.control_plane import PrivateControlPlane
from tests.control_plane.faulty_api import FaultyApi
from tests.control_plane.polling import eventually
from tests.private_server import free_port

_WRITES = ("patch", "post", "put", "delete")
_INTERVAL = 2


class RunningOperator:
    """The process, its store, and the API between the two."""

    def __init__(self, process: OperatorProcess, api: FaultyApi, store: Path, port: int) -> None:
        self.store = store
        self._process = process
        self._api = api
        self._port = port

    @property
    def log(self) -> str:
        return self._process.log

    @property
    def lineage(self) -> str:
        [(lineage,)] = rows(self.store, "SELECT lineage FROM store")
        return str(lineage)

    def writes(self) -> dict[tuple[str, str], int]:
        """How often it has written to the API, by verb and resource."""
        return {call: count for call, count in self._api.calls.items() if call[0] in _WRITES}

    def rounds(self) -> int:
        """How many rounds it has completed."""
        counts = re.findall(r"^sendroute_rounds_total\{.*\} (\S+)$", self.page(), re.M)
        return int(sum(map(float, counts)))

    def page(self) -> str:
        """Its metrics; empty before it listens."""
        try:
            url = f"http://127.0.0.1:{self._port}/metrics"
            with urllib.request.urlopen(url, timeout=10) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    def followed_kinds(self) -> set[str]:
        """The kinds whose objects it can list and watch now."""
        return set(re.findall(r'^sendroute_kind_synced\{kind="(\w+)"\} 1.0$', self.page(), re.M))

    def after_rounds(self, count: int) -> None:
        """Wait until it has completed so many more rounds."""
        first = 0

        def has_begun() -> bool:
            nonlocal first
            first = self.rounds()
            return first > 0  # a page that did not come counts as none

        eventually(has_begun, 90)
        eventually(lambda: self.rounds() >= first + count, 90)

    def domains(self, namespace: str) -> dict[str, str]:
        """The domains in the store of a namespace's accounts, each with the kind of its route."""
        statement = (
            "SELECT account.namespace, domain.name, domain.kind FROM domain JOIN account"
            " ON domain.account_id = account.id"
        )
        return {
            name: kind for owner, name, kind in rows(self.store, statement) if owner == namespace
        }

    def approved_by(self, namespace: str) -> str:
        """Who approved the last change of a namespace's account."""
        statement = (
            "SELECT history.namespace, revision.actor FROM history JOIN revision"
            " ON history.revision = revision.id WHERE history.action = 'approve'"
        )
        actors = [actor for owner, actor in rows(self.store, statement) if owner == namespace]
        return str(actors[-1])

    def wait_until_idle(self) -> None:
        """Wait until it has reconciled every change, and has written nothing in two rounds since.
        What is settling is not reconciled, however long that takes."""
        writes, rounds = self.writes(), self.rounds()

        def is_idle() -> bool:
            nonlocal writes, rounds
            now = self.writes()
            if now != writes or not self._has_settled:
                writes, rounds = now, self.rounds()
            return self.rounds() >= rounds + 2

        eventually(is_idle, 90, interval=0.25)

    @property
    def _has_settled(self) -> bool:
        return re.search(r"^sendroute_queue_depth 0\.0$", self.page(), re.M) is not None


@contextmanager
def running_operator(plane: PrivateControlPlane, store: Path) -> Iterator[RunningOperator]:
    """Run an operator on a store, which is created if need be, with a round over everything every
    two seconds."""
    sendroute("init", "--if-missing", store=store)
    port = free_port()
    options = ("--no-leader-election", "--interval", f"{_INTERVAL}s")
    with (
        FaultyApi(plane) as api,
        running(
            api.admin().kubeconfig, store, *options, "--listen", f"127.0.0.1:{port}"
        ) as process,
    ):
        yield RunningOperator(process, api, store, port)
