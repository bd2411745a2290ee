"""Logs go to standard error: as text lines, or as one JSON object per line."""

import json
import logging
import sys
import threading
from datetime import UTC, datetime
from types import TracebackType

from sendroute.model.userinfo import without_arguments, without_userinfo
from sendroute.reports.as_json import inert
from sendroute.reports.text import clean, no_command

_log = logging.getLogger(__name__)

# The attributes of every record; anything else was given as ``extra`` and is logged.
_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def start(log_format: str, level: str, *, lasting: bool = False) -> None:
    """Send log lines to standard error. Libraries log errors only, in the same form.

    Args:
        log_format: ``text`` or ``json``.
        level: the name of the least severe level to log, as in :mod:`logging`.
        lasting: the process runs until it is stopped, and reports only by its log. With ``json``,
            warnings and crashes are then log lines too.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if log_format == "json" else _TextLines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.ERROR)
    logger = logging.getLogger("sendroute")
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(level)
    if lasting and log_format == "json":
        logging.captureWarnings(True)
        sys.unraisablehook = _swallowed
        sys.excepthook = _crashed
        threading.excepthook = _thread_crashed
    logging.raiseExceptions = False  # standard error may be closed


def _crashed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Log a crash, so that a program that reads the log gets its reason."""
    _log_error(logging.CRITICAL, kind, error, trace)


def _thread_crashed(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None:
        _crashed(args.exc_type, args.exc_value, args.exc_traceback)


def _swallowed(args: "sys.UnraisableHookArgs") -> None:
    """An error that no caller can receive, for example in a finalizer."""
    _log_error(logging.ERROR, args.exc_type, args.exc_value, args.exc_traceback)


def _log_error(
    level: int,
    kind: type[BaseException],
    error: BaseException | None,
    trace: TracebackType | None,
) -> None:
    info = None if error is None else (kind, error, trace)
    _log.log(level, "This is an error in Sendroute: %s.", kind.__name__, exc_info=info)


class _TextLines(logging.Formatter):
    """One line per record, without control sequences and commands of a build log: names come from
    outside."""

    def format(self, record: logging.LogRecord) -> str:
        return no_command(clean(without_userinfo(record.getMessage())))


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC)
        line = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": without_userinfo(record.getMessage()),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        extra = {name: value for name, value in vars(record).items() if name not in _USUAL}
        return inert(without_arguments(json.dumps(line | extra, default=str)))
