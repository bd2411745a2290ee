"""A stop while a library is interrupted between two of its steps."""

import signal
import threading

import pytest

from sendroute.runtime.stop import Stop


def interrupted_in_a_library(stop: Stop) -> None:
    try:
        stop.interrupt(signal.SIGINT)
    except KeyboardInterrupt:
        raise AssertionError("a check of the library") from None


def test_a_library_that_fails_because_it_was_interrupted_is_an_interrupt() -> None:
    stop = Stop()
    with pytest.raises(KeyboardInterrupt), stop.interruptible():
        interrupted_in_a_library(stop)


def test_work_of_another_thread_is_not_interrupted_and_none_is_begun() -> None:
    stop = Stop()
    done = []

    def work() -> None:
        setter = threading.Thread(target=stop.set)
        setter.start()
        setter.join()
        done.append(True)

    with pytest.raises(KeyboardInterrupt), stop.interruptible():
        work()
    assert done
    with pytest.raises(KeyboardInterrupt), stop.interruptible():
        pytest.fail("no work is begun after a stop")


def test_other_failures_are_raised() -> None:
    with pytest.raises(AssertionError), Stop().interruptible():
        raise AssertionError
