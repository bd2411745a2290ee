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
    """Counts finished steps, and draws after DELAY. The timer's thread draws first; the lock
    keeps it and the caller's thread apart."""

    def __init__(self, label: str, total: int | None, stream: TextIO, delay: float) -> None:
        self._label = clean(label)
        self._total = total
        self._stream = stream
        self._done = 0
        self._bar: Bar | None = None
        self._is_closed = False
        self._lock = Lock()
        self._timer = Timer(delay, self._draw)
        self._timer.daemon = True
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

        columns = (
            TextColumn(escape(self._label)),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        bar = Bar(*columns, console=Console(file=self._stream), transient=True)
        bar.add_task(self._label, total=self._total, completed=self._done)
        bar.start()
        return bar


@contextmanager
def progress(
    label: str,
    total: int | None,
    stream: TextIO,
    *,
    quiet: bool = False,
    delay: float = DELAY,
) -> Iterator[Callable[[int], None]]:
    """A context with a progress bar, which is removed at its end.

    Args:
        label: what is counted.
        total: the number of steps; None if it is unknown.
        stream: where to draw; nothing is drawn if it is no terminal.
        quiet: draw nothing.
        delay: the seconds before anything is shown.

    Yields:
        The function to call with each number of completed steps.
    """
    if quiet or not stream.isatty():
        yield lambda _steps: None
        return
    shown = Progress(label, total, stream, delay)
    try:
        yield shown.advance
    finally:
        shown.close()
