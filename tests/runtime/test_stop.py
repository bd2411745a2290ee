"""A stop while a library is interrupted between two of its steps."""

import signal

import pytest

from sendroute.runtime.stop import Stop


def interrupted_in_a_library(stop: Stop) -> None:
    try:
        stop.set(signal.SIGINT)
    except KeyboardInterrupt:
        raise AssertionError("a check of the library") from None


def test_a_library_that_fails_because_it_was_interrupted_is_an_interrupt() -> None:
    stop = Stop()
    with pytest.raises(KeyboardInterrupt), stop.interruptible():
        interrupted_in_a_library(stop)


def test_other_failures_are_raised() -> None:
    with pytest.raises(AssertionError), Stop().interruptible():
        raise AssertionError
