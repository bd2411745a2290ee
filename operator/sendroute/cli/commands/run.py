"""Follow a directory or a branch of git, and keep the store as it says.

Each account is reconciled when its manifests change, and all of them every --interval, so that
what drifted is put back. What fails is tried again, less and less often; it stops no other
account. If a tree is unavailable or unreadable, the last good one stays in effect. A change that a
guard stops is in `sendroute status`, and waits for `sendroute approve ACCOUNT`.

SIGTERM ends it cleanly, with exit status 0: what is being written is finished. A second one ends
it at once.

examples:
  sendroute run manifests/
  sendroute run https://git.example.com/mail.git --branch main --path manifests
  sendroute run ssh://git@git.example.com/mail.git --verify-signatures \\
    --allowed-signers /etc/sendroute/allowed_signers --state-dir /var/lib/sendroute
  sendroute run manifests/ --interval 1m --log-format json --listen 0.0.0.0:9464
"""

import argparse
from argparse import Namespace

from sendroute.cli.command_line import Parser, percent, seconds
from sendroute.cli.session import Session, start_logs

COLLECTS_GARBAGE = True
"""A process that runs for months keeps Python's collector, as it is."""


def options(parser: Parser) -> None:
    parser.add_argument(
        "source",
        metavar="PATH-or-GIT-URL",
        help="directory or file of manifests, or a repository as git clone takes it",
    )
    parser.value(
        "--interval",
        metavar="TIME",
        type=_positive,
        default=300.0,
        help="reconcile every account so often, changed or not (default 5m)",
    )
    parser.value(
        "--poll",
        metavar="TIME",
        type=_positive,
        default=None,
        help="look for changes so often (default 2s for a path, 30s for git)",
    )
    parser.value("--branch", metavar="NAME", help="the branch (default the repository's own)")
    parser.value(
        "--path",
        metavar="SUBDIR",
        default="",
        help="where in the repository the manifests are (default its top)",
    )
    parser.switch("--verify-signatures", help="take only commits that are signed")
    parser.value(
        "--allowed-signers",
        metavar="FILE",
        help="who may sign, a file as in ssh-keygen(1) (default git's own settings)",
    )
    parser.value(
        "--state-dir",
        metavar="DIR",
        help="where checkouts are kept over a restart (default: a temporary directory)",
    )
    parser.value(
        "--git-timeout",
        metavar="TIME",
        type=_positive,
        default=60.0,
        help="wait for git at most so long (default 60s)",
    )
    parser.value(
        "--listen",
        metavar="HOST:PORT",
        type=_address,
        default="127.0.0.1:9464",
        help="serve /metrics, /healthz and /readyz there; empty: nowhere (default 127.0.0.1:9464)",
    )
    parser.value(
        "--max-change-percent",
        metavar="N",
        type=percent,
        default=30,
        help="re-route at most N %% of an account's domains unasked (default 30)",
    )
    parser.value(
        "--max-remove-percent",
        metavar="N",
        type=percent,
        default=30,
        help="remove at most N %% of an account's domains unasked (default 30)",
    )


def run(arguments: Namespace, session: Session) -> int:
    import logging

    from sendroute.cli.running import RunOptions, run_loop
    from sendroute.following.git import GitOptions
    from sendroute.loop.event_log import TransitionLog
    from sendroute.loop.rounds import Limits
    from sendroute.model.exit_status import of_findings
    from sendroute.model.problem import ProblemError

    start_logs(session, lasting=True)
    branch = GitOptions(
        arguments.branch,
        arguments.path,
        arguments.verify_signatures,
        arguments.allowed_signers,
        arguments.git_timeout,
    )
    limits = Limits(arguments.max_change_percent, arguments.max_remove_percent)
    told = RunOptions(
        arguments.source,
        branch,
        arguments.state_dir,
        arguments.interval,
        arguments.poll,
        arguments.listen,
        limits,
    )
    try:
        run_loop(session, told)
    except ProblemError as problem:
        if session.settings.log_format != "json":
            raise
        # A program that reads the log also finds there why the loop did not start.
        TransitionLog("", logging.ERROR).update(problem.findings)
        return of_findings(problem.findings)
    return 0


def _positive(text: str) -> float:
    number = seconds(text)
    if number <= 0:
        raise argparse.ArgumentTypeError(f"`{text}` must be greater than 0")
    return number


def _address(text: str) -> str:
    from sendroute.telemetry.listen import FORMS, host_and_port

    if text and host_and_port(text) is None:
        raise argparse.ArgumentTypeError(f"`{text}` is not an address such as {FORMS}")
    return text
