"""Files read by several processes at once: this one and its forks.

The parent writes a ticket for each chunk of consecutive files to a pipe. Every process, the parent
included, takes the next ticket when it is free. A worker sends the results of a chunk through its
own pipe. The parent yields the results in the order of the files, so that the number of workers
affects only the time.

The parent does not depend on a worker: it reads every chunk that no worker has delivered, because
the worker was killed, crashed or is stopped. If a process cannot be forked, the parent reads
everything.

Forking is safe here because the process has one thread, and a worker only reads files, sends bytes
and exits with ``os._exit``: it neither uses nor closes a database connection that it inherited
(https://www.sqlite.org/howtocorrupt.html, 2.6).
"""

import os
import pickle
import select
import signal
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NoReturn

import msgspec

from sendroute.manifests.content import FileContent, FileResult, read_file
from sendroute.manifests.sources import ManifestSource, SourceEntry

MOST_WORKERS = 4
"""More workers need much memory and save little time, because the parent compiles the results."""

_MOST_CHUNKS = 256
_TICKET = struct.Struct("<I")  # _MOST_CHUNKS of them fit in any pipe: 4 KiB at least, pipe(7)
_FRAME = struct.Struct("<II")  # a chunk's number, the length of its results
_PIPE_SIZE = 1 << 20  # bytes; /proc/sys/fs/pipe-max-size without privileges
_RESULT_TIMEOUT = 5.0
"""Seconds without a result after which the parent itself reads a chunk that a worker has taken."""

# The problems of each file are pickled, and empty if there are none.
_ChunkResults = list[tuple[FileContent, bytes]]
_decoder = msgspec.msgpack.Decoder(_ChunkResults)


def available_workers() -> int:
    """Return how many processes are worth starting here: the cores that this process may use.

    One outside Linux, because forking without ``exec`` is not safe with every system library
    there, and one in a process with several threads, because a fork keeps their locks forever.
    """
    if sys.platform != "linux" or _has_threads():
        return 1
    cores = min(len(os.sched_getaffinity(0)), _cgroup_cores())
    return max(1, min(cores, MOST_WORKERS))


def read_in_parallel(
    source: ManifestSource,
    entries: list[SourceEntry],
    workers: int,
    on_start: Callable[[], None] = lambda: None,
) -> Iterator[FileResult]:
    """Yield the result of each entry, in order.

    Args:
        source: where the entries are loaded from, each by any process.
        entries: what to read; standard input is not among them.
        workers: how many processes read, this one included.
        on_start: called when all processes are started.
    """
    pool = _Pool(source, entries)
    try:
        pool.start(workers - 1)
        on_start()
        yield from pool.results()
    finally:
        pool.end()


class _Worker:
    """A forked process: its id, the pipe of its results, and the received bytes that are
    not a whole frame yet."""

    def __init__(self, pid: int, pipe: int) -> None:
        self.pid = pid
        self.pipe = pipe
        self.received = bytearray()

    def frames(self) -> Iterator[tuple[int, bytes]]:
        """Remove and yield the whole frames that were received."""
        start = 0
        while len(self.received) >= start + _FRAME.size:
            number, length = _FRAME.unpack_from(self.received, start)
            end = start + _FRAME.size + length
            if len(self.received) < end:
                break
            yield number, bytes(self.received[start + _FRAME.size : end])
            start = end
        del self.received[:start]


