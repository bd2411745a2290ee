"""Tests many profiles at once, politely: a few at a time, fewer still to one host."""

import asyncio
import math
import ssl
import time
from asyncio import Semaphore, TaskGroup
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import cache

from sendroute.connection.addresses import networks
from sendroute.connection.certificate import trusting
from sendroute.connection.probe import Request, Surroundings, probe
from sendroute.connection.resolve import Resolver
from sendroute.model.connection import ConnectionOutcome, ConnectionPolicy, TestResult

Progress = Callable[[TestResult], None]


def run_tests(
    requests: Iterable[Request],
    *,
    policy: ConnectionPolicy,
    resolver: Resolver | None = None,
    deadline: float = 15.0,
    at_once: int = 8,
    per_host: int = 2,
    patience: float = math.inf,
    progress: Progress | None = None,
) -> list[TestResult]:
    """Tests every profile; the results stand in the order of the requests.

    ``deadline`` is in seconds, for each test from its own start; one that has not begun after
    ``patience`` seconds is not tried, which is its result (``connect-failed``). ``progress``
    is called with each result as it comes, in the caller's thread. ``resolver`` is the system's
    where it is None.
    Raises ValueError for an ``allow_networks`` that holds no network, and KeyboardInterrupt, with
    every connection closed, where a person ends it. It runs an event loop of its own, so
    that it cannot be called from within another's.
    """
    slots = Semaphore(at_once)
    hosts: dict[str, Semaphore] = defaultdict(lambda: Semaphore(per_host))
    around = _surroundings(policy, resolver)
    until = time.monotonic() + patience

    async def one(request: Request) -> TestResult:
        host = request.profile.host.removesuffix(".").lower()
        async with hosts[host], slots:  # the host first: who waits for it holds no slot
            if time.monotonic() < until:
                result = await probe(request, around, deadline)
            else:
                result = _not_tried(request, patience)
        if progress is not None:
            progress(result)
        return result

    async def all_of_them() -> list[TestResult]:
        async with TaskGroup() as group:
            tasks = [group.create_task(one(request)) for request in requests]
        return [task.result() for task in tasks]

    try:
        return asyncio.run(all_of_them())
    except KeyboardInterrupt:
        pass
    # Raised anew: the first one's context leads to frames that hold credentials.
    raise KeyboardInterrupt


def _not_tried(request: Request, patience: float) -> TestResult:
    detail = f"It was not tried: the tests before it took {patience:.0f} seconds."
    return TestResult(
        request.namespace, request.name, ConnectionOutcome.CONNECT_FAILED, detail, 0.0
    )


def _surroundings(policy: ConnectionPolicy, resolver: Resolver | None) -> Surroundings:
    @cache
    def trusted() -> ssl.SSLContext:  # read once, and only if some test has TLS
        return trusting(policy.ca_file)

    return Surroundings(resolver or Resolver(), networks(policy.allow_networks), trusted)
