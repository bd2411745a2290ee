"""The program: global options, then one command, whose module is imported when it is chosen."""

import os
import resource
import sys
from argparse import REMAINDER, SUPPRESS, Namespace
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from types import ModuleType
from typing import Any, NoReturn

from sendroute.cli import fast_exit
from sendroute.cli.command_line import (
    PREFIX,
    USAGE_STATUS,
    Parser,
    TextRequest,
    UsageError,
    require_utf8,
    sentence,
    stderr_line,
    suggestion,
)
from sendroute.cli.commands import COMMANDS, module_name
from sendroute.cli.given_options import remember_options
from sendroute.cli.session import (
    Session,
    Terminal,
    Verbosity,
    global_options,
    prepare_streams,
    start_logs,
)
from sendroute.model.userinfo import remember_arguments, without_userinfo
from sendroute.model.version import __version__
from sendroute.reports.text import clean
from sendroute.runtime.settings import Settings

_INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it

_DESCRIPTION = """\
A GitOps reconciler for outbound email: declares in git how each sending domain sends.

commands:
{commands}

examples:
  sendroute init                              create a store, once
  sendroute validate manifests/               every problem in one run
  sendroute plan manifests/                   what would change, and why
  sendroute apply manifests/                  apply it
  sendroute explain jane@shop.example.com     the route of her mail
"""

_EPILOG = """\
Most options have a variable: SENDROUTE_STORE for --store, and so on. Unknown ones are reported.
Exit status: 0 success, 1 invalid or failed, 2 changes pending (plan --detailed-exitcode),
3 refused, 4 applied in part, 64 wrong usage.

`sendroute COMMAND --help` shows the options of a command.
"""


_NO_DIRECTORY = "The working directory was removed. Change to one that exists: cd DIRECTORY"


def program() -> NoReturn:
    """The entry point of the process."""
    _forbid_core_dumps()
    fast_exit.enable()
    fast_exit.exit_process(main())


def _forbid_core_dumps() -> None:
    """A core dump would hold the key and passwords (core(5)). What this process starts inherits the
    limit."""
    with suppress(OSError, ValueError):  # systemd's filter of system calls refuses it
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(words: list[str] | None = None) -> int:
    """Run one command and return the exit status."""
    prepare_streams()
    words = sys.argv[1:] if words is None else words
    remember_arguments([*words, *_values_of_variables()])
    try:
        return _run(words)
    except UsageError as error:
        # A job may pass what another person wrote: the name of a branch.
        message = f"sendroute: {without_userinfo(str(error))} {error.hint}"
        stderr_line(clean(message).rstrip())
        stderr_line(f"See `{_where_to_look(words)} --help`.")
        return USAGE_STATUS
    except FileNotFoundError:
        if _has_working_directory():
            raise
        stderr_line(f"sendroute: {_NO_DIRECTORY}")
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    finally:
        _flush()


def _has_working_directory() -> bool:
    """Whether it still exists: without it no relative path can be made absolute (getcwd(3))."""
    try:
        os.getcwd()  # noqa: PTH109 (pathlib takes long to import)
    except FileNotFoundError:
        return False
    return True


def _values_of_variables() -> Iterator[str]:
    """The values of variables that replace options, whole and as the list of an option that can be
    repeated."""
    for name, value in os.environ.items():
        if name.startswith(PREFIX) and not name.startswith(f"{PREFIX}SECRET_"):
            yield value
            yield from value.split()


def _run(words: list[str]) -> int:
    given = words
    parser = _program()
    try:
        program = parser.read(words)
        if not program.command:
            parser.print_help(sys.stderr)
            return USAGE_STATUS
        name, *words = program.command
        module = _module(name, COMMANDS)
        values = vars(program)
        while hasattr(module, "COMMANDS"):  # a command with subcommands: `sendroute edit set-route`
            group = _group(name, module)
            chosen = group.read(words)
            values |= vars(chosen)
            if not chosen.command:
                group.print_help(sys.stderr)
                return USAGE_STATUS
            member, *words = chosen.command
            name, module = f"{name} {member}", _module(member, module.COMMANDS, name)
        command = _command(name, module.__doc__ or "", module.options)
        arguments = command.read(words)
    except TextRequest as request:  # --help and --version
        return _print(request.text)
    session = _session(values | vars(arguments))
    remember_options(given, session.settings._asdict())
    _check_variables(session, parser.variables | command.variables)
    if session.settings.secrets and hasattr(arguments, "output"):
        from sendroute.cli.options import keep_secrets

        keep_secrets(arguments, session.settings.secrets)
    return _run_command(name, module.run, arguments, session)


