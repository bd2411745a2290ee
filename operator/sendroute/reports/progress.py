"""A progress bar on standard error, shown if a step takes longer than two seconds.

rich draws it, and is imported only after these two seconds, because most commands end earlier.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from sendroute.reports.text import clean

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

PATIENCE = 2.0
"""Seconds before anything is shown."""


class Progress:
    """Counts finished steps, and draws after PATIENCE. For one thread only."""

    def __init__(
        self, label: str, total: int | None, stream: TextIO, clock: Callable[[], float]
    ) -> None:
        self._label = clean(label)
        self._total = total
        self._stream = stream
        self._clock = clock
        self._begun = clock()
        self._done = 0
        self._bar: Bar | None = None

    def advance(self, steps: int = 1) -> None:
        """Add steps that are done. The bar appears only after some seconds."""
        self._done += steps
        if self._bar is None:
            if self._clock() - self._begun < PATIENCE:
                return
            self._bar = self._create_bar()
        self._bar.update(self._bar.task_ids[0], completed=self._done)

    def close(self) -> None:
        """Remove the bar: the result is in the report."""
        if self._bar is not None:
            self._bar.stop()

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
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Callable[[int], None]]:
    """A context with a progress bar, which is removed at its end.

    Args:
        label: what is counted.
        total: the number of steps; None if it is unknown.
        stream: where to draw; nothing is drawn if it is no terminal.
        quiet: draw nothing.
        clock: the time in seconds.

    Yields:
        The function to call with each number of completed steps.
    """
    if quiet or not stream.isatty():
        yield lambda _steps: None
        return
    shown = Progress(label, total, stream, clock)
    try:
        yield shown.advance
    finally:
        shown.close()
