"""Follow the store, keep the tables at its revision, reload Postfix, and report what is served.

Nothing of the store, of the disk or of Postfix ends the agent: mail continues by the
revision in the tables, and the agent tries again.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import apsw

from sendroute.delivery.lookup_tables import (
    DomainRow,
    NexthopRows,
    domain_rows,
    nexthop_rows,
    null_sender_row,
)
from sendroute.files.reason import reason_of
from sendroute.model.codes import finding
from sendroute.model.finding import Finding
from sendroute.model.problem import ProblemError
from sendroute.model.provenance import Head
from sendroute.model.records import Endpoint, RelayUpdate
from sendroute.relay.directory import RelayDirectory
from sendroute.relay.event_log import AgentLog
from sendroute.relay.metrics import AgentMetrics
from sendroute.relay.protocols import Decrypt, MailServer, ReadKeys, RelayStore
from sendroute.relay.queue import QueueReader, RetiredAliases
from sendroute.relay.tables import (
    DamagedTablesError,
    ReassignedAliasError,
    ServedRevision,
    Tables,
    TablesUpdate,
)
from sendroute.runtime.backoff import Random, backoff
from sendroute.runtime.health import HealthReporter
from sendroute.runtime.stop import Stop
from sendroute.runtime.transition_log import Advise
from sendroute.runtime.wakeup import StoreHandle, WakeupQueue

_log = logging.getLogger(__name__)

_HEARTBEAT = 15.0
"""Seconds between two reports to the store: a relay that was not seen for 60 is not waited for."""
_RELOAD_PAUSE = 3.0
"""Seconds between two reloads of Postfix, at least."""
_HOUSEKEEPING = 10.0
"""Seconds between two checks of the queue, of the keys and of the file."""
_LONGEST_RETRY = 15.0
_SHORTEST_RETRY = 0.1


class AgentOptions(NamedTuple):
    """``name`` is that of this relay in the store. ``server`` is None if no Postfix is beside the
    agent, ``reloads`` is false if it must not be reloaded."""

    name: str
    server: MailServer | None
    reloads: bool


class Agent:
    """Call ``run`` once, in the main thread, whose signals set ``stop``. The directory is
    locked."""

    def __init__(
        self,
        directory: RelayDirectory,
        open_store: Callable[[], RelayStore],
        keys: ReadKeys,
        options: AgentOptions,
        stop: Stop,
        metrics: AgentMetrics,
        health: HealthReporter,
        random: Random,
        on_serving: Callable[[], None],
        advise: Advise,
    ) -> None:
        self._directory = directory
        self._keys = keys
        self._options = options
        self._stop = stop
        self._metrics = metrics
        self._health = health
        self._random = random
        self._on_serving = on_serving
        self._wakeups = WakeupQueue()
        self._store = StoreHandle(open_store, self._wakeups.put, random)
        self._tables: Tables | None = None
        self._replaces = False  # Postfix may have an older file open
        self._was_replaced = False  # Postfix is to be reloaded for a newer file
        self._whole = False  # the next update must be everything
        self._aliases_due = True  # the alias file may differ from the tables
        self._local_failures = 0
        self._local_retry_at = 0.0
        self._reload_at = 0.0
        self._reported: Head | None = None
        self._report_at = 0.0
        self._housekeeping_at = 0.0
        self._retired = RetiredAliases()
        self._queue = (
            QueueReader(options.server.active_messages, self._wakeups.put)
            if options.server is not None
            else None
        )
        self._used_keys: object = None
        self._head: Head | None = None
        self._counted: Head | None = None
        self._event_log = AgentLog(advise)

    def run(self) -> None:
        """Run until a signal sets the stop. A transaction that is being written is finished or
        undone.

        Raises:
            KeyboardInterrupt: an interrupt that did not set the stop.
        """
        self._stop.on_set(self._wakeups.put)
        try:
            with self._store:
                self._open_tables()
                while not self._stop.is_set():
                    self._iterate()
        except KeyboardInterrupt:
            if not self._stop.is_set():
                raise
        finally:
            self._close_tables()

    def _iterate(self) -> None:
        if self._tables is not None and not self._tables.is_current():
            self._damaged("was moved or deleted")
        try:
            self._follow()
            self._write_aliases()
            self._reload()
            self._report()
            self._housekeep()
            self._free_aliases()
            self._write_aliases()  # what it found
            self._tables_up()
        except DamagedTablesError:
            self._damaged("is damaged")
            self._wakeups.put()
        except apsw.Error as error:
            self._not_written(_reason(error))
        except OSError as error:
            reason = reason_of(error)
            name = error.filename2 or error.filename  # of a rename, the new name
            self._not_written(f"{Path(name).name}: {reason}" if name else reason)
        self._report_health()
        self._wakeups.wait(self._next_at() - time.monotonic())

    def _next_at(self) -> float:
        """The time of the next work, if nothing wakes the agent before."""
        now, served = time.monotonic(), self._served()
        times = [now + _HEARTBEAT]
        if not self._store.is_up:
            times.append(self._store.retry_at)
        if self._tables is not None:
            times.append(self._housekeeping_at)
        if served is not None and served.reload:
            times.append(self._reload_at)
        elif served is not None and self._store.is_up:
            times.append(self._report_at)
        if self._local_failures:
            return max(min(*times, self._local_retry_at), now + _SHORTEST_RETRY)
        return min(times)

    # The tables

    def _open_tables(self) -> None:
        if self._directory.was_discarded:
            self._damaged("could have been written by another user")
        try:
            self._tables = Tables.open(self._directory.tables)
        except DamagedTablesError:
            if self._directory.tables.exists():
                self._damaged("is damaged")
        except apsw.Error as error:
            self._not_written(_reason(error))
        if self._served() is not None:
            self._serving()

    def _close_tables(self) -> None:
        if self._tables is not None:
            with suppress(apsw.Error):
                self._tables.close()
            self._tables = None

    def _served(self) -> ServedRevision | None:
        if self._tables is None:
            return None
        with suppress(DamagedTablesError, apsw.Error):
            return self._tables.served()
        return None

    def _serving(self) -> None:
        self._on_serving()
        served = self._served()
        if served is not None:
            self._metrics.served.set(served.head.revision)

    def _tables_up(self) -> None:
        """The tables can be used. Whether they can be written is known only after an update."""
        served = self._served()
        if served is not None and (served.head == self._head or not self._local_failures):
            self._local_failures = 0
            self._metrics.tables_good.set(1)
            self._event_log.tables.update(())

    def _damaged(self, damage: str) -> None:
        self._close_tables()
        self._replaces = True
        self._metrics.tables_good.set(0)
        message = f"The file {self._directory.tables} {damage}. It is built again from the store."
        self._event_log.tables.update([finding("tables-damaged", message)])

    def _not_written(self, reason: str) -> None:
        self._local_failures += 1
        wait = backoff(self._local_failures, _LONGEST_RETRY, self._random())
        self._local_retry_at = time.monotonic() + wait
        self._metrics.tables_good.set(0)
        self._metrics.updated(None)
        served = self._served()
        serves = f"revision {served.head.revision} is served" if served else "nothing is served yet"
        message = f"Cannot write the tables in {self._directory.path}: {reason}; {serves}."
        hint = "Fix the cause. The agent tries again."
        self._event_log.tables.update([finding("tables-not-written", message, hint=hint)])

    # The store

    def _follow(self) -> None:
        """Write the store's revision to the tables, if it is another one."""
        now = time.monotonic()
        if not self._store.is_up and now < self._store.retry_at:
            return
        try:
            with self._stop.interruptible():
                store = self._store.get()
                self._head = head = store.head()
                self._store_up(head)
                served = self._served()
                is_latest = served is not None and served.head == head and not self._whole
                self._metrics.serves_latest(latest=is_latest)
                if not is_latest and (not self._local_failures or now >= self._local_retry_at):
                    self._update(store, served)
        except ProblemError as problem:
            self._store_down(problem.findings)

    def _update(self, store: RelayStore, served: ServedRevision | None) -> None:
        started = time.monotonic()
        if self._tables is None and not self._replaces and self._directory.tables.exists():
            with suppress(DamagedTablesError):  # it was locked
                self._tables = Tables.open(self._directory.tables)
                served = self._tables.served()
        since = served if served is not None and not self._whole else None
        keys, cipher = self._read_keys()
        with store.relay_update(
            since.lineage if since else None, since.head if since else None
        ) as update:
            revision = _revision(update, cipher)
            if self._tables is None:
                self._build(revision)
            else:
                try:
                    self._tables.write(revision, time.time(), self._directory.write_aliases)
                except ReassignedAliasError:
                    self._withdraw()
                    return
        if update.is_whole:
            self._used_keys = keys
            self._whole = False
        self._written(update.head, started, whole=update.is_whole)

    def _build(self, revision: TablesUpdate) -> None:
        """Build the tables in a new file: the first time, or because the old one is damaged. It
        replaces the old one when it is complete, and then Postfix is reloaded, so that it opens the
        new one."""
        replaces = self._replaces or self._directory.tables.exists()
        with self._directory.new_tables() as path:
            tables = Tables.create(path)
            try:
                tables.write(revision, time.time(), self._directory.write_aliases)
                if replaces:
                    tables.set_reload(due=True)
            finally:
                tables.close(keep_log=False)
        self._tables = Tables.open(self._directory.tables)
        self._replaces, self._was_replaced = False, replaces

    def _withdraw(self) -> None:
        """An alias means another destination than before, because the store was replaced by another
        one. No mail may take the old route with the new credential: so first no alias leads
        anywhere, then Postfix forgets its routes, and only then the new ones are written."""
        if self._tables is None:
            return
        _log.warning("The store was replaced by another: mail waits until it is read.")
        self._tables.withdraw_routes()
        self._directory.write_aliases([])
        if self._reloaded is not None:
            with suppress(ProblemError):
                self._reloaded.reload()
        self._tables.withdraw_nexthops()
        self._wakeups.put()

    def _written(self, head: Head, started: float, *, whole: bool) -> None:
        seconds = time.monotonic() - started
        self._local_failures = 0
        self._metrics.updated(seconds)
        self._metrics.serves_latest(latest=True)
        self._serving()
        extent = "everything" if whole else "the changes"
        _log.info(
            "Serving revision %d: %s read in %.2f s.",
            head.revision,
            extent,
            seconds,
            extra={"revision": head.revision, "whole": whole},
        )
        if self._tables is not None:
            self._event_log.without_credential(self._tables.unusable())

    def _read_keys(self) -> tuple[object, Decrypt | None]:
        """Without keys, what was decrypted before stays."""
        try:
            keys = self._keys()
        except ProblemError as problem:
            self._event_log.keys.update(problem.findings)
            return None, None
        self._event_log.keys.update(())
        return keys

    def _store_up(self, head: Head) -> None:
        self._store.mark_up()
        self._metrics.answered(head.revision)
        self._event_log.store.update(())

    def _store_down(self, findings: tuple[Finding, ...]) -> None:
        self._store.mark_down()
        self._metrics.store_up.set(0)
        self._event_log.store.update(findings)

    def _write_aliases(self) -> None:
        if self._aliases_due and self._tables is not None:
            if not self._directory.has_aliases(self._tables.aliases()):
                self._directory.write_aliases(self._tables.aliases())
            self._aliases_due = False

    # Postfix

    @property
    def _reloaded(self) -> MailServer | None:
        """The Postfix to reload for a new route; None if none is."""
        return self._options.server if self._options.reloads else None

    def _reload(self) -> None:
        """Reload Postfix, if a domain that it knew has another route now."""
        served, now = self._served(), time.monotonic()
        if self._tables is None or served is None or not served.reload:
            return
        if self._reloaded is not None:
            if now < self._reload_at:
                return
            self._reload_at = now + _RELOAD_PAUSE
            try:
                self._reloaded.reload()
            except ProblemError as problem:
                self._metrics.reloaded(completed=False)
                self._event_log.reload.update(problem.findings)
                return
            self._metrics.reloaded(completed=True)
            self._event_log.reload.update(())
            reason = "the tables were built again" if self._was_replaced else "routes have changed"
            _log.info("Postfix is reloaded, because %s.", reason)
            self._was_replaced = False
        self._tables.set_reload(due=False)

    def _report(self) -> None:
        """Report to the store which revision is served, after the reload that it needs."""
        served, now = self._served(), time.monotonic()
        if served is None or not self._store.is_up:
            return
        head = self._reported if served.reload else served.head
        if head is None or (head == self._reported and now < self._report_at):
            return
        self._report_at = now + _HEARTBEAT
        try:
            with self._stop.interruptible():
                if self._store.get().report_relay(self._options.name, head):
                    self._reported = head
                    self._event_log.report.update(())
                else:
                    self._whole = True
        except ProblemError as problem:  # the store may be read-only for this user
            self._event_log.report.update(problem.findings)

    def _housekeep(self) -> None:
        """Check the file and its rights, look which aliases no mail can take any more, and read
        everything if there are other keys."""
        now = time.monotonic()
        if self._tables is None or now < self._housekeeping_at:
            return
        self._housekeeping_at = now + _HOUSEKEEPING
        self._directory.restore_rights()
        self._tables.check_file()
        self._aliases_due = True  # another program may have changed the alias file
        retired = self._tables.retired()
        if self._queue is not None and self._retired.due(retired, time.time()):
            self._queue.start(retired)
        if self._tables.unusable():
            keys, _ = self._read_keys()
            if keys is not None and keys != self._used_keys:
                self._whole = True
                self._wakeups.put()
        self._metrics.nexthops(self._tables.nexthop_counts())
        served = self._tables.served()
        if served is not None and served.head != self._counted:  # this reads a million rows
            self._metrics.rows(self._tables.counts())
            self._counted = served.head

    def _free_aliases(self) -> None:
        """Delete aliases that no mail can take any more, if the queue was read."""
        reading = self._queue.ended() if self._queue is not None else None
        if reading is None or reading.active is None or self._tables is None:
            return
        free = self._retired.free(reading.retired, reading.active, reading.at)
        now = self._tables.retired()  # it may be in use again
        gone = {alias for alias in free if now.get(alias) == reading.retired[alias]}
        if gone:
            # The alias is deleted first, so that none leads to a host without its credential.
            kept = (pair for pair in self._tables.aliases() if pair[0] not in gone)
            self._directory.write_aliases(kept)
            self._tables.forget(gone)
            _log.info("Deleted %d aliases that no mail can take any more.", len(gone))

    # Health

    def _report_health(self) -> None:
        self._health.beat()
        served = self._served()
        if served is None:
            self._health.not_ready("No revision is served yet.")
            return
        text = f"Revision {served.head.revision} is served"
        if self._local_failures:
            self._health.not_ready(f"{text}; a newer one cannot be written.")
        elif not self._store.is_up:
            age = self._metrics.store_age
            self._health.ready(f"{text}; the store has not answered for {age:.0f} s.")
        elif served.reload:
            self._health.ready(f"{text}; Postfix is reloaded soon.")
        else:
            self._health.ready(f"{text}, the latest of the store.")


