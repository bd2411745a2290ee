"""What the commands that run for long share: how often they reconcile, where they listen, and how
they say why they did not start."""

import argparse
from collections.abc import Callable
from functools import partial

from sendroute.cli.command_line import Parser, seconds
from sendroute.cli.exit_status import of_findings
from sendroute.cli.hints import with_hint
from sendroute.cli.session import Session
from sendroute.model.problem import InvalidSettingError, ProblemError
from sendroute.runtime.transition_log import log_failure
from sendroute.telemetry.listen import host_and_port


def interval_option(parser: Parser) -> None:
    """``--interval``, of what reconciles."""
    parser.value(
        "--interval",
        metavar="TIME",
        type=positive_seconds,
        default=300.0,
        help="how often to reconcile every account, changed or not (default 5m)",
    )


def settle_destructive_option(parser: Parser, help_text: str) -> None:
    """``--settle-destructive``, of what follows something that changes piece by piece."""
    parser.value(
        "--settle-destructive",
        metavar="TIME",
        type=seconds,
        default=5.0,
        help=f"{help_text} (default 5s)",
    )


def positive_seconds(text: str) -> float:
    """Read a time that is greater than 0.

    Args:
        text: a time, as :func:`~sendroute.cli.command_line.seconds` reads it.

    Returns:
        The seconds.

    Raises:
        ArgumentTypeError: it is no such time.
    """
    number = seconds(text)
    if number <= 0:
        raise argparse.ArgumentTypeError(f"`{text}` must be greater than 0")
    return number


def listen_option(parser: Parser, default: str) -> None:
    """``--listen``, with the default address of the command."""
    parser.value(
        "--listen",
        may_be_empty=True,
        metavar="HOST:PORT",
        type=partial(_address, default),
        default=default,
        help=f"address of /metrics, /healthz and /readyz; empty: none (default {default})",
    )


def _address(default: str, text: str) -> str:
    if text and host_and_port(text) is None:
        port = default.rpartition(":")[2]
        raise argparse.ArgumentTypeError(
            f"`{text}` is not an address such as 127.0.0.1:{port}, [::1]:{port} or :{port}"
        )
    return text


def run_logged(session: Session, start: Callable[[], None]) -> int:
    """Run until it is stopped. With JSON logs, the reason for not starting is a line of the log.

    Args:
        session: settings and terminal.
        start: runs, and returns when it was stopped.

    Returns:
        The exit status.

    Raises:
        InvalidSettingError: the store's URL is malformed, or from ``start``: wrong usage.
        ProblemError: from ``start``, with logs for people.
    """
    session.factory.check_store_url()
    try:
        start()
    except InvalidSettingError:
        raise
    except ProblemError as problem:
        if session.settings.log_format != "json":
            raise
        log_failure(problem.findings, with_hint)
        return of_findings(problem.findings)
    return 0
