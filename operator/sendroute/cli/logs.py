"""Logs go to standard error, as lines for people or as one JSON object a line."""

import json
import logging
import sys
import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import assert_never

from sendroute.cli.session import Session, Verbosity
from sendroute.reports.text import clean

_log = logging.getLogger(__name__)

# What every record has; anything else was given as ``extra`` and is told.
_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def start(session: Session, *, lasting: bool = False) -> None:
    """Send the program's own log lines to standard error; libraries stay silent but for errors,
    which come in the same form.
    ``lasting``: the command has no report at its end, its log is all it says."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if session.log_format == "json" else _TextLines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.ERROR)
    logger = logging.getLogger("sendroute")
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(_level(session, lasting=lasting))
    if lasting and session.log_format == "json":
        logging.captureWarnings(True)
        sys.unraisablehook = _swallowed
        sys.excepthook = _crashed
        threading.excepthook = _thread_crashed
    logging.raiseExceptions = False  # standard error may be closed, and then nobody listens


def _level(session: Session, *, lasting: bool) -> int:
    match session.verbosity:
        case Verbosity.QUIET:
            return logging.ERROR
        case Verbosity.VERBOSE:
            return logging.DEBUG
        case Verbosity.NORMAL:
            # A person reads the report, which says what was committed; a machine reads the log.
            says = lasting or session.log_format == "json"
            return logging.INFO if says else logging.WARNING
        case _:
            assert_never(session.verbosity)


def _crashed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Who reads a log by machine learns there too why it ended."""
    _tell(logging.CRITICAL, kind, error, trace)


def _thread_crashed(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None:
        _crashed(args.exc_type, args.exc_value, args.exc_traceback)


def _swallowed(args: "sys.UnraisableHookArgs") -> None:
    """What no caller can be told, as of an object that is given up."""
    _tell(logging.ERROR, args.exc_type, args.exc_value, args.exc_traceback)


def _tell(
    level: int,
    kind: type[BaseException],
    error: BaseException | None,
    trace: TracebackType | None,
) -> None:
    told = None if error is None else (kind, error, trace)
    _log.log(level, "This is an error in Sendroute: %s.", kind.__name__, exc_info=told)


class _TextLines(logging.Formatter):
    """One line a record, with nothing in it that a terminal acts on: names come from elsewhere."""

    def format(self, record: logging.LogRecord) -> str:
        return clean(record.getMessage())


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC)
        told = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        extra = {name: value for name, value in vars(record).items() if name not in _USUAL}
        return json.dumps(told | extra, default=str)
