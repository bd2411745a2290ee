"""Follow the objects of a Kubernetes cluster, and apply each change.

The objects are the documents of files: MailPlatform, MailAccount, SMTPProfile and SendingDomain.
Objects that are applied together arrive one by one, so an account is reconciled after --settle
without an event of its objects, and after --settle-destructive if something would change that
cannot be undone. A change that a guard stops waits for an approval.

The API is found by the service account of the pod, or by a kubeconfig. Of several operators one
leads, which holds a Lease; the others follow the objects and wait.

SIGTERM stops it cleanly, with exit status 0: the running transaction is finished, and the Lease is
released. A second signal stops it at once.

examples:
  sendroute operator --store sqlite:////var/lib/sendroute/sendroute.db
  sendroute operator --kubeconfig ~/.kube/config --no-leader-election
  sendroute operator --watch-namespaces acme,example --platform platform.yaml
"""

import argparse
import re
from argparse import Namespace
from functools import partial

from sendroute.cli.command_line import INPUT_FILE, Parser, seconds
from sendroute.cli.long_running import (
    interval_option,
    listen_option,
    run_logged,
    settle_destructive_option,
)
from sendroute.cli.options import limit_options
from sendroute.cli.session import Session, start_logs
from sendroute.planner.guards import Guards

_NAMESPACE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")  # RFC 1123


def options(parser: Parser) -> None:
    parser.value(
        "--kubeconfig",
        metavar="FILE",
        type=INPUT_FILE,
        help="how to reach the API (default: the pod's service account, else KUBECONFIG)",
    )
    parser.value(
        "--watch-namespaces",
        metavar="A,B",
        type=_namespaces,
        default="",
        help="the namespaces to follow, separated by commas (default: all)",
    )
    parser.value(
        "--namespace",
        metavar="NAME",
        type=_namespace,
        help="the operator's own namespace, with the platform's secrets (default: the pod's)",
    )
    parser.value(
        "--platform",
        metavar="FILE",
        type=INPUT_FILE,
        help="read the MailPlatform from a file, and not from the cluster",
    )
    parser.switch(
        "--no-leader-election",
        help="hold no Lease; of several operators, the one that started last writes",
    )
    parser.value(
        "--lease-namespace",
        metavar="NAME",
        type=_namespace,
        help="the namespace of the Lease (default: the operator's own)",
    )
    parser.value(
        "--settle",
        metavar="TIME",
        type=seconds,
        default=1.0,
        help="how long the objects of an account must not change (default 1s)",
    )
    settle_destructive_option(parser, "the same before what cannot be undone")
    interval_option(parser)
    listen_option(parser, "127.0.0.1:9466")
    limit_options(parser, "hold back changes that", default=30)


def run(arguments: Namespace, session: Session) -> int:
    from sendroute.cli.operator_runner import OperatorRunOptions, run_operator

    start_logs(session, lasting=True)
    options = OperatorRunOptions(
        arguments.kubeconfig,
        arguments.watch_namespaces or (),
        arguments.namespace,
        arguments.platform,
        not arguments.no_leader_election,
        arguments.lease_namespace,
        arguments.settle,
        arguments.settle_destructive,
        arguments.interval,
        arguments.listen,
        Guards(arguments.max_change_percent, arguments.max_remove_percent, tenants=True),
    )
    return run_logged(session, partial(run_operator, session, options))


def _namespace(text: str) -> str:
    if not _NAMESPACE.fullmatch(text):
        raise argparse.ArgumentTypeError(f"`{text}` is not the name of a namespace")
    return text


def _namespaces(text: str) -> tuple[str, ...]:
    return tuple(map(_namespace, filter(None, (name.strip() for name in text.split(",")))))
