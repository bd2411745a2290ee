"""Shows in the cluster what was reconciled: statuses, events, and the approvals that it takes."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

from msgspec.structs import replace

from sendroute.cluster.api import Api
from sendroute.cluster.approvals import approve_annotated, writer_of
from sendroute.cluster.conditions import project, project_platform
from sendroute.cluster.events import EventWriter, StatusChange, events_of
from sendroute.cluster.objects import ClusterObject, ObjectKey, Reconciled, ReconciledPlatform
from sendroute.cluster.status_writer import StatusWriter
from sendroute.manifests.statuses import ObjectStatus, decode_status
from sendroute.model.account_status import AccountStatus
from sendroute.model.owner import Owner
from sendroute.reconcile.approvals import ApprovalStore

_REMEMBERED = 10_000
"""Objects that wait. The events of more are dropped: an event is a courtesy, a status is not."""


class ClusterReporter:
    """Implements :class:`~sendroute.cluster.protocols.StatusReporter`. Nothing here waits for the
    API, except for the question who approved a change.

    Args:
        api: the Kubernetes API.
        now: the time, aware, in UTC.
        workers: how many threads write statuses.
    """

    def __init__(
        self,
        api: Api,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        workers: int = 8,
    ) -> None:
        self._api = api
        self._now = now
        self.writer = StatusWriter(api, workers=workers)
        self.events = EventWriter(api, now=now)
        self._before_wait: OrderedDict[tuple[ObjectKey, str], ObjectStatus | None] = OrderedDict()

    def account(self, reconciled: Reconciled) -> None:
        """Show an account that was reconciled, or waits for another object."""
        objects = tuple(map(self.writer.latest, reconciled.objects))
        statuses = project(replace(reconciled, objects=objects), self._now())
        changes = [(seen, statuses[seen.key]) for seen in objects]
        self._show(changes, waits=reconciled.waiting is not None)

    def platform(self, reconciled: ReconciledPlatform) -> None:
        """Show the platform, and what is held back.

        Args:
            reconciled: the platform after a round, with the account statuses.
        """
        if reconciled.object is None:
            return
        seen = self.writer.latest(reconciled.object)
        status = project_platform(replace(reconciled, object=seen), self._now())
        if status is not None:
            self._show([(seen, status)], waits=reconciled.waiting is not None)

    def approve(
        self,
        store: ApprovalStore,
        annotated: Iterable[ClusterObject],
        statuses: Mapping[Owner, AccountStatus],
    ) -> bool:
        """Record the approvals that annotations of objects give.

        Args:
            store: the store, open for writing.
            annotated: the objects with an annotation that approves a change.
            statuses: the account statuses, which hold the digests that may be approved.

        Returns:
            Whether there are any new ones.
        """
        find_writer = partial(writer_of, self._api)
        return approve_annotated(store, annotated, statuses, find_writer, self._now()) > 0

    def stop(self) -> None:
        """Write nothing more."""
        self.events.stop()
        self.writer.stop()

    def _show(self, objects: Sequence[tuple[ClusterObject, ObjectStatus]], *, waits: bool) -> None:
        changes = [
            StatusChange(seen, decode_status(seen.key.kind, seen.status_json), after)
            for seen, after in objects
        ]
        changed = [item for item in changes if item.before != item.after]
        account = [item for item in changes if item.seen.key.kind == "MailAccount"]
        for item in changed:
            self.writer.put(item.seen, item.after)
        if waits:
            self._keep(changed)
            return
        since = [self._since_it_waited(item) for item in changes]
        noticed = [item for item in since if item.before != item.after]
        if noticed:
            about = [*noticed, *(item for item in account if item not in noticed)]
            for event in events_of(about):
                self.events.record(event)

    def _keep(self, changed: Sequence[StatusChange]) -> None:
        """Remember the statuses of objects before they waited: the events come afterwards."""
        for item in changed:
            self._before_wait.setdefault((item.seen.key, item.seen.uid), item.before)
        while len(self._before_wait) > _REMEMBERED:
            self._before_wait.popitem(last=False)

    def _since_it_waited(self, item: StatusChange) -> StatusChange:
        before = self._before_wait.pop((item.seen.key, item.seen.uid), item.before)
        return item._replace(before=before)
