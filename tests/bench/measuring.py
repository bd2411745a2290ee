"""Measures processes from outside: wall clock and the peak memory that the kernel reports."""

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
    """``seconds`` of wall clock, ``peak`` resident bytes, and the output."""

    seconds: float
    peak: int
    status: int
    output: bytes


class FailedRunError(Exception):
    """A measured command ended with another status than expected, so its time means nothing."""


def run(
    command: Sequence[str],
    *,
    cwd: str | os.PathLike[str] | None = None,
    environment: Mapping[str, str] | None = None,
    expect: int = 0,
    keep: bool = False,
) -> Run:
    """Run ``command`` to its end. Its output is discarded unless ``keep`` is true.

    The peak of a child includes the memory of its parent at the fork (execve(2) keeps the old
    maximum), so the caller must use little memory.
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
            message = errors.read().decode(errors="replace")[-2000:]
            raise FailedRunError(
                f"{' '.join(map(str, command))} ended with {status}, not {expect}: {message}"
            )
        output.seek(0)
        return Run(seconds, usage.ru_maxrss * _MAXRSS_UNIT, status, output.read())


def _environment() -> dict[str, str]:
    """The caller's environment without what would change the measurement.

    A user has compiled bytecode, and no option of Sendroute is set.
    """
    dropped = ("PYTHONDONTWRITEBYTECODE", "PYTHONPROFILEIMPORTTIME", "PYTHONTRACEMALLOC")
    return {
        name: value
        for name, value in os.environ.items()
        if name not in dropped and not name.startswith("SENDROUTE_")
    }


class Samples(NamedTuple):
    """All runs of a contestant."""

    runs: tuple[Run, ...]

    @property
    def seconds(self) -> float:
        return statistics.median(run.seconds for run in self.runs)

    @property
    def peak(self) -> int:
        return max(run.peak for run in self.runs)


def interleaved(
    contestants: Mapping[str, Callable[[], Run]],
    rounds: int,
    *,
    warm_up: bool = True,
    before: Callable[[int], None] | None = None,
) -> dict[str, Samples]:
    """Run every contestant once per round, so that a slow minute of the machine is slow for all.

    The warm-up round, which fills file caches and compiles bytecode, does not count. ``before``
    is called with the number of each round, from 0.
    """
    results: dict[str, list[Run]] = {name: [] for name in contestants}
    for number in range(rounds + warm_up):
        if before is not None:
            before(number)
        for name, contestant in contestants.items():
            result = contestant()
            if number >= warm_up:
                results[name].append(result)
    return {name: Samples(tuple(runs)) for name, runs in results.items()}
