"""Several processes give the same result as one process, even if workers fail."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from sendroute.manifests import parallel, read
from sendroute.manifests.compile import compile_reading
from sendroute.manifests.content import FileResult, read_file
from sendroute.manifests.locate import with_positions
from sendroute.manifests.parallel import read_in_parallel
from sendroute.manifests.read import TreeReading
from sendroute.manifests.sources import FileSource, SourceEntry
from sendroute.model.finding import Finding

CASES = Path(__file__).parent.parent / "cases" / "manifests"
PLANS = Path(__file__).parent.parent / "cases" / "plans"
MANY = 2_000  # files of 200 bytes: enough for the parent to start workers by default

DOMAIN = """\
apiVersion: sendroute.dev/v1alpha1
kind: SendingDomain
metadata: {{name: d{number}, namespace: acme}}
spec: {{account: acme, domain: d{number}.example.com, route: {{profile: ses}}}}
"""
PLATFORM = """\
apiVersion: sendroute.dev/v1alpha1
kind: MailPlatform
metadata: {name: default}
spec: {plans: [{name: pro, managed: false}]}
---
apiVersion: sendroute.dev/v1alpha1
kind: MailAccount
metadata: {name: acme, namespace: acme}
spec: {plan: pro}
"""


class OneFork(FileSource):
    """A tree whose files call ``in_worker`` when a worker loads them; the parent loads them all."""

    def __init__(self, root: Path, in_worker: object) -> None:
        super().__init__([str(root)])
        self.parent = os.getpid()
        self.in_worker = in_worker

    def load(self, entries: Iterable[SourceEntry]) -> Iterator[bytes | Finding]:
        if os.getpid() != self.parent:
            assert callable(self.in_worker)
            self.in_worker()
        return super().load(entries)


def nothing() -> None:
    """Let the worker read normally."""


def kill_self() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def stop_self() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def fail() -> None:
    raise RuntimeError("a bug only in a worker")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory of files; every tenth has an error."""
    root = tmp_path / "tree"
    root.mkdir()
    (root / "0.yaml").write_text(PLATFORM)
    for number in range(300):
        text = DOMAIN.format(number=number)
        (root / f"d{number:04}.yaml").write_text(text if number % 10 else text + "  typo: 1\n")
    return root


def in_one_process(tree: FileSource) -> list[FileResult]:
    entries, _ = tree.entries()
    return [read_file(entry, data) for entry, data in zip(entries, tree.load(entries), strict=True)]


def children() -> set[str]:
    """The children of this process, also zombies. Some may be servers of other tests."""
    pids = set()
    names = (entry.name for entry in Path("/proc").iterdir())
    for pid in filter(str.isdecimal, names):
        with suppress(OSError):  # it may have ended
            # pid (comm) state ppid ...; see proc(5). The name may hold spaces and brackets.
            stat = Path(f"/proc/{pid}/stat").read_text()
            if int(stat.rpartition(")")[2].split()[1]) == os.getpid():
                pids.add(pid)
    return pids


BEFORE: set[str] = set()


@pytest.fixture(autouse=True)
def other_children() -> None:
    """Record the children that other tests started, because they are not workers."""
    BEFORE.clear()
    BEFORE.update(children())


