"""The options of every command, and the streams that it writes to."""

import os
import sys
from contextlib import suppress
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple, TextIO, assert_never

from sendroute.cli.command_line import INPUT_FILE, STORE_URL, Parser, PathType, one_of
from sendroute.model.numerals import decimal
from sendroute.reports.text import PLAIN, WIDTH, Console
from sendroute.runtime.settings import DEFAULT_STORE, Settings

if TYPE_CHECKING:
    from sendroute.runtime.factory import Factory

COMMITS = "sendroute.reconcile.commit"
"""The log of what became of each account."""
_NARROWEST, _WIDEST = 10, 10_000
"""A narrower terminal shows no whole word of a plan."""


class Verbosity(IntEnum):
    QUIET = 0
    NORMAL = 1
    VERBOSE = 2


class Terminal(NamedTuple):
    """How much a command reports, and whether it may use colour."""

    verbosity: Verbosity = Verbosity.NORMAL
    no_color: bool = False

    @property
    def quiet(self) -> bool:
        return self.verbosity is Verbosity.QUIET

    @property
    def verbose(self) -> bool:
        return self.verbosity is Verbosity.VERBOSE

    def colours(self, stream: TextIO | None) -> bool:
        """Whether to use colour on a stream: only on a terminal that supports it, and only if
        the user did not turn it off (no-color.org)."""
        if self.no_color or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
            return False
        return is_terminal(stream)

    def console(self, stream: TextIO | None) -> Console:
        """How to write text to a stream: as wide as a terminal, and otherwise as its content."""
        if stream is None or not is_terminal(stream):
            return PLAIN
        columns = decimal(os.environ.get("COLUMNS", ""), _WIDEST) or 0
        with suppress(OSError):
            columns = columns or os.get_terminal_size(stream.fileno()).columns
        return Console(self.colours(stream), max(columns or WIDTH, _NARROWEST))


class Session(NamedTuple):
    """One invocation: its settings, and its terminal."""

    settings: Settings
    terminal: Terminal

    @property
    def factory(self) -> "Factory":
        """What builds the store and the other adapters."""
        from sendroute.runtime.factory import Factory

        return Factory(self.settings)


def is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and not stream.closed and stream.isatty()


def global_options(parser: Parser, *, again: bool = False) -> None:
    """Add the options of every command. ``again``: to the parser of a command, because users also
    type them last."""
    parser.value(
        "--store",
        again=again,
        metavar="URL",
        type=STORE_URL,
        default=DEFAULT_STORE,
        help="URL of the store, sqlite:///FILE or postgresql://USER@HOST/DATABASE"
        f" (default {DEFAULT_STORE})",
    )
    parser.value(
        "--secrets",
        again=again,
        metavar="DIR",
        type=PathType("is a standard stream: give a directory", may_be_empty=True),
        help="directory of secrets: DIR/NAMESPACE/NAME/KEY; empty: none",
    )
    parser.value(
        "--key-file",
        again=again,
        metavar="FILE",
        type=INPUT_FILE,
        help="encryption keys of the store's credentials: the first encrypts, all decrypt",
    )
    parser.switch("-q", "--quiet", again=again, help="report problems only")
    parser.switch("-v", "--verbose", again=again, help="report more details")
    parser.value(
        "--log-format",
        again=again,
        metavar="FORMAT",
        type=one_of("text", "json"),
        default="text",
        help="format of log lines, text or json (default text)",
    )
    parser.switch("--no-color", again=again, help="no colours; NO_COLOR has the same effect")


def prepare_streams() -> None:
    """Prepare the standard streams, so that no write fails because of a character that the
    terminal's encoding lacks (LANG=C), or because a stream was closed before the start."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def start_logs(session: Session, *, lasting: bool = False) -> None:
    """Start logging as the user chose; ``lasting`` as in :func:`sendroute.runtime.logs.start`."""
    import logging

    from sendroute.runtime import logs

    log_format = session.settings.log_format
    logs.start(log_format, _level(session, lasting), lasting=lasting)
    # The report says it, with the hint.
    is_reported = log_format == "text" and not lasting and not session.terminal.verbose
    logging.getLogger(COMMITS).setLevel("CRITICAL" if is_reported else "NOTSET")


def _level(session: Session, lasting: bool) -> str:
    match session.terminal.verbosity:
        case Verbosity.QUIET:
            return "WARNING"  # a warning is a problem too
        case Verbosity.VERBOSE:
            return "DEBUG"
        case Verbosity.NORMAL:
            # A person reads the report, which lists the commits; a program reads the log.
            is_read = lasting or session.settings.log_format == "json"
            return "INFO" if is_read else "WARNING"
        case _:
            assert_never(session.terminal.verbosity)
