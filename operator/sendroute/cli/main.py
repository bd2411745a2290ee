"""The program: global options, then one command, whose module is imported when it is chosen."""

import sys
from argparse import REMAINDER, SUPPRESS, Namespace
from collections.abc import Callable
from importlib import import_module

from sendroute import __version__
from sendroute.cli.command_line import (
    USAGE_STATUS,
    Parser,
    WrongUsageError,
    stderr_line,
    suggestion,
)
from sendroute.cli.session import Session, Verbosity, global_options, prepare_streams
from sendroute.cli.table import COMMANDS

_INTERRUPTED = 130  # 128 + SIGINT, as a shell tells it

_DESCRIPTION = """\
Every sending domain's outbound mail route, declared in git, proven before it is applied.

commands:
{commands}

examples:
  sendroute init                              make a store, once
  sendroute validate manifests/               every problem, in one run
  sendroute plan manifests/                   what would change, and why
  sendroute apply manifests/                  change it
  sendroute explain jane@shop.example.com     what her mail takes
"""

_EPILOG = """\
Every option may be set as a variable: --store as SENDROUTE_STORE, and so on.
Exit status: 0 fine, 1 invalid or failed, 2 changes pending (plan --detailed-exitcode),
3 refused, 4 applied in part, 64 wrong usage.

`sendroute COMMAND --help` says all of one command.
"""


def main(words: list[str] | None = None) -> int:
    """Run one command and return the exit status."""
    prepare_streams()
    words = sys.argv[1:] if words is None else words
    try:
        return _run(words)
    except WrongUsageError as error:
        stderr_line(f"sendroute: {error}")
        stderr_line(f"See `{_where_to_look(words)} --help`.")
        return USAGE_STATUS
    except KeyboardInterrupt:
        return _INTERRUPTED
    finally:
        _flush()


def _run(words: list[str]) -> int:
    parser = _program()
    try:
        told = parser.read(words)
        if not told.command:
            parser.print_help(sys.stderr)
            return USAGE_STATUS
        name, *rest = told.command
        if name not in COMMANDS:
            raise WrongUsageError(f"There is no command `{name}`.{suggestion(name, COMMANDS)}")
        module = import_module(f"sendroute.cli.commands.{name}")
        arguments = _command(name, module.__doc__ or "", module.options).read(rest)
    except SystemExit as leave:  # --help and --version have printed what was asked for
        return int(leave.code or 0)
    return _carry_out(module.run, arguments, _session(told, arguments))


def _carry_out(
    run: Callable[[Namespace, Session], int], arguments: Namespace, session: Session
) -> int:
    from sendroute.model.problem import ProblemError

    try:
        return int(run(arguments, session))
    except ProblemError as problem:
        from sendroute.cli.output import present_problem

        return int(present_problem(session, arguments, problem.findings))


def _program() -> Parser:
    lines = "\n".join(f"  {name:<11}{summary}" for name, summary in COMMANDS.items())
    parser = Parser(
        "sendroute",
        usage="sendroute [OPTION…] COMMAND [ARGUMENT…]",
        description=_DESCRIPTION.format(commands=lines),
        epilog=_EPILOG,
    )
    global_options(parser)
    parser.add_argument("--version", action="version", version=f"sendroute {__version__}")
    parser.add_argument("command", nargs=REMAINDER, help=SUPPRESS)
    return parser


def _command(name: str, description: str, options: object) -> Parser:
    """A command's own parser, which takes the global options too: people type them last."""
    summary, _, rest = description.partition("\n")
    parser = Parser(
        f"sendroute {name}",
        description=f"{summary}\n{rest.rstrip()}".rstrip(),
        epilog="Options for all commands (--store, --secrets, -q, -v, …): `sendroute --help`.",
    )
    assert callable(options)  # noqa: S101
    options(parser)
    global_options(parser, again=True)
    return parser


def _session(told: Namespace, arguments: Namespace) -> Session:
    said = {**vars(told), **vars(arguments)}
    if said["quiet"] and said["verbose"]:
        raise WrongUsageError("--quiet and --verbose contradict each other.")
    verbosity = Verbosity.NORMAL
    if said["quiet"]:
        verbosity = Verbosity.QUIET
    elif said["verbose"]:
        verbosity = Verbosity.VERBOSE
    return Session(said["store"], said["secrets"], verbosity, said["log_format"], said["no_color"])


def _where_to_look(words: list[str]) -> str:
    name = next((word for word in words if word in COMMANDS), None)
    return f"sendroute {name}" if name else "sendroute"


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        from sendroute.cli.output import abandon_stdout

        abandon_stdout()