@pytest.fixture(autouse=True)
def other_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count only threads that the test itself starts: with one that an earlier test of this process
    left behind, nothing would be forked."""
    before = threading.enumerate()

    def active_count() -> int:
        return 1 + sum(thread not in before for thread in threading.enumerate())

    monkeypatch.setattr(threading, "active_count", active_count)


def has_children() -> bool:
    return bool(children() - BEFORE)


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir()))
def test_any_number_of_processes_reads_every_golden_tree_alike(
    case: str, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(CASES / case)
    tree = FileSource(["."])
    entries, _ = tree.entries()
    assert list(read_in_parallel(tree, entries, workers)) == in_one_process(tree)
    assert not has_children()


@pytest.mark.parametrize("workers", [2, 4])
def test_any_number_of_processes_gives_the_same_compiled_tree(
    tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read, "_BYTES_BEFORE_WORKERS", 100)
    for case in filter(Path.is_dir, PLANS.iterdir()):
        shutil.copytree(case, tmp_path / case.name)
    single, parallel_reading = (
        TreeReading(FileSource([str(tmp_path)])),
        TreeReading(FileSource([str(tmp_path)]), workers=workers),
    )
    assert compile_reading(parallel_reading) == compile_reading(single)
    files = FileSource([str(tmp_path)])
    assert with_positions(files, parallel_reading.findings) == with_positions(
        files, single.findings
    )
    assert parallel_reading.findings
    assert parallel_reading.advice == single.advice


@pytest.mark.parametrize("in_worker", [nothing, kill_self, fail])
def test_the_parent_reads_what_a_failed_worker_does_not_return(
    tree: Path, in_worker: object
) -> None:
    files = OneFork(tree, in_worker)
    entries, _ = files.entries()
    assert list(read_in_parallel(files, entries, 3)) == in_one_process(files)
    assert not has_children()


def test_the_parent_does_not_wait_for_a_stopped_worker(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "_RESULT_TIMEOUT", 0.1)
    files = OneFork(tree, stop_self)
    entries, _ = files.entries()
    assert list(read_in_parallel(files, entries, 3)) == in_one_process(files)
    assert not has_children()


def test_a_worker_killed_between_chunks_loses_no_file(tree: Path) -> None:
    files = FileSource([str(tree)])
    entries, _ = files.entries()
    pool = parallel._Pool(files, entries)
    pool.start(2)
    try:
        results = pool.results()
        given = [next(results)]
        os.kill(pool._workers[0].pid, signal.SIGKILL)
        given += results
    finally:
        pool.end()
    assert given == in_one_process(files)
    assert not has_children()


class Recorder:
    """The calls of a progress bar. ``forked``: whether workers ran when it began."""

    def __init__(self) -> None:
        self.total, self.files, self.forked = 0, 0, False

    def begin(self, total: int) -> None:
        assert not self.total, "it began twice"
        self.total, self.forked = total, has_children()

    def advance(self, steps: int = 1) -> None:
        self.files += steps


@pytest.mark.parametrize("workers", [1, 2, None])
def test_progress_begins_when_no_process_is_forked_any_more(
    tree: Path, workers: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read, "_BYTES_BEFORE_WORKERS", 100)
    monkeypatch.setattr(parallel, "available_workers", lambda: 1)
    shown = Recorder()
    compile_reading(TreeReading(FileSource([str(tree)]), workers=workers, progress=shown))
    assert (shown.total, shown.files, shown.forked) == (301, 301, workers == 2)


def test_progress_of_a_single_file_begins_before_it_is_read(tree: Path) -> None:
    (tree / "0.yaml").rename(tree.parent / "one.yaml")
    shown = Recorder()

    class Watched(FileSource):
        def load(self, entries: Iterable[SourceEntry]) -> Iterator[bytes | Finding]:
            assert shown.total == 1
            return super().load(entries)

    files = Watched([str(tree.parent / "one.yaml")])
    compile_reading(TreeReading(files, workers=None, progress=shown))
    assert shown.files == 1


def test_workers_end_when_the_reader_stops_early(tree: Path) -> None:
    files = FileSource([str(tree)])
    entries, _ = files.entries()
    results = read_in_parallel(files, entries, 3)
    next(results)
    assert has_children()
    results.close()  # type: ignore[attr-defined]
    assert not has_children()


def test_the_parent_reads_alone_if_it_cannot_fork() -> None:
    """The process limit does not apply to root, so the process becomes another user."""
    script = (
        "import os, resource, sys\n"
        "from sendroute.manifests.parallel import read_in_parallel\n"
        "from sendroute.manifests.sources import FileSource\n"
        "if os.geteuid() == 0: os.setuid(12345)\n"
        "resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))\n"
        "try:\n"
        "    os.fork()\n"
        "except BlockingIOError:\n"
        "    print('refused')\n"
        "files = FileSource([sys.argv[1]])\n"
        "entries, _ = files.entries()\n"
        "results = list(read_in_parallel(files, entries, 3))\n"
        "print(sum(len(result.content.rows) for result in results))\n"
    )
    with TemporaryDirectory() as directory:  # pytest's directories are closed to other users
        root = Path(directory)
        root.chmod(0o755)
        for number in range(30):
            (root / f"d{number}.yaml").write_text(DOMAIN.format(number=number))
        done = subprocess.run(
            [sys.executable, "-c", script, directory], capture_output=True, text=True, check=False
        )
    assert done.stdout == "refused\n30\n", done.stderr


def test_the_parent_reads_alone_if_it_cannot_open_a_pipe(tree: Path) -> None:
    files = FileSource([str(tree)])
    entries, _ = files.entries()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(map(int, os.listdir("/proc/self/fd"))) + 1  # noqa: PTH208
    resource.setrlimit(resource.RLIMIT_NOFILE, (used, hard))
    try:
        results = list(read_in_parallel(files, entries, 3))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(results) == 301


def _without_waiting(path: str, flags: int) -> int:
    """Open a FIFO whose writer may never come."""
    return os.open(path, flags | os.O_NONBLOCK)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_worker_remains_after_a_signal_ends_the_command(tmp_path: Path, number: int) -> None:
    """Also for a signal that does not let the command clean up."""
    alive = tmp_path / "alive"
    os.mkfifo(alive)
    # No worker takes a chunk before the parent has one: else they could read them all.
    script = (
        "import os, time\n"
        "from sendroute.manifests.parallel import read_in_parallel\n"
        "from sendroute.manifests.sources import FileSource\n"
        "parent = os.getpid()\n"
        "turns, allow = os.pipe()\n"
        "class Slow(FileSource):\n"
        "    def load(self, entries):\n"
        "        if os.getpid() == parent:\n"
        "            os.write(allow, b'.' * 300)\n"
        "            print('started', flush=True)\n"
        "            time.sleep(60)\n"
        "        os.read(turns, 1)\n"
        "        return super().load(entries)\n"
        f"held = os.open({str(alive)!r}, os.O_WRONLY)\n"
        f"files = Slow([{str(tmp_path)!r}])\n"
        "entries, _ = files.entries()\n"
        "list(read_in_parallel(files, entries, 3))\n"
    )
    for at in range(300):
        (tmp_path / f"d{at:04}.yaml").write_text(DOMAIN.format(number=at))
    # Every process of the command holds the other end; it is closed when the last one has ended.
    with (
        open(alive, "rb", opener=_without_waiting) as last,
        subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline() == b"started\n"
        os.set_blocking(last.fileno(), True)
        process.send_signal(number)
        process.wait(20)
        began = time.monotonic()
        assert last.read() == b""
        assert time.monotonic() - began < 20


def test_no_worker_is_forked_from_a_process_with_threads(tree: Path) -> None:
    files = FileSource([str(tree)])
    entries, _ = files.entries()
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        assert parallel.available_workers() == 1
        results = read_in_parallel(files, entries, 3)
        next(results)
        assert not has_children()
        results.close()  # type: ignore[attr-defined]
    finally:
        done.set()
        thread.join()


def test_a_few_files_are_read_by_one_process(tree: Path) -> None:
    reading = TreeReading(FileSource([str(tree)]), workers=4)
    for _ in reading.contents():
        assert not has_children()


def test_many_files_are_read_by_several_processes(tmp_path: Path) -> None:
    for number in range(MANY):
        text = DOMAIN.format(number=number)
        (tmp_path / f"d{number:04}.yaml").write_text(text + "# " + "x" * 300 + "\n")
    reading = TreeReading(FileSource([str(tmp_path)]), workers=2)
    seen = {has_children() for _ in reading.contents()}
    assert seen == {False, True}
    assert not has_children()
