"""Goal 11, on a real API server: how an operator brings domains from nothing to their statuses,
with the API calls that it takes, and that it writes nothing afterwards."""

import re
import subprocess
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator

from lab import CHILDREN, PROGRAM, PYTHON, Lab
from measuring import FailedRunError, run
from table import Row, seconds
from tests.control_plane.control_plane import PrivateControlPlane
from tests.control_plane.programs import why_not
from tests.private_server import free_port

_DEADLINE = 900.0
_QUIET = 15.0
_CALLS = re.compile(
    r'^sendroute_api_request_duration_seconds_count\{status="\d+",verb="(\w+)"\} (\S+)$', re.M
)


def measure(lab: Lab) -> Iterator[Row]:
    domains = lab.size(10_000)
    case = f"{domains:,} domains on a real API server"
    if (reason := why_not()) is not None:
        yield Row("11", case, "-", note=reason)
        return
    with PrivateControlPlane(lab.room / "control-plane") as control_plane:
        control_plane.install_crds()
        fill = (PYTHON, str(CHILDREN / "cluster_fill.py"), control_plane.kubeconfig, str(domains))
        run([*map(str, fill)])
        yield from _converges(lab, control_plane, domains, case)


def _converges(
    lab: Lab, control_plane: PrivateControlPlane, domains: int, case: str
) -> Iterator[Row]:
    port = free_port()
    store = lab.store("converging")
    options = ("--kubeconfig", str(control_plane.kubeconfig), "--namespace", "default")
    words = ("--store", store.url, "operator", *options, "--listen", f"127.0.0.1:{port}")
    began = time.perf_counter()
    with (lab.room / "log").open("wb") as log:
        process = subprocess.Popen(
            [*PROGRAM, *words, "--interval", "5s"], stdout=log, stderr=log, cwd=store.home
        )
    try:
        _wait(lambda: f"sendroute_domains {float(domains)}" in _page(port))
        committed = time.perf_counter() - began
        yield Row("11", f"{case}: all in the store (no goal)", seconds(committed))
        _wait(lambda: _calls(port)["PATCH"] > domains)
        calls = _settled(port)
        yield Row("11", f"{case}: all statuses written (no goal)", seconds(_last_change(began)))
        for verb, count in sorted(calls.items()):
            yield Row("11", f"{case}: {verb} calls (no goal)", f"{count:,}")
        writes = (calls["PATCH"] + calls["POST"]) / domains
        yield Row("11", f"{case}: writes / domain", f"{writes:.3f}", value=writes, limit=1.02)
        time.sleep(_QUIET)
        more = _calls(port)["PATCH"] - calls["PATCH"]
        quiet = f"{case}: status writes in {_QUIET:.0f} s of rounds without a change"
        yield Row("11", quiet, f"{more}", value=float(more), limit=0.0, unit="")
    finally:
        process.terminate()
        process.wait(60)


def _last_change(began: float) -> float:
    return time.perf_counter() - began - 5.0  # `_settled` has waited so long


def _settled(port: int) -> Counter[str]:
    """The calls by verb, when nothing was written for five seconds."""
    calls, since = _calls(port), time.monotonic()
    while time.monotonic() - since < 5:
        time.sleep(0.25)
        now = _calls(port)
        if now["PATCH"] != calls["PATCH"]:
            since = time.monotonic()
        calls = now
    return calls


def _calls(port: int) -> Counter[str]:
    calls: Counter[str] = Counter()
    for verb, count in _CALLS.findall(_page(port)):
        calls[verb] += int(float(count))
    return calls


def _page(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def _wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _DEADLINE
    while not until():
        if time.monotonic() > deadline:
            raise FailedRunError(f"the operator did not get there in {_DEADLINE:.0f} s")
        time.sleep(0.25)