class _Pool:
    def __init__(self, source: ManifestSource, entries: list[SourceEntry]) -> None:
        self._source = source
        size = -(-len(entries) // _MOST_CHUNKS)
        self._chunks = [entries[at : at + size] for at in range(0, len(entries), size)]
        self._tickets: int | None = None
        self._workers: list[_Worker] = []
        self._done: dict[int, bytes | list[FileResult]] = {}

    def start(self, count: int) -> None:
        """Fork ``count`` workers, fewer if the system refuses (EAGAIN or ENOMEM, fork(2))."""
        if _has_threads():
            return
        with suppress(OSError):
            self._tickets, write_end = os.pipe()
            try:
                os.write(write_end, b"".join(map(_TICKET.pack, range(len(self._chunks)))))
            finally:
                os.close(write_end)
            for _ in range(count):
                self._fork()

    def _fork(self) -> None:
        read_end, write_end = os.pipe()
        # Until a worker has the system's own handlers, a signal would run those of this program.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
        try:
            pid = os.fork()
            if pid == 0:
                self._work(read_end, write_end, blocked)
        except OSError:
            os.close(read_end)
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            os.close(write_end)
        self._workers.append(_Worker(pid, read_end))

    def _work(self, read_end: int, write_end: int, blocked: set[int | signal.Signals]) -> NoReturn:
        """Run a worker. It ends when no ticket is left, or when the parent has closed its pipe."""
        status = 1
        try:
            for handled in _HANDLED:
                signal.signal(handled, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            for pipe in (read_end, *(worker.pipe for worker in self._workers)):
                os.close(
                    pipe
                )  # else a worker could outlive the parent: another worker keeps its pipe open
            _widen(write_end)
            while (number := self._next_chunk()) is not None:
                sent = [
                    (result.content, pickle.dumps(result.problems) if result.problems else b"")
                    for result in self._read(number)
                ]
                payload = msgspec.msgpack.encode(sent)
                _write(write_end, _FRAME.pack(number, len(payload)) + payload)
            status = 0
        finally:
            os._exit(status)  # the same error occurs again in the parent, which reports it

    def results(self) -> Iterator[FileResult]:
        """Yield all results in order. A chunk that no worker has delivered is read here."""
        for number in range(len(self._chunks)):
            self._receive(0)  # so that no worker waits with a full pipe
            while number not in self._done:
                taken = self._next_chunk()
                if taken is not None:
                    self._done[taken] = list(self._read(taken))
                    self._receive(0)
                elif not self._receive(_RESULT_TIMEOUT):
                    self._done[number] = list(self._read(number))
            yield from _decoded(self._done.pop(number))

    def end(self) -> None:
        """Kill the workers: all results that are needed have arrived."""
        for worker in self._workers:
            os.close(worker.pipe)
            with suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGKILL)
            with suppress(ChildProcessError):  # if the parent's parent had SIGCHLD ignored
                os.waitpid(worker.pid, 0)
        self._workers.clear()
        if self._tickets is not None:
            os.close(self._tickets)
            self._tickets = None

    def _next_chunk(self) -> int | None:
        """Take the next chunk that no process has taken, None if there is none."""
        if self._tickets is None:
            return None
        ticket = os.read(self._tickets, _TICKET.size)
        return int(_TICKET.unpack(ticket)[0]) if len(ticket) == _TICKET.size else None

    def _read(self, number: int) -> Iterator[FileResult]:
        chunk = self._chunks[number]
        for entry, data in zip(chunk, self._source.load(chunk), strict=True):
            yield read_file(entry, data)

    def _receive(self, seconds: float) -> bool:
        """Receive what workers sent; False if nothing came within ``seconds``, or none is left."""
        open_pipes = {worker.pipe: worker for worker in self._workers if worker.pipe >= 0}
        if not open_pipes:
            return False
        poll = select.poll()
        for pipe in open_pipes:
            poll.register(pipe, select.POLLIN)
        ready = poll.poll(seconds * 1000)
        for pipe, _ in ready:
            worker = open_pipes[pipe]
            data = os.read(pipe, _PIPE_SIZE)
            if data:
                worker.received += data
                self._done.update(worker.frames())
            else:
                self._remove_worker(worker)
        return bool(ready)

    def _remove_worker(self, worker: _Worker) -> None:
        """Remove a worker that has ended: no ticket was left, or it was killed."""
        self._workers.remove(worker)
        os.close(worker.pipe)
        with suppress(ChildProcessError):
            os.waitpid(worker.pid, 0)


_HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)


def _decoded(done: bytes | list[FileResult]) -> Iterator[FileResult]:
    if isinstance(done, list):
        yield from done
        return
    for content, problems in _decoder.decode(done):
        # From our own fork, over a pipe that no other process has.
        yield FileResult(content, pickle.loads(problems) if problems else None)  # noqa: S301


def _write(pipe: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(pipe, view) :]


def _widen(pipe: int) -> None:
    """Let a worker send some chunks ahead of the parent's reading."""
    import fcntl

    with suppress(OSError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)


def _has_threads() -> bool:
    threading = sys.modules.get("threading")
    return threading is not None and threading.active_count() > 1


def _cgroup_cores() -> int:
    """Return the cores' worth of time that a container may use, rounded up.
    https://docs.kernel.org/admin-guide/cgroup-v2.html, "cpu.max"."""
    try:
        file = os.open("/sys/fs/cgroup/cpu.max", os.O_RDONLY | os.O_CLOEXEC)
        try:
            quota, period = os.read(file, 64).split()
        finally:
            os.close(file)
        return -(-int(quota) // int(period))
    except (OSError, ValueError):  # no cgroup v2, or "max": no limit
        return MOST_WORKERS
