"""One process after another, timed from outside: wall clock and peak memory as the kernel counts
them."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

# `ru_maxrss` is in kilobytes on Linux, in bytes on macOS (getrusage(2) of each).
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024


class Run(NamedTuple):
    """``seconds`` of wall clock, ``peak`` resident bytes, and what it wrote."""

    seconds: float
    peak: int
    status: int
    output: bytes


class FailedRunError(Exception):
    """A measured command did not end as it must, so its time would mean nothing."""


def run(
    command: Sequence[str],
    *,
    cwd: str | os.PathLike[str] | None = None,
    environment: Mapping[str, str] | None = None,
    expect: int = 0,
    keep: bool = False,
) -> Run:
    """Runs ``command`` to its end; its output is kept only where asked, else thrown away.

    A child's peak includes what its parent held when it was forked (execve(2) keeps the old
    maximum), so whoever calls this must itself stay small.
    """
    with tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**_environment(), **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output if keep else subprocess.DEVNULL,
            stderr=errors,
        )
        _, waited, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = status = os.waitstatus_to_exitcode(waited)
        if status != expect:
            errors.seek(0)
            told = errors.read().decode(errors="replace")[-2000:]
            raise FailedRunError(
                f"{' '.join(map(str, command))} ended with {status}, not {expect}: {told}"
            )
        output.seek(0)
        return Run(seconds, usage.ru_maxrss * _MAXRSS_UNIT, status, output.read())


def _environment() -> dict[str, str]:
    """The caller's, less what would change what is measured: every user has compiled bytecode,
    and no option of ours set from outside."""
    dropped = ("PYTHONDONTWRITEBYTECODE", "PYTHONPROFILEIMPORTTIME", "PYTHONTRACEMALLOC")
    return {
        name: value
        for name, value in os.environ.items()
        if name not in dropped and not name.startswith("SENDROUTE_")
    }


class Samples(NamedTuple):
    """All runs of one contestant."""

    runs: tuple[Run, ...]

    @property
    def seconds(self) -> float:
        return statistics.median(each.seconds for each in self.runs)

    @property
    def peak(self) -> int:
        return max(each.peak for each in self.runs)


def interleaved(
    contestants: Mapping[str, Callable[[], Run]],
    rounds: int,
    *,
    warm_up: bool = True,
    before: Callable[[int], None] | None = None,
) -> dict[str, Samples]:
    """Every contestant once a round, so that a slow minute of the machine is slow for all.

    The warm-up round, which fills file caches and compiles bytecode, does not count. ``before``
    is called with the number of each round, from 0.
    """
    found: dict[str, list[Run]] = {name: [] for name in contestants}
    for number in range(rounds + warm_up):
        if before is not None:
            before(number)
        for name, contestant in contestants.items():
            one = contestant()
            if number >= warm_up:
                found[name].append(one)
    return {name: Samples(tuple(runs)) for name, runs in found.items()}
