"""Many tests at once, with a limit in total and a lower one for each host."""

import asyncio
import logging
import math
import ssl
import time
from asyncio import Semaphore, TaskGroup
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from functools import cache

from sendroute.connection.addresses import networks
from sendroute.connection.certificate import trusted_context
from sendroute.connection.own_name import own_name
from sendroute.connection.probe import Environment, probe
from sendroute.connection.resolve import Resolver
from sendroute.model.connection import ConnectionOutcome, ConnectionPolicy, TestRequest, TestResult
from sendroute.model.smtp_client import ehlo_name

OnResult = Callable[[TestResult], None]

_log = logging.getLogger(__name__)


def run_tests(
    requests: Iterable[TestRequest],
    *,
    policy: ConnectionPolicy,
    resolver: Resolver | None = None,
    max_concurrent: int = 8,
    per_host: int = 2,
    start_within: float = math.inf,
    progress: OnResult | None = None,
) -> list[TestResult]:
    """Test every profile, those of the namespaces in turn. It runs its own event loop, so it cannot
    be called from within another.

    Args:
        requests: the profiles and their credentials.
        policy: the platform's allowed networks and authorities, the seconds of each test from its
            own start, and the name for EHLO.
        resolver: None for the system's.
        max_concurrent: tests at one time.
        per_host: tests of one host at one time.
        start_within: a test that has not started after so many seconds is not tried; its result is
            ``connect-failed``.
        progress: called with each result when it is known, in the caller's thread.

    Returns:
        The results in the order of the requests.

    Raises:
        ValueError: ``policy.allow_networks`` holds an invalid network.
        KeyboardInterrupt: the user stopped it; every connection is closed.
    """
    slots = Semaphore(max_concurrent)
    hosts: dict[str, Semaphore] = defaultdict(lambda: Semaphore(per_host))
    requests = list(requests)
    environment = _environment(policy, resolver, named=bool(requests))
    until = time.monotonic() + start_within

    async def test(request: TestRequest) -> TestResult:
        host = request.profile.host.removesuffix(".").lower()
        async with hosts[host], slots:  # the host first: waiting for it holds no slot
            if time.monotonic() < until:
                result = await _tested(request, environment, policy.timeout)
            else:
                result = _not_tried(request, start_within)
        if progress is not None:
            progress(result)
        return result

    async def test_all() -> list[TestResult]:
        async with TaskGroup() as group:  # tasks start in the order in which they are created
            tasks = {n: group.create_task(test(requests[n])) for n in _in_turn(requests)}
        return [tasks[n].result() for n in range(len(requests))]

    try:
        return asyncio.run(test_all())
    except KeyboardInterrupt:
        pass
    # A new exception: the context of the first leads to frames that hold credentials.
    raise KeyboardInterrupt


def _in_turn(requests: Iterable[TestRequest]) -> list[int]:
    """The numbers of the requests, one of each namespace at a time: the slow tests of one tenant,
    however many there are, do not keep another tenant's from starting."""
    counts: Counter[str] = Counter()
    turns = []
    for number, request in enumerate(requests):
        turns.append((counts[request.account.namespace], number))
        counts[request.account.namespace] += 1
    return [number for _, number in sorted(turns)]


async def _tested(request: TestRequest, environment: Environment, timeout: float) -> TestResult:
    """Run one test. Whatever a server makes it do, the tests of all others continue."""
    started = time.monotonic()
    try:
        return await probe(request, environment, timeout)
    except Exception as error:  # noqa: BLE001 - a fault of ours must not be a fault for all
        _log.debug("A connection test failed.", exc_info=True)
        detail = (
            f"The test ended with {type(error).__name__}, a bug in Sendroute: please report it."
        )
        name, took = request.name, time.monotonic() - started
        outcome = ConnectionOutcome.PROTOCOL_ERROR
        return TestResult(request.account.namespace, name, outcome, detail, took)


def _not_tried(request: TestRequest, start_within: float) -> TestResult:
    detail = f"The test was not tried: the earlier tests took {start_within:.0f} seconds."
    return TestResult(
        request.account.namespace, request.name, ConnectionOutcome.CONNECT_FAILED, detail, 0.0
    )


def _environment(
    policy: ConnectionPolicy, resolver: Resolver | None, *, named: bool
) -> Environment:
    @cache
    def trusted() -> ssl.SSLContext:  # read once, and only if some test has TLS
        return trusted_context(policy.ca_file, lacks_manifest=policy.lacks_manifest)

    host_name = own_name() if named and policy.helo_name is None else None
    name = ehlo_name(policy.helo_name, host_name, policy.managed_host)
    return Environment(resolver or Resolver(), networks(policy.allow_networks), trusted, name)
