"""Goals 6 and 9: how fast a relay serves a change of one domain, and its lookups meanwhile."""

import random
import sqlite3
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread

import hash_map
from databases import Database, databases
from lab import CHILDREN, PROGRAM, PYTHON, Lab
from measuring import run
from table import Row, megabytes, seconds

from sendroute.model.change import AccountPlan, Action, DomainChange, PlatformChange
from sendroute.model.current import DomainState
from sendroute.model.desired import AccountKey
from sendroute.model.platform import Platform
from sendroute.model.provenance import Provenance
from sendroute.model.route import UNCONFIGURED, Origin, via
from sendroute.store.record import Store, open_store

SECONDS, RATIO = 0.5, 4.0
_DEADLINE = 600.0
_ACCOUNT = AccountKey("team-00000", "team-00000")


def measure(lab: Lab) -> Iterator[Row]:
    domains = lab.size(1_000_000)
    with databases(lab) as both:
        for database in both:
            yield from _measured(lab, database, domains)


def _measured(lab: Lab, database: Database, domains: int) -> Iterator[Row]:
    url = database.new()
    run([PYTHON, str(CHILDREN / "million.py"), "fill", url, str(domains)], keep=True)
    directory = lab.room / f"relay-{database.name}"
    began = time.perf_counter()
    with _agent(url, directory) as process, open_store(url) as store:
        _wait_until_served(store, store.head().revision)
        whole = time.perf_counter() - began
        name = f"{database.name}: {domains:,} domains"
        yield Row("9", f"{name}: start, and everything read (no goal)", seconds(whole))
        size = sum(file.stat().st_size for file in directory.iterdir())
        yield Row("9", f"{name}: size of the tables (no goal)", megabytes(size))
        took = statistics.median(_one_domain(store, number) for number in range(lab.rounds(15)))
        case = f"{name}: commit of one domain → the relay serves it"
        yield Row("9", case, seconds(took), value=took, limit=SECONDS, unit="s")
        yield Row("9", f"{name}: memory of the agent (no goal)", megabytes(_peak(process.pid)))
        yield from _beside_a_hash_map(lab.room / f"hash-{database.name}", directory, name, took)
        yield from _lookups(store, directory, name)
    database.drop(url)


def _beside_a_hash_map(room: Path, directory: Path, name: str, took: float) -> Iterator[Row]:
    """A plain hash map is built as a whole for every change."""
    case = f"{name}: change of one domain / postmap of a hash map of all routes (no goal)"
    built = hash_map.build(directory / "tables.sqlite", room)
    if built is None:
        yield Row("9", case, seconds(took), note="Postfix is missing")
        return
    yield Row("9", case, seconds(took), seconds(built.seconds), took / built.seconds)
    yield Row("9", f"{name}: size of that hash map (no goal)", "-", megabytes(built.size))


@contextmanager
def _agent(url: str, directory: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The agent, without a Postfix to reload."""
    options = [
        "--store",
        url,
        "relay",
        "--dir",
        str(directory),
        "--no-reload",
        "--listen",
        "",
        "-q",
    ]
    process = subprocess.Popen([*PROGRAM, *options], stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _wait_until_served(store: Store, revision: int) -> None:
    until = time.monotonic() + _DEADLINE
    while not any(relay.revision >= revision for relay in store.relays()):
        if time.monotonic() > until:
            raise SystemExit(f"revision {revision} is not served")
        time.sleep(0.005)


def _one_domain(store: Store, number: int) -> float:
    """Seconds from the commit of a change of one domain until the store knows that it is served."""
    states = [DomainState(route, Origin.DECLARED, route) for route in (via("ses"), UNCONFIGURED)]
    before, after = states[number % 2], states[1 - number % 2]
    current = store.read((_ACCOUNT,)).accounts[_ACCOUNT]
    change = DomainChange(
        _ACCOUNT, "shop-0000000.example.com", Action.REROUTE, before, after, "declared", "Bench."
    )
    provenance = Provenance(datetime.now(UTC), "bench", None)
    revision = store.commit([AccountPlan(_ACCOUNT, current.revision, (change,))], None, provenance)
    began = time.perf_counter()
    _wait_until_served(store, revision)
    return time.perf_counter() - began


def _lookups(store: Store, directory: Path, name: str) -> Iterator[Row]:
    """Lookups as Postfix makes them, idle and while a quarter of all domains get another route."""
    domains, switches = store.status().domains, list[float]()
    idle = _timed(directory, domains, lambda: time.sleep(3))

    def switch() -> None:
        before = store.read(()).platform
        assert before is not None
        after = Platform(before.managed, before.plans, allow_networks=("192.0.2.0/24",))
        change = PlatformChange(Action.UPDATE, before, after, "declared", "Bench.")
        revision = store.commit([], change, Provenance(datetime.now(UTC), "bench"))
        began = time.perf_counter()
        _wait_until_served(store, revision)
        switches.append(time.perf_counter() - began)

    busy = _timed(directory, domains, switch)
    case = f"{name}: p99 of {len(busy):,} lookups while every managed domain is switched / idle"
    slow, fast = (statistics.quantiles(times, n=100)[98] for times in (busy, idle))
    whole = f"{name}: commit that switches every managed domain → the relay serves it (no goal)"
    yield Row("9", whole, seconds(switches[0]))
    yield Row("6", case, f"{slow * 1e6:.0f} µs", f"{fast * 1e6:.0f} µs", slow / fast, RATIO)


def _timed(directory: Path, domains: int, work: Callable[[], None]) -> list[float]:
    """The seconds of each lookup while ``work`` runs. An error of a lookup ends the benchmark."""
    done = Event()
    times: list[float] = []
    errors: list[Exception] = []

    def look_up() -> None:
        uri = f"file:{directory}/tables.sqlite?mode=ro"
        rng = random.Random(1)
        try:
            with sqlite3.connect(uri, uri=True, timeout=0) as reader:
                while not done.is_set():
                    key = f"shop-{rng.randrange(domains):07d}.example.com"
                    began = time.perf_counter()
                    rows = reader.execute(
                        "SELECT value FROM access WHERE key = ?", (key,)
                    ).fetchall()
                    times.append(time.perf_counter() - began)
                    if len(rows) != 1:
                        raise ValueError(f"{key} has {len(rows)} rows")
                    time.sleep(0.0005)
        except Exception as error:  # noqa: BLE001 - every error is a failed lookup
            errors.append(error)

    thread = Thread(target=look_up)
    thread.start()
    try:
        work()
    finally:
        done.set()
        thread.join()
    if errors:
        raise SystemExit(f"a lookup failed: {errors[0]!r}")
    return times


def _peak(pid: int) -> int:
    """The peak of memory of a running process, in bytes (proc(5))."""
    text = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in text.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024
