"""Print a script with which a shell completes commands, options and paths.

The directory that the shell reads must exist.

examples:
  mkdir -p ~/.local/share/bash-completion/completions
  sendroute completion bash > ~/.local/share/bash-completion/completions/sendroute
  mkdir -p ~/.zfunc
  sendroute completion zsh > ~/.zfunc/_sendroute          with ~/.zfunc in fpath, before compinit
  mkdir -p ~/.config/fish/completions
  sendroute completion fish > ~/.config/fish/completions/sendroute.fish
"""

from argparse import Action, Namespace
from importlib import import_module
from types import ModuleType
from typing import Any

from sendroute.cli import commands
from sendroute.cli.command_line import Parser, one_of, words_of
from sendroute.cli.options import outputs_of
from sendroute.cli.output import present
from sendroute.cli.session import Session, global_options

_SHELLS = ("bash", "zsh", "fish")
_FILES = ("FILE", "PATH", "PATH-or-GIT-URL")


def options(parser: Parser) -> None:
    parser.add_argument("shell", metavar="SHELL", type=one_of(*_SHELLS), help=", ".join(_SHELLS))


def run(arguments: Namespace, session: Session) -> int:
    import shtab

    script: str = shtab.complete(whole_parser(), arguments.shell)
    return present(session, outputs_of(arguments), lambda _form, _page: [script.rstrip() + "\n"])


def whole_parser() -> Parser:
    """One parser of all commands and their options. The program itself parses in steps, and imports
    only the module of the command that it runs."""
    parser = Parser("sendroute")
    global_options(parser)
    _complete_values(parser)
    _add_commands(parser, commands.COMMANDS)
    return parser


def _add_commands(parser: Parser, names: dict[str, str], within: str = "") -> None:
    members = parser.add_subparsers()
    for name, summary in names.items():
        module: ModuleType = import_module(commands.module_name(name, within))
        member = members.add_parser(name, help=summary, description=summary)
        if hasattr(module, "COMMANDS"):
            _add_commands(member, module.COMMANDS, name)
            continue
        module.options(member)
        global_options(member, again=True)
        _complete_values(member)


def _complete_values(parser: Parser) -> None:
    """Say what the values of options and arguments are: words, files or directories."""
    import shtab

    for action in parser._actions:  # argparse has no other way to list them
        if words := words_of(action.type):
            action.choices = words
        elif action.metavar in _FILES:
            _set_completion(action, shtab.FILE)
        elif action.metavar in ("DIR", "SUBDIR"):
            _set_completion(action, shtab.DIRECTORY)


def _set_completion(action: Action, kind: dict[str, Any]) -> None:
    action.complete = kind  # type: ignore[attr-defined]  # as shtab documents it
