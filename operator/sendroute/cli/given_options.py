"""The options of all commands that the command line has, for the commands that hints suggest: a
command that is copied without them would act on another store."""

import re
import shlex
from collections.abc import Mapping, Sequence

from sendroute.cli.commands import COMMANDS

_OPTIONS = {"--store": "store", "--secrets": "secrets", "--key-file": "key_file"}
# Of a path or a name with the same word, no command follows.
_COMMAND = re.compile(rf"(?<![\w./-])sendroute (?=(?:{'|'.join(COMMANDS)})\b)")

_given: list[str] = []
"""Those of this process. One program runs in a process."""


def remember_options(words: Sequence[str], values: Mapping[str, str | None]) -> None:
    """Remember which of the options were given as arguments: a variable stays as it is.

    Args:
        words: the arguments of the program.
        values: the value of each option, by its name in the settings.
    """
    names = {word.partition("=")[0] for word in words}
    _given.clear()
    for option, name in _OPTIONS.items():
        value = values[name]
        if option in names and value:
            # The user of a URL may be a token, which is shown nowhere.
            is_shown = name != "store" or "@" not in value
            _given.append(f"{option} {shlex.quote(value) if is_shown else 'URL'}")


def with_given_options(text: str) -> str:
    """Add the given options to the commands in a text.

    Args:
        text: a hint, or another text with commands to copy.

    Returns:
        The text: ``sendroute init`` becomes ``sendroute --store URL init``.
    """
    if not _given:
        return text
    return _COMMAND.sub(lambda _: f"sendroute {' '.join(_given)} ", text)


def has_given_store() -> bool:
    """Whether the arguments name the store."""
    return any(option.startswith("--store ") for option in _given)