def _revision(update: RelayUpdate, cipher: Decrypt | None) -> TablesUpdate:
    retired: list[str] = []

    def nexthops() -> Iterator[NexthopRows]:
        for endpoint, signs_in in update.endpoints:
            if endpoint.retired is not None:
                retired.append(endpoint.alias)
            else:
                yield _nexthop(endpoint, cipher, signs_in=signs_in)

    def domains() -> Iterator[DomainRow]:
        yield null_sender_row(update.facts)
        version = update.facts.platform_version
        for route in update.domains:
            yield from domain_rows(route, version)

    return TablesUpdate(
        update.lineage, update.head, update.is_whole, nexthops(), retired, domains()
    )


def _nexthop(endpoint: Endpoint, cipher: Decrypt | None, *, signs_in: bool) -> NexthopRows:
    credential = None
    if signs_in and endpoint.credential is not None and cipher is not None:
        credential = cipher.decrypt(endpoint.credential, endpoint.binding)
    return nexthop_rows(endpoint, signs_in=signs_in, credential=credential)


def _reason(error: apsw.Error) -> str:
    if isinstance(error, apsw.FullError):
        return "the disk is full"
    if isinstance(error, apsw.BusyError | apsw.LockedError):
        return "another process has locked the file"
    if isinstance(error, apsw.ReadOnlyError | apsw.PermissionsError | apsw.CantOpenError):
        return "the file or its directory is not writable"
    return "the disk reports an error"
