"""Keep the lookup tables of a Postfix at the store's revision.

One agent runs beside each Postfix. It follows the store, writes each revision to DIR in one
transaction, reloads Postfix if a domain that it knew has another route, and reports to the store
which revision it serves: `sendroute status` shows it, and `apply --wait` waits for it. While the
store is unavailable, mail continues by the last revision.

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
from functools import partial

from sendroute.cli.command_line import Parser, UsageError
from sendroute.cli.long_running import listen_option, run_logged
from sendroute.cli.postfix_options import config_directory_option, tables_option
from sendroute.cli.session import Session, start_logs
from sendroute.model.codes import finding
from sendroute.model.problem import ProblemError
from sendroute.model.unseen import is_seen

_LONGEST_NAME = 255


class _TaskType:
    """Any text: ``forget``, or the name of a relay. Shells complete the first."""

    words = ("forget",)

    def __call__(self, text: str) -> str:
        return text


def options(parser: Parser) -> None:
    parser.add_argument(
        "task",
        nargs="*",
        metavar="forget NAME",
        type=_TaskType(),
        help="remove a relay from the store, instead of running an agent",
    )
    tables_option(parser, required=False)
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
        help="name or number of the group that may read the tables (default postfix)",
    )
    config_directory_option(parser)
    parser.switch("--no-reload", help="never reload Postfix")
    listen_option(parser, "127.0.0.1:9465")
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
    return run_logged(session, partial(run_agent, session, options))


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
    if len(text) > _LONGEST_NAME or not is_seen(text) or text.strip() != text:
        raise argparse.ArgumentTypeError(
            f"must be at most {_LONGEST_NAME} characters that can be printed"
        )
    return text
