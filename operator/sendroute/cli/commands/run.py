"""Follow a directory or a git branch, and apply each change.

Each account is reconciled when its manifests change, and all accounts every --interval, so that
drift is repaired. Failures are retried with exponential backoff; they stop no other account. If a
tree is unavailable or unreadable, the last good one stays in effect. A change that a guard stops
is shown by `sendroute status`, and waits for `sendroute approve ACCOUNT`.

A directory may be in the middle of a change. An account with a change that cannot be undone (a
removal, a reassignment, an apply-all, a new domain that takes the default) waits until its
manifests have not changed for --settle-destructive. A commit is whole and does not wait.

SIGTERM stops it cleanly, with exit status 0: the running transaction is finished. A second signal
stops it at once.

examples:
  sendroute run manifests/
  sendroute run https://git.example.com/mail.git --branch main --path manifests
  sendroute run ssh://git@git.example.com/mail.git --verify-signatures \\
    --allowed-signers /etc/sendroute/allowed_signers --state-dir /var/lib/sendroute
  sendroute run manifests/ --interval 1m --log-format json --listen 0.0.0.0:9464
"""

from argparse import Namespace
from functools import partial

from sendroute.cli.command_line import DIRECTORY, INPUT_FILE, Parser, PathType, count, size
from sendroute.cli.long_running import (
    interval_option,
    listen_option,
    positive_seconds,
    run_logged,
    settle_destructive_option,
)
from sendroute.cli.options import limit_options
from sendroute.cli.session import Session, start_logs
from sendroute.planner.guards import Guards


def options(parser: Parser) -> None:
    parser.add_argument(
        "source",
        metavar="PATH-or-GIT-URL",
        type=DIRECTORY,
        help="directory or file of manifests, or a URL as for git clone",
    )
    interval_option(parser)
    parser.value(
        "--poll",
        metavar="TIME",
        type=positive_seconds,
        default=None,
        help="how often to look for changes (default 2s for a path, 30s for git)",
    )
    settle_destructive_option(
        parser, "in a directory, how long an account must not change before what cannot be undone"
    )
    _git_options(parser)
    listen_option(parser, "127.0.0.1:9464")
    limit_options(parser, "hold back changes that", default=30)


def _git_options(parser: Parser) -> None:
    parser.value(
        "--branch", metavar="NAME", help="the branch (default: the repository's default branch)"
    )
    parser.value(
        "--path",
        metavar="SUBDIR",
        type=PathType(may_be_empty=True),
        default="",
        help="directory of the manifests in the repository (default: its top)",
    )
    parser.switch("--verify-signatures", help="accept signed commits only")
    parser.value(
        "--allowed-signers",
        metavar="FILE",
        type=INPUT_FILE,
        help="who may sign, as in ssh-keygen(1) (default: git's settings)",
    )
    parser.value(
        "--state-dir",
        metavar="DIR",
        type=DIRECTORY,
        help="keeps checkouts across restarts (default: a temporary directory)",
    )
    parser.value(
        "--git-timeout",
        metavar="TIME",
        type=positive_seconds,
        default=60.0,
        help="how long to wait for git at most (default 60s)",
    )
    parser.value(
        "--git-memory",
        metavar="SIZE",
        type=size,
        default=1 << 30,
        help="how much memory each git may use at most (default 1GiB)",
    )
    parser.value(
        "--max-files",
        metavar="N",
        type=count,
        default=250_000,
        help="how many files and directories of a commit to check out at most (default 250000)",
    )
    parser.value(
        "--max-size",
        metavar="SIZE",
        type=size,
        default=512 << 20,
        help="how much of a commit to check out at most (default 512MiB)",
    )


def run(arguments: Namespace, session: Session) -> int:
    from sendroute.cli.loop_runner import GitOptions, RunOptions, TreeLimits, run_loop

    start_logs(session, lasting=True)
    branch = GitOptions(
        arguments.branch,
        arguments.path,
        arguments.verify_signatures,
        arguments.allowed_signers,
        arguments.git_timeout,
        arguments.git_memory,
        TreeLimits(arguments.max_files, arguments.max_size),
    )
    guards = Guards(arguments.max_change_percent, arguments.max_remove_percent)
    options = RunOptions(
        arguments.source,
        branch,
        arguments.state_dir,
        arguments.interval,
        arguments.poll,
        arguments.settle_destructive,
        arguments.listen,
        guards,
    )
    return run_logged(session, partial(run_loop, session, options))
