"""The operator: it follows the objects, reconciles the accounts that are due, and shows the result.

It is the sequence of the loop with another source and another sink: the same plans, the same
guards, the same commits. What one process does at a time is one round over the accounts that are
due.
"""

import logging
import time
from collections.abc import Sequence, Set
from typing import NamedTuple

from sendroute.cluster.api import Api
from sendroute.cluster.desired import DesiredState
from sendroute.cluster.kind_faults import FaultKey, KindFaults, faults_of, unread_findings
from sendroute.cluster.lineage import StoreCheck
from sendroute.cluster.metrics import OperatorMetrics
from sendroute.cluster.objects import PLATFORM_KIND, PLURALS
from sendroute.cluster.platform_file import PlatformFile
from sendroute.cluster.protocols import Adapters, OperatorStore
from sendroute.cluster.queue import AccountQueue, with_platform
from sendroute.cluster.reflector import Changes, Inbox, Reflector
from sendroute.cluster.reported_statuses import ReportedStatuses
from sendroute.cluster.round import (
    OperatorRoundOptions,
    OperatorRoundResult,
    Round,
    RoundInputs,
)
from sendroute.cluster.times import Times
from sendroute.model.codes import Code, Trait, has_trait
from sendroute.model.finding import Finding
from sendroute.model.owner import PLATFORM, Owner
from sendroute.model.problem import ProblemError
from sendroute.planner.guards import Guards
from sendroute.reconcile.assessment import AccountStatuses
from sendroute.runtime.account_log import AccountLog
from sendroute.runtime.contests import Contests
from sendroute.runtime.followed_store import FollowedStore
from sendroute.runtime.schedule import DueAccounts
from sendroute.runtime.stop import Stop
from sendroute.runtime.transition_log import TransitionLog
from sendroute.runtime.wakeup import StoreHandle, WakeupQueue

_log = logging.getLogger(__name__)

_WITH_PROFILES = frozenset({"SMTPProfile", "SendingDomain"})
_JOIN = 2.0
"""Seconds that the end waits for the last requests of the reflectors."""
_SECRETS = 5.0
"""Seconds between two checks of the secrets; the adapter decides what it reads again."""


class OperatorOptions(NamedTuple):
    """``namespaces`` are those that are followed; empty for all. ``platform`` is the file
    that holds the MailPlatform, None to follow the object. ``namespace`` is the operator's own,
    with the platform's secrets; no account may be there."""

    times: Times
    guards: Guards
    actor: str
    namespaces: tuple[str, ...] = ()
    platform: PlatformFile | None = None
    namespace: str = ""