def _check_variables(session: Session, known: set[str]) -> None:
    """Warn of variables that nothing reads. ``known``: those that this command reads."""
    others = [name for name in os.environ if name.startswith(PREFIX) and name not in known]
    if others:
        from sendroute.cli.environment import refuse_not_utf8, warn_of_unknown

        refuse_not_utf8([name for name in others if not os.environ[name].isascii()])
        start_logs(session)
        warn_of_unknown(others)


def _module(name: str, known: dict[str, str], within: str = "") -> ModuleType:
    """The module of a command, or of a subcommand of the command ``within``."""
    if name not in known:
        require_utf8("The command", name)
        full = f"{within} {name}".strip()
        raise UsageError(f"There is no command `{full}`.{suggestion(name, known)}")
    return import_module(module_name(name, within))


def _run_command(
    name: str, run: Callable[[Namespace, Session], int], arguments: Namespace, session: Session
) -> int:
    from sendroute.model.problem import InvalidSettingError, ProblemError

    try:
        return int(run(arguments, session))
    except InvalidSettingError as invalid:
        from sendroute.cli.hints import with_hint

        first, *others = [with_hint(finding) for finding in invalid.findings]
        more = [text for finding in others for text in (finding.message, finding.hint or "")]
        hint = " ".join(sentence(text) for text in [first.hint or "", *more] if text)
        raise UsageError(first.message, hint) from invalid
    except ProblemError as problem:
        from sendroute.cli.output import present_problem

        return int(present_problem(session, arguments, problem.findings, name))


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


def _group(name: str, module: ModuleType) -> Parser:
    """The parser of a command with subcommands, up to the name of the subcommand."""
    summary, _, rest = (module.__doc__ or "").partition("\n")
    width = max(map(len, module.COMMANDS)) + 2
    lines = "\n".join(f"  {member:<{width}}{text}" for member, text in module.COMMANDS.items())
    parser = Parser(
        f"sendroute {name}",
        usage=f"sendroute {name} COMMAND [ARGUMENT…]",
        description=f"{summary}\n\ncommands:\n{lines}\n{rest.rstrip()}",
        epilog=f"`sendroute {name} COMMAND --help` shows the options of a command.",
    )
    global_options(parser, again=True)
    parser.add_argument("command", nargs=REMAINDER, help=SUPPRESS)
    return parser


def _command(name: str, description: str, options: Callable[[Parser], None]) -> Parser:
    """The parser of a command. It accepts the global options too, because users often type them
    last."""
    summary, _, rest = description.partition("\n")
    parser = Parser(
        f"sendroute {name}",
        description=f"{summary}\n{rest.rstrip()}".rstrip(),
        epilog="Options for all commands (--store, --secrets, --key-file, -v, …):"
        " `sendroute --help`.",
    )
    options(parser)
    global_options(parser, again=True)
    return parser


def _session(values: dict[str, Any]) -> Session:
    if values["quiet"] and values["verbose"]:
        raise UsageError("--quiet and --verbose contradict each other.")
    verbosity = Verbosity.NORMAL
    if values["quiet"]:
        verbosity = Verbosity.QUIET
    elif values["verbose"]:
        verbosity = Verbosity.VERBOSE
    settings = Settings(
        values["store"], values["secrets"], values["key_file"], values["log_format"]
    )
    return Session(settings, Terminal(verbosity, values["no_color"]))


def _where_to_look(words: list[str]) -> str:
    for number, word in enumerate(words):
        if word in COMMANDS:
            module = import_module(f"sendroute.cli.commands.{word}")
            subcommands = getattr(module, "COMMANDS", ())
            member = next(
                (candidate for candidate in words[number + 1 :] if candidate in subcommands), None
            )
            return f"sendroute {word} {member}" if member else f"sendroute {word}"
    return "sendroute"


def _print(text: str) -> int:
    """Write a text to standard output. Returns the exit status."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        from sendroute.cli.output import stdout_failed

        return int(stdout_failed(error))
    return 0


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        from sendroute.cli.output import abandon_stdout

        abandon_stdout()
