"""A progress bar on standard error, shown if an operation takes longer than a second.

rich draws it, and is imported only after this second, because most commands end earlier. A timer
draws it, so that it is there while the first step is waited for, such as a server's answer.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock, Timer
from typing import TYPE_CHECKING, TextIO

from sendroute.reports.text import clean

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

DELAY = 1.0
"""Seconds before anything is shown."""


class Progress:
    """Counts finished steps, and draws after the delay. The timer's thread draws first; the lock
    keeps it and the caller's thread apart."""

    def __init__(self, label: str, stream: TextIO, delay: float = DELAY) -> None:
        """
        Args:
            label: what is counted.
            stream: the terminal on which to draw.
            delay: the seconds from the beginning until anything is shown.
        """
        self._label = clean(label)
        self._total: int | None = None
        self._is_counted = True
        self._stream = stream
        self._done = 0
        self._bar: Bar | None = None
        self._is_closed = False
        self._lock = Lock()
        self._timer = Timer(delay, self._draw)
        self._timer.daemon = True

    def begin(self, total: int | None, *, counted: bool = True) -> None:
        """Begin to wait for the delay, in a thread.

        Args:
            total: the number of steps; None if it is unknown.
            counted: whether steps are counted at all. Otherwise only the time is shown.
        """
        self._total = total
        self._is_counted = counted
        self._timer.start()

    def advance(self, steps: int = 1) -> None:
        """Add steps that are done."""
        with self._lock:
            self._done += steps
            if self._bar is not None:
                self._bar.update(self._bar.task_ids[0], completed=self._done)

    def close(self) -> None:
        """Remove the bar: the result is in the report."""
        self._timer.cancel()
        with self._lock:
            self._is_closed = True
            if self._bar is not None:
                self._bar.stop()

    def _draw(self) -> None:
        with self._lock:
            if not self._is_closed:
                self._bar = self._create_bar()

    def _create_bar(self) -> "Bar":
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        count = (MofNCompleteColumn(),) if self._is_counted else ()
        columns = (TextColumn(escape(self._label)), BarColumn(), *count, TimeElapsedColumn())
        bar = Bar(*columns, console=Console(file=self._stream), transient=True)
        bar.add_task(self._label, total=self._total, completed=self._done)
        bar.start()
        return bar


@contextmanager
def prepared_progress(
    label: str, stream: TextIO, *, quiet: bool = False, delay: float = DELAY
) -> Iterator[Progress | None]:
    """A context with a progress bar that is not begun yet. Its end removes the bar.

    Args:
        label: what is counted.
        stream: where to draw.
        quiet: draw nothing.
        delay: the seconds from the beginning until anything is shown.

    Yields:
        The bar; None if nothing is to be drawn, because the stream is no terminal.
    """
    if quiet or not stream.isatty():
        yield None
        return
    shown = Progress(label, stream, delay)
    try:
        yield shown
    finally:
        shown.close()


@contextmanager
def waiting(
    label: str, stream: TextIO, *, quiet: bool = False, delay: float = DELAY
) -> Iterator[None]:
    """A context for one long step: it shows a moving bar and the time that has passed.

    Args:
        label: what is done.
        stream: where to draw.
        quiet: draw nothing.
        delay: the seconds before anything is shown.
    """
    with prepared_progress(label, stream, quiet=quiet, delay=delay) as shown:
        if shown is not None:
            shown.begin(None, counted=False)
        yield


@contextmanager
def progress(
    label: str,
    total: int | None,
    stream: TextIO,
    *,
    quiet: bool = False,
    delay: float = DELAY,
) -> Iterator[Callable[[int], None]]:
    """As :func:`prepared_progress`, but the bar begins at once.

    Args:
        label: what is counted.
        total: the number of steps; None if it is unknown.
        stream: where to draw.
        quiet: draw nothing.
        delay: the seconds before anything is shown.

    Yields:
        The function to call with each number of completed steps.
    """
    with prepared_progress(label, stream, quiet=quiet, delay=delay) as shown:
        if shown is None:
            yield lambda _steps: None
        else:
            shown.begin(total)
            yield shown.advance
