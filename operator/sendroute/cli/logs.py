"""Logs go to standard error, as lines for people or as one JSON object a line."""

import json
import logging
import sys
from datetime import UTC, datetime

from sendroute.cli.session import Session, Verbosity

_LEVELS = {
    Verbosity.QUIET: logging.ERROR,
    Verbosity.NORMAL: logging.INFO,
    Verbosity.VERBOSE: logging.DEBUG,
}
# What every record has; anything else was given as ``extra`` and is told.
_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def start(session: Session) -> None:
    """Send the program's own log lines to standard error; libraries stay silent but for errors."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _JsonLines() if session.log_format == "json" else logging.Formatter("%(message)s")
    )
    logger = logging.getLogger("sendroute")
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(_LEVELS[session.verbosity])
    logging.raiseExceptions = False  # standard error may be closed, and then nobody listens


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC)
        told = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        extra = {name: value for name, value in vars(record).items() if name not in _USUAL}
        return json.dumps(told | extra, default=str)
