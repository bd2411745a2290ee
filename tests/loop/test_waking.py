"""The thread that waits for the store, ended at a moment that a signal chose."""

from contextlib import suppress
from threading import Thread

import pytest

from sendroute.loop.wakeup import StoreHandle
from sendroute.store.record import open_store

from .conftest import Place


@pytest.mark.parametrize("began", [False, True], ids=["before its start", "amid its start"])
def test_a_stop_as_the_thread_begins(
    place: Place, monkeypatch: pytest.MonkeyPatch, *, began: bool
) -> None:
    access = StoreHandle(lambda: open_store(f"sqlite:///{place.folder}/sendroute.db"), lambda: None)
    start = Thread.start

    def interrupted(thread: Thread) -> None:
        if began:
            start(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(Thread, "start", interrupted)
    with suppress(KeyboardInterrupt):
        access.store()
    access.close()
