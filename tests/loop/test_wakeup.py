"""A signal interrupts the start of the thread that waits for commits to the store."""

import random
from contextlib import suppress
from threading import Thread

import pytest

from sendroute.runtime.wakeup import StoreHandle
from sendroute.store.record import open_store

from .conftest import Workspace


@pytest.mark.parametrize("after_start", [False, True], ids=["before the start", "after the start"])
def test_the_store_can_be_closed_after_an_interrupted_start_of_the_watcher(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, *, after_start: bool
) -> None:
    url = f"sqlite:///{workspace.directory}/sendroute.db"
    handle = StoreHandle(lambda: open_store(url), lambda: None, random.random)
    start = Thread.start

    def interrupted(thread: Thread) -> None:
        if after_start:
            start(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(Thread, "start", interrupted)
    with suppress(KeyboardInterrupt):
        handle.get()
    handle.close()
