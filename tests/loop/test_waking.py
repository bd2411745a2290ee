"""A signal interrupts the start of the thread that waits for commits to the store."""

import random
from contextlib import suppress
from threading import Thread

import pytest

from sendroute.loop.wakeup import StoreHandle
from sendroute.store.record import open_store

from .conftest import Place


@pytest.mark.parametrize("started", [False, True], ids=["before the start", "after the start"])
def test_close_after_an_interrupted_start_of_the_watcher(
    place: Place, monkeypatch: pytest.MonkeyPatch, *, started: bool
) -> None:
    url = f"sqlite:///{place.folder}/sendroute.db"
    handle = StoreHandle(lambda: open_store(url), lambda: None, random.random)
    start = Thread.start

    def interrupted(thread: Thread) -> None:
        if started:
            start(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(Thread, "start", interrupted)
    with suppress(KeyboardInterrupt):
        handle.get()
    handle.close()
