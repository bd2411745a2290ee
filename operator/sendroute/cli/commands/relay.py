"""Keep the lookup tables of a Postfix at the store's revision.

One agent runs beside each Postfix. It follows the store, writes each revision to DIR in one
transaction, reloads Postfix if a domain that it knew has another route, and reports to the store
which revision it serves: `sendroute status` shows it, and `apply --wait` waits for it. While the
store is away, mail continues by the last revision.

DIR is readable for its owner and for the group of Postfix only. SIGTERM stops the agent cleanly;
Postfix continues with the tables as they are. `sendroute relay forget NAME` removes a relay that is
no longer there from the store.

examples:
  sendroute relay --dir /var/lib/sendroute
  sendroute relay --dir /var/lib/sendroute-out --name out2 --postfix-config-dir /etc/postfix-out
  sendroute relay forget mx3
"""

import argparse
import socket
from argparse import Namespace

from sendroute.cli.command_line import DIRECTORY, Parser, UsageError
from sendroute.cli.exit_status import of_findings
from sendroute.cli.hints import with_hint
from sendroute.cli.session import Session, start_logs
from sendroute.model.codes import finding
from sendroute.model.problem import ProblemError
from sendroute.runtime.transition_log import log_failure
from sendroute.telemetry.listen import FORMS, host_and_port

_LONGEST_NAME = 255


def options(parser: Parser) -> None:
    parser.add_argument(
        "task",
        nargs="*",
        metavar="forget NAME",
        help="remove a relay from the store, instead of running an agent",
    )
    parser.value(
        "--dir",
        metavar="DIR",
        type=DIRECTORY,
        help="directory of the lookup tables that Postfix reads",
    )
    parser.value(
        "--name",
        metavar="NAME",
        type=_name,
        help="name of this relay in the store (default: the host's name)",
    )
    parser.value(
        "--group",
        metavar="GROUP",
        default="postfix",
        help="group that may read the tables (default postfix)",
    )
    parser.value(
        "--postfix-config-dir",
        metavar="DIR",
        type=DIRECTORY,
        help="directory of Postfix's main.cf and master.cf (default: Postfix's own)",
    )
    parser.switch("--no-reload", help="never reload Postfix")
    parser.value(
        "--listen",
        may_be_empty=True,
        metavar="HOST:PORT",
        type=_address,
        default="127.0.0.1:9465",
        help="address of /metrics, /healthz and /readyz; empty: none (default 127.0.0.1:9465)",
    )
    parser.check(_check)


def _check(arguments: Namespace) -> None:
    task = arguments.task
    if not task and arguments.dir is None:
        raise UsageError("The option --dir DIR is required.")
    if task and (task[0] != "forget" or len(task) != 2):
        raise UsageError("Write `sendroute relay --dir DIR` or `sendroute relay forget NAME`.")


def run(arguments: Namespace, session: Session) -> int:
    if arguments.task:
        return _forget(session, arguments.task[1])
    from sendroute.cli.relay_runner import RelayOptions, run_agent

    start_logs(session, lasting=True)
    options = RelayOptions(
        arguments.dir,
        arguments.name or socket.gethostname(),
        arguments.group,
        arguments.postfix_config_dir,
        not arguments.no_reload,
        arguments.listen,
    )
    try:
        run_agent(session, options)
    except ProblemError as problem:
        if session.settings.log_format != "json":
            raise
        log_failure(problem.findings, with_hint)
        return of_findings(problem.findings)
    return 0


def _forget(session: Session, name: str) -> int:
    with session.factory.open_store() as store:
        if store.forget_relay(name):
            return 0
        known = ", ".join(relay.name for relay in store.relays())
    raise ProblemError(
        finding(
            "relay-unknown",
            f"The store knows no relay `{name}`.",
            hint=f"It knows {known}." if known else "It knows no relay.",
        )
    )


def _name(text: str) -> str:
    if len(text) > _LONGEST_NAME or not text.isprintable() or text.strip() != text:
        raise argparse.ArgumentTypeError(
            f"must be at most {_LONGEST_NAME} characters that can be printed"
        )
    return text


def _address(text: str) -> str:
    if text and host_and_port(text) is None:
        raise argparse.ArgumentTypeError(f"`{text}` is not an address such as {FORMS}")
    return text
