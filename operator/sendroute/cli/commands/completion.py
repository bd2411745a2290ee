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

import re
from argparse import Action, Namespace, _SubParsersAction
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
# fish offers the path in `--key-file=PATH` by its own function, given the word without the option.
_FISH_FILES = "(__fish_complete_path (string replace -r -- '^--.*?=' '' (commandline -ct)))"
# shtab describes an argument that may be repeated as one that excludes the others: zsh completes
# the first one only. `*:` is every one (zshcompsys(1), _arguments).
_ZSH_SEVERAL = re.compile(r'(?<=^  )"\(\*\)::?', re.MULTILINE)
# Bash passes `--provider=s` as three words, and shtab knows only an option and its value. Without
# `=` in COMP_WORDBREAKS it is one word, and the reply begins with the option.
_BASH_VALUES = """
_sendroute() {
  local -a words=()
  local word option="" cword=$COMP_CWORD index
  for index in "${!COMP_WORDS[@]}"; do
    word=${COMP_WORDS[index]}
    if [[ $word == = && ${words[${#words[@]}-1]-} == --* ]]; then
      (( index == COMP_CWORD )) && words+=("") || (( index < COMP_CWORD && cword-- ))
    elif [[ $word == --*=* ]]; then
      (( index == COMP_CWORD )) && option=${word%%=*}=
      (( index <= COMP_CWORD && cword++ ))
      words+=("${word%%=*}" "${word#*=}")
    else
      words+=("$word")
    fi
  done
  local -a COMP_WORDS=("${words[@]}")
  local COMP_CWORD=$cword
  _shtab_sendroute "$@"
  COMPREPLY=("${COMPREPLY[@]/#/$option}")
}

complete -o bashdefault -F _sendroute sendroute
"""


def options(parser: Parser) -> None:
    parser.add_argument("shell", metavar="SHELL", type=one_of(*_SHELLS), help=", ".join(_SHELLS))


def run(arguments: Namespace, session: Session) -> int:
    import shtab

    parser = whole_parser()
    if arguments.shell == "zsh":
        _accept_equals_signs(parser)
    script: str = shtab.complete(parser, arguments.shell).rstrip() + "\n"
    if arguments.shell == "zsh":
        script = _ZSH_SEVERAL.sub('"*:', script)
    if arguments.shell == "bash":
        script += _BASH_VALUES
    return present(session, outputs_of(arguments), lambda _form, _page: [script])


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
        global_options(member)  # their help too: shtab ignores options without one
        _complete_values(member)


def _complete_values(parser: Parser) -> None:
    """Say what the values of options and arguments are: words, files or directories."""
    import shtab

    for action in parser._actions:  # argparse has no other way to list them
        if words := words_of(action.type):
            action.choices = words
        elif action.metavar in _FILES:
            _set_completion(action, {**shtab.FILE, "fish": _FISH_FILES})
        elif action.metavar in ("DIR", "SUBDIR"):
            _set_completion(action, shtab.DIRECTORY)


def _accept_equals_signs(parser: Parser) -> None:
    """Write long options as zsh does, whose value is the next word or follows an equals sign
    (zshcompsys(1), ``_arguments``)."""
    for action in parser._actions:
        if isinstance(action, _SubParsersAction):
            for member in action.choices.values():
                _accept_equals_signs(member)
        elif action.nargs != 0:
            action.option_strings = [
                f"{name}=" if name.startswith("--") else name for name in action.option_strings
            ]


def _set_completion(action: Action, kind: dict[str, Any]) -> None:
    action.complete = kind  # type: ignore[attr-defined]  # as shtab documents it