class Operator:
    """Call :meth:`run` once, in any thread."""

    def __init__(
        self, api: Api, options: OperatorOptions, adapters: Adapters, metrics: OperatorMetrics
    ) -> None:
        self._stop = Stop()
        self._options = options
        self._adapters = adapters
        self._metrics = metrics
        self._wakeups = WakeupQueue()
        self._inbox = Inbox(self._wakeups.put)
        self._reflectors = self._create_reflectors(api)
        self._state = DesiredState(options.namespace)
        self._queue = AccountQueue(options.times, adapters.random, time.monotonic())
        handle = StoreHandle(self._open_store, self._wakeups.put, adapters.random)
        store_log = TransitionLog("The store answers again.", logging.ERROR, adapters.advise)
        contests = Contests(options.times.interval, adapters.random)
        self._store = FollowedStore(handle, metrics, store_log, contests)
        self._store_check = StoreCheck()
        self._shown = ReportedStatuses(adapters.reporter)
        self._account_log = AccountLog(adapters.advise)
        self._round_log = TransitionLog("Rounds succeed again.", logging.ERROR, adapters.advise)
        self._api_log = TransitionLog(
            "The Kubernetes API is followed again.", logging.WARNING, adapters.advise
        )
        self._platform_log = TransitionLog(
            "The file of the MailPlatform is in effect again.", logging.ERROR, adapters.advise
        )
        self._leads = False
        self._identity: str | None = None
        self._epoch: int | None = None
        self._has_begun = False
        self._has_reconciled_all = False
        self._arrived: set[Owner] = {PLATFORM}  # what changed, of namespaces not followed now
        self._unchanged: set[Owner] = set()  # since this process reconciled them
        self._unread: tuple[Reflector, ...] = tuple(self._reflectors)
        self._versions: dict[str, int] = {}  # of what was taken from the inbox, by kind
        self._faults = KindFaults(self._reflectors, options.times.grace_period)
        self._shown_faults: dict[FaultKey, Finding] = {}
        self._mismatch: Finding | None = None
        self._secrets_at = 0.0
        self._platform_at = 0.0
        self._idle = False

    def _create_reflectors(self, api: Api) -> list[Reflector]:
        options = self._options
        kinds = [kind for kind in PLURALS if kind != PLATFORM_KIND]
        watched = [(kind, name) for kind in kinds for name in options.namespaces or ("",)]
        if options.platform is None:
            watched.append((PLATFORM_KIND, ""))
        return [
            Reflector(
                api,
                kind,
                namespace,
                self._inbox,
                self._adapters.random,
                options.times,
                self._metrics.restarted,
            )
            for kind, namespace in watched
        ]

    @property
    def is_idle(self) -> bool:
        """Whether everything that arrived was reconciled, and nothing is waited for."""
        return self._idle

    def lead(self, identity: str | None = None) -> None:
        """This process leads from now on; before, it only follows the objects. For any thread.

        Args:
            identity: the name of the leader, under which it raises the epoch of the store; None
                to write without a fence.
        """
        self._identity = identity
        self._leads = True
        self._metrics.leader(leads=True)
        self._wakeups.put()

    def _open_store(self) -> OperatorStore:
        store = self._adapters.open_store()
        if self._epoch is not None:
            store.fence(self._epoch, self._versions)
        return store

    def _raise_epoch(self, store: OperatorStore) -> None:
        """From now on, a leader that was replaced writes nothing. What it has seen of the objects
        this one must see too, before it reconciles them: its watches may lag behind."""
        if self._leads and self._identity is not None and self._epoch is None:
            epoch = store.raise_epoch(self._identity)
            versions = store.object_versions()
            self._versions = {**versions, **self._versions}
            for reflector in self._reflectors:
                reflector.catch_up(versions.get(reflector.kind, 0))
            self._epoch = epoch
            store.fence(epoch, self._versions)
            _log.info("%s leads, in epoch %d of the store.", self._identity, epoch)

    def stop(self) -> None:
        """End :meth:`run` soon, from any thread."""
        self._stop.set()
        for reflector in self._reflectors:
            reflector.stop()

    def run(self) -> None:
        """Run until the stop is set. A transaction that is being written is finished.

        Raises:
            ProblemError: another process leads (``leader-replaced``).
        """
        self._stop.on_set(self._wakeups.put)
        if self._options.platform is not None:
            item = self._options.platform.object
            self._inbox.put({item.key: item})
        for reflector in self._reflectors:
            reflector.start()
        try:
            with self._store.handle:
                while not self._stop.is_set():
                    self._iterate()
        except KeyboardInterrupt:
            if not self._stop.is_set():
                raise
        finally:
            for reflector in self._reflectors:
                reflector.stop()
            self._adapters.reporter.stop()
            deadline = time.monotonic() + _JOIN
            for reflector in self._reflectors:
                reflector.join(max(0.0, deadline - time.monotonic()))

    def _iterate(self) -> None:
        self._poll_platform(time.monotonic())
        self._check_store()
        # Before the inbox: what is read now is in it completely.
        lagging = [item for item in self._reflectors if item.is_behind or not item.follows]
        self._unread = tuple(item for item in self._reflectors if item.is_behind or not item.synced)
        self._has_begun = self._has_begun or not self._is_blind
        changes = self._inbox.take()
        self._versions = self._versions | self._reported_versions()
        concerned = self._state.apply(changes)
        released = self._store_check.arrived(changes)
        self._arrived |= concerned
        if PLATFORM in concerned:
            self._unchanged.clear()  # a change of the platform concerns every account
        self._unchanged -= concerned
        for namespace in {key.namespace for key in changes if key.kind in _WITH_PROFILES}:
            self._adapters.forget_secrets(namespace)
        now = time.monotonic()
        self._queue.claims_vanished(_deleted(changes), now)
        if self._has_begun:
            self._queue_arrived(lagging, now)
        self._queue.due_now(released, now)
        self._faults.update(now)
        self._show_faults(concerned)
        if self._may_reconcile:
            self._poll_secrets(now)
            due = self._due()
            if due is not None:
                self._idle = False
                self._run_round(due)
        self._report_health()
        seconds = self._next_at() - time.monotonic()
        self._idle = self._is_idle()
        self._wakeups.wait(seconds)
        time.sleep(self._options.times.batch)  # objects arrive by the thousand

    def _reported_versions(self) -> dict[str, int]:
        """The newest versions of what was taken from the inbox. They are read after it: one that is
        newer than needed costs the next leader a list, one that is older would hide a change."""
        versions: dict[str, int] = {}
        for reflector in self._reflectors:
            if reflector.reported:
                newest = max(reflector.reported, versions.get(reflector.kind, 0))
                versions[reflector.kind] = newest
        return versions

    @property
    def _may_reconcile(self) -> bool:
        return self._has_begun and self._leads and self._is_fenced and not self._is_blind

    def _queue_arrived(self, lagging: Sequence[Reflector], now: float) -> None:
        """What changed settles while every kind of its namespace is followed. A change that one
        kind shows and another one cannot show yet is half of a change: what the account seems to
        lack may be there."""
        if lagging:
            half = {
                owner for owner in self._queue.settling if not self._is_read_owner(owner, lagging)
            }
            self._arrived |= half
            self._queue.forget(half)
        whole = {owner for owner in self._arrived if self._is_read_owner(owner, lagging)}
        self._arrived -= whole
        self._queue.changed(whole, now)

    def _due(self) -> DueAccounts | None:
        """What is due. The first round over all accounts, which finds what was deleted while no
        operator ran, follows when everything was read and has settled."""
        now = time.monotonic()
        if not self._has_reconciled_all and not self._awaited and self._depth == 0:
            self._has_reconciled_all = True
            self._queue.all_due(now)
        if self._state.platform is None and not self._queue.is_settled(PLATFORM, now):
            return None  # nothing can be planned before the platform has settled once
        due = self._queue.due(now)
        return with_platform(due) if due is not None else None

    def _next_at(self) -> float:
        """The time of the next work, if nothing wakes the operator before."""
        times = [time.monotonic() + self._options.times.heartbeat]
        if self._may_reconcile:
            contested_at = self._store.changes.contests.next()
            times += [self._queue.next(), self._secrets_at, contested_at]
        if not self._store.handle.is_up:
            times.append(self._store.handle.retry_at)
        return min(times)

    def _is_idle(self) -> bool:
        return (
            self._has_begun
            and self._leads
            and self._store.handle.is_up
            and self._depth == 0
            and self._queue.next() > time.monotonic()
            and not self._unread
            and self._inbox.is_empty
        )

    @property
    def _depth(self) -> int:
        """The accounts whose changed objects were not reconciled."""
        return self._queue.depth + len(self._arrived)

    @property
    def _is_fenced(self) -> bool:
        return self._identity is None or self._epoch is not None

    # What is followed

    def _poll_platform(self, now: float) -> None:
        """Follow the file of the platform. One that is damaged or gone changes nothing."""
        file = self._options.platform
        if file is None or now < self._platform_at:
            return
        self._platform_at = now + self._options.times.heartbeat
        before = file.object.key
        if file.poll():
            self._inbox.put({before: None})
            self._inbox.put({file.object.key: file.object})
        self._platform_log.update(file.findings)

    @property
    def _is_blind(self) -> bool:
        """Whether nothing can be reconciled: the platform, or every namespace, is unread."""
        if any(reflector.kind == PLATFORM_KIND for reflector in self._unread):
            return True
        namespaces = set(self._options.namespaces or ("",))
        return namespaces <= {reflector.namespace for reflector in self._unread}

    @property
    def _awaited(self) -> tuple[Reflector, ...]:
        """What is expected to be read soon; until then nothing is removed. What cannot be read for
        long keeps its own namespace as it is, and no other: a tenant may have taken the role
        away."""
        lasting = {reflector for reflector, _ in self._faults.lasting(time.monotonic())}
        return tuple(reflector for reflector in self._unread if reflector not in lasting)

    def _is_read(self, namespace: str) -> bool:
        """Whether all objects of a namespace are known."""
        return self._is_known(namespace, self._unread)

    def _is_read_owner(self, owner: Owner, unread: Sequence[Reflector]) -> bool:
        return owner is PLATFORM or self._is_known(owner.namespace, unread)

    def _is_known(self, namespace: str, unread: Sequence[Reflector]) -> bool:
        names = {reflector.namespace for reflector in unread}
        if not self._options.namespaces:
            return "" not in names
        return namespace in self._options.namespaces and namespace not in names

    def _show_faults(self, changed: Set[Owner]) -> None:
        """Show in the cluster what cannot be followed for long, and which accounts wait for it."""
        faults = self._faults.lasting(time.monotonic())
        is_new = faults != self._shown_faults
        waiting = self._arrived if is_new else self._arrived & changed
        leads = self._leads and self._is_fenced and self._store.handle.is_up
        if not leads or not (is_new or (faults and waiting)):
            return
        of_accounts = {
            owner: faults_of(owner, faults) for owner in waiting if owner is not PLATFORM
        }
        try:
            store = self._store.handle.get()
            self._shown.show_faults(store, self._state, tuple(faults.values()), of_accounts)
            self._shown_faults = faults
        except ProblemError as problem:
            self._store.down(problem.findings)

    # Rounds

    def _run_round(self, due: DueAccounts) -> None:
        started = time.monotonic()
        try:
            completed = self._reconcile(due, started)
        except ProblemError as problem:
            if any(item.code == Code.LEADER_REPLACED for item in problem.findings):
                raise
            self._round_failed(problem.findings)
            if any(has_trait(item.code, Trait.STORE) for item in problem.findings):
                self._store.down(problem.findings, in_round=True)
            return
        if completed is None:
            return
        done, statuses = completed
        self._store.up()
        now = time.monotonic()
        self._queue.reconciled(due, done.states, done.reconciled, now, now - started)
        self._unchanged |= done.reconciled
        self._round_log.update(())
        self._account_log.round_completed(
            done.result, done.drifted, done.recorded, done.voided_approvals, statuses
        )
        self._metrics.round_completed(
            done.result, due.accounts, done.drifted, now - started, time.time()
        )
        self._metrics.revision(done.result.revision)
        self._metrics.statuses(statuses.values(), is_newest=not self._depth, now=time.time())
        accounts = self._state.accounts
        self._metrics.declared(len(accounts), self._state.domain_count)
        self._wakeups.put()  # another process may have written in the meantime

    def _reconcile(
        self, due: DueAccounts, started: float
    ) -> tuple[OperatorRoundResult, AccountStatuses] | None:
        """Run the round, and record and show it; None if another store is expected."""
        owners = self._owners(due)
        store = self._store.handle.get()
        if self._epoch is not None:
            store.fence(self._epoch, self._versions)
        head = store.head()
        compared = self._store_check.compare(store, self._state)
        self._mismatch = compared.whole
        if compared.whole is not None:
            self._shown.other_store(self._state, compared.whole)
            self._round_failed((compared.whole,))
            return None
        inputs = RoundInputs(
            self._state,
            self._queue,
            due,
            owners,
            self._unchanged,
            self._is_read,
            unread_findings(self._awaited),
            self._store.changes.contests.must_wait(PLATFORM, started),
            compared.accounts,
        )
        options = OperatorRoundOptions(self._options.guards, self._options.actor, self._stop)
        done = Round(store, inputs, self._adapters, options).run()
        self._store_check.reconciled(done.reconciled, self._state)
        statuses = self._store.round_completed(
            store, head, done.result, done.edited, done.before, kept_platform=done.kept_platform
        )
        self._shown.round_completed(store, self._state, done, statuses)
        return done, statuses

    def _owners(self, due: DueAccounts) -> frozenset[Owner] | None:
        """The accounts of the round that have settled; None for all, if all have."""
        now = time.monotonic()
        if due.accounts is None and self._depth == 0 and not self._options.namespaces:
            return None if not self._unread else self._known(now)
        if due.accounts is None:
            return self._known(now)
        return frozenset(owner for owner in due.accounts if self._is_ready(owner, now))

    def _known(self, now: float) -> frozenset[Owner]:
        stored = self._stored() if self._has_reconciled_all else ()
        owners = {*self._state.mentioned, *stored, PLATFORM}
        return frozenset(owner for owner in owners if self._is_ready(owner, now))

    def _stored(self) -> frozenset[Owner]:
        try:
            return frozenset(self._store.handle.get().accounts())
        except ProblemError:
            return frozenset()  # the round then fails for the same reason

    def _is_ready(self, owner: Owner, now: float) -> bool:
        if owner in self._arrived or not self._queue.is_settled(owner, now):
            return False
        return owner is PLATFORM or self._is_read(owner.namespace)

    def _round_failed(self, findings: tuple[Finding, ...]) -> None:
        self._metrics.round_failed()
        self._queue.round_failed(time.monotonic())
        self._round_log.update(findings)

    def _poll_secrets(self, now: float) -> None:
        if now < self._secrets_at:
            return
        self._secrets_at = now + _SECRETS
        changed = self._adapters.changed_secrets()
        if changed:
            self._queue.due_now(self._state.referring(changed), now)

    # The store

    def _check_store(self) -> None:
        """Make the accounts due that another process wrote or approved."""
        polled = self._store.poll(self._state.accounts, self._raise_epoch)
        if polled is None:
            return
        now = time.monotonic()
        if polled.was_down:
            self._queue.skip_backoff(now)
        if polled.accounts is None:
            self._queue.all_due(now)
        elif polled.accounts:
            self._queue.due_now(polled.accounts, now)

    def _report_health(self) -> None:
        """Ready: the store answers, and the objects were read once. A standby is ready too, so that
        a roll-out does not wait for a leader that gives up only when it is replaced."""
        health, faults = self._adapters.health, self._faults.findings
        health.beat()
        self._api_log.update(faults)
        self._metrics.queue(self._depth)
        for kind in PLURALS:
            of_kind = [reflector for reflector in self._reflectors if reflector.kind == kind]
            followed = all(r.synced and r.fault is None for r in of_kind)
            self._metrics.kind(kind, sum(r.count for r in of_kind), followed=followed)
        if not self._store.handle.is_up:
            health.not_ready("The store does not answer.")
        elif self._mismatch is not None:
            health.not_ready(self._mismatch.message)
        elif not self._has_begun:
            reason = faults[0].message if faults else "The objects are being read."
            health.not_ready(reason)
        elif faults:
            health.ready(faults[0].message)
        elif self._options.platform is not None and self._options.platform.findings:
            health.ready(self._options.platform.findings[0].message)
        else:
            leads = "This process is the leader." if self._leads else "Another process leads."
            health.ready(leads)


def _deleted(changes: Changes) -> set[str]:
    """The namespaces of the deleted domains and profiles."""
    return {
        key.namespace
        for key, changed in changes.items()
        if changed is None and key.kind in _WITH_PROFILES
    }
