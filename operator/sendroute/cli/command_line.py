"""argparse with one sentence for wrong usage, a suggestion for a mistyped word, exit status 64
(EX_USAGE of sysexits.h), and an environment variable for every option."""

import argparse
import itertools
import os
import sys
from argparse import SUPPRESS
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from sendroute.model.numerals import decimal
from sendroute.model.spelling import nearest, question
from sendroute.model.userinfo import without_arguments

USAGE_STATUS = 64
PREFIX = "SENDROUTE_"
_WIDTH, _NARROWEST = 98, 40

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"", "0", "false", "no", "off"})


class UsageError(Exception):
    """Wrong usage of the command line, explained in one sentence. ``hint`` repeats nothing that the
    user typed."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class PathType:
    """The type of an argument that is a path. Only a path may hold bytes that are not UTF-8, as a
    file's name may. ``-`` means a standard stream everywhere, so it is never a file of that name.

    Args:
        dash: what is wrong with ``-``, as a clause; None if the command reads standard input or
            writes standard output.
        may_be_empty: whether an empty value has a meaning.
    """

    def __init__(self, dash: str | None = None, *, may_be_empty: bool = False) -> None:
        self._dash = dash
        self._may_be_empty = may_be_empty

    def __call__(self, text: str) -> Any:
        if not text and not self._may_be_empty:
            raise argparse.ArgumentTypeError("the value is empty")
        if text == "-" and self._dash is not None:
            raise argparse.ArgumentTypeError(f"`-` {self._dash}; a file of that name is ./-")
        return text


MANIFESTS = PathType()
"""Directories and files of manifests; ``-`` is standard input."""
STORE_URL = PathType()
"""A URL, which may hold a path."""
BESIDE_MANIFESTS = PathType(
    "is standard input, beside which no file is: give a directory or a file"
)
"""Directories and files of manifests, for the lock files beside them."""
INPUT_FILE = PathType("is standard input, which is not read here: give a file")
OUTPUT_FILE = PathType("is standard output, which gets the report: give a file")
DIRECTORY = PathType("is a standard stream: give a directory")


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Formats help for 100 columns, so that it is the same on every terminal, in logs and docs."""

    def __init__(self, prog: str) -> None:
        columns = decimal(os.environ.get("COLUMNS", ""), _WIDTH) or 0
        width = columns if columns >= _NARROWEST else _WIDTH
        super().__init__(prog, max_help_position=28, width=width)


class TextRequest(Exception):  # noqa: N818 - it is no error
    """The user asked for the help or the version: ``text`` is all that standard output gets."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class Parser(argparse.ArgumentParser):
    """A parser that raises :class:`UsageError` instead of printing its usage and exiting."""

    def __init__(self, prog: str, **options: Any) -> None:
        super().__init__(
            prog,
            formatter_class=HelpFormatter,
            allow_abbrev=False,
            **options,
        )
        self.variables: set[str] = set()
        self._from_variable: dict[str, tuple[str, Callable[[str], Any]]] = {}
        self._checks: list[Callable[[argparse.Namespace], None]] = []

    def error(self, message: str) -> NoReturn:
        raise UsageError(sentence(message))

    def _print_message(self, message: str, file: Any = None) -> None:
        """argparse prints the help and the version by this method, and ignores that it cannot."""
        if file is not sys.stdout:
            super()._print_message(message, file)
        else:
            raise TextRequest(message)

    def read(self, words: list[str]) -> argparse.Namespace:
        """Parse ``words``. An unknown word is wrong usage, with a suggestion."""
        try:
            arguments, unknown = self.parse_known_args(words)
        except UsageError:
            # A misspelt option is usually the one that argparse then misses.
            unknown = self._unknown_options(words)
            if not unknown:
                raise
        if unknown:
            require_utf8("The argument", unknown[0])
            word = unknown[0].split("=", 1)[0]
            raise UsageError(self._unknown(word))
        for check in self._checks:
            check(arguments)
        return arguments

    def check(self, check: Callable[[argparse.Namespace], None]) -> None:
        """Add a check of all arguments together, which raises :class:`UsageError`. It runs
        before the command does anything."""
        self._checks.append(check)

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        """Convert the values of one action. An option gets ``--`` only as ``--option=--``, where it
        is a value; argparse before Python 3.13 removes it, and the option has none."""
        if action.option_strings and arg_strings == ["--"]:
            return self._get_value(action, "--")
        return super()._get_values(action, arg_strings)

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        """Convert one value; argparse calls it for each, also for those in groups. An empty
        argument is wrong usage, as an empty value of an option is: a script passes it if one of its
        own variables is not set."""
        is_word = not action.option_strings and action.nargs != argparse.REMAINDER
        if is_word and not arg_string and not getattr(action.type, "may_be_empty", False):
            raise argparse.ArgumentError(action, "the value is empty")
        if action.nargs != argparse.REMAINDER and not isinstance(action.type, PathType):
            wrong = _not_utf8(arg_string)
            if wrong:
                raise argparse.ArgumentError(action, wrong)
        return super()._get_value(action, arg_string)

    def _unknown_options(self, words: list[str]) -> list[str]:
        """The long options that this parser lacks; none if it reads only the first words."""
        if any(action.nargs == argparse.REMAINDER for action in self._actions):
            return []
        options = itertools.takewhile(lambda word: word != "--", words)
        return [
            option
            for option in options
            if option.startswith("--")
            and option.split("=", 1)[0] not in self._option_string_actions
        ]

    def _unknown(self, word: str) -> str:
        if not word.startswith("-"):
            return f"Unexpected argument `{word}`."
        known = [option for option in self._option_string_actions if option.startswith("--")]
        return f"There is no option `{word}`.{suggestion(word, known)}"

    def switch(self, *names: str, help: str, again: bool = False) -> None:  # noqa: A002
        """Add an option without a value. Its variable accepts 1, true, yes, on and their opposites.

        ``again``: the program has the option too, so this one has no default and no help.
        """
        if again:
            self.add_argument(*names, action="store_true", default=SUPPRESS, help=SUPPRESS)
            return
        variable = variable_of(names)
        self.variables.add(variable)
        text = f"{help} [{variable}]"
        self.add_argument(*names, action="store_true", default=_truth(variable), help=text)

    def value(
        self,
        *names: str,
        help: str,  # noqa: A002
        type: Callable[[str], Any] = str,  # noqa: A002
        again: bool = False,
        may_be_empty: bool = False,
        **options: Any,
    ) -> None:
        """Add an option with a value. Its variable is used if the option is absent. The variable of
        a repeatable option contains the values, separated by spaces. An empty value is wrong usage,
        because a script passes it if one of its own variables is not set; an option whose default
        is empty accepts it."""
        is_path = isinstance(type, PathType)
        if not is_path and not may_be_empty and options.get("default") != "":
            type = _not_empty(type)  # noqa: A001
        if again:
            options["default"] = SUPPRESS
            self.add_argument(*names, type=type, help=SUPPRESS, **options)
            return
        variable = variable_of(names)
        self.variables.add(variable)
        given = os.environ.get(variable, "").strip()
        if given and options.get("action") == "append":
            # The variable is read after parsing, because the option must replace it, but argparse
            # would append to a default.
            destination = options.get("dest") or variable.removeprefix(PREFIX).lower()
            self._from_variable[destination] = (variable, type)
        elif given:
            options |= {"default": _converted(variable, given, type), "required": False}
        self.add_argument(*names, type=type, help=f"{help} [{variable}]", **options)

    def parse_known_args(  # type: ignore[override]
        self, args: list[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        arguments, unknown = super().parse_known_args(args, namespace)
        for name, (variable, convert) in self._from_variable.items():
            if getattr(arguments, name) is None:
                words = os.environ[variable].split()
                setattr(arguments, name, [_converted(variable, word, convert) for word in words])
        return arguments, unknown


def require_utf8(subject: str, text: str) -> None:
    """Raises :class:`UsageError` for a text that was no UTF-8 (Python keeps its bytes, PEP 383).
    Everything that it could be compared with is UTF-8, so no answer about it would be right."""
    wrong = _not_utf8(text)
    if wrong:
        raise UsageError(f"{subject} {wrong}.")


def _not_utf8(text: str) -> str | None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return f"`{os.fsencode(text).decode(errors='backslashreplace')}` is not UTF-8"
    return None


def suggestion(word: str, known: Iterable[str]) -> str:
    """`` Did you mean `…`?`` if a known word is near; otherwise empty."""
    near = nearest(word, known)
    return f" {question(f'`{near}`')}" if near else ""


def percent(text: str) -> int:
    """A whole number from 0 to 100."""
    number = decimal(text.removesuffix("%"), 100)
    if number is None:
        raise argparse.ArgumentTypeError(f"`{text}` is not a whole number from 0 to 100")
    return number


def seconds(text: str) -> float:
    """A time, ``90``, ``90s`` or ``2m``, in seconds; not negative."""
    name = text.lstrip("0123456789.")
    unit = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}.get(name)
    try:
        number = float(text.removesuffix(name)) * unit if unit is not None else -1.0
    except ValueError:
        number = -1.0
    if not 0 <= number <= 86_400 * 7:
        raise argparse.ArgumentTypeError(f"`{text}` is not a time such as 90, 90s or 2m")
    return number


def size(text: str) -> int:
    """A size with a unit, ``512MiB`` or ``1GiB``, in bytes; greater than 0."""
    units = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
    number, unit = decimal(text[:-3], 10**9 - 1), text[-3:]
    if unit not in units or not number:
        raise argparse.ArgumentTypeError(f"`{text}` is not a size such as 512MiB or 1GiB")
    return number * units[unit]


def count(text: str) -> int:
    """A whole number from 1."""
    return _whole_number(text, 1)


def count_from_zero(text: str) -> int:
    """A whole number from 0."""
    return _whole_number(text, 0)


def _whole_number(text: str, least: int) -> int:
    number = decimal(text, 2**31 - 1)
    if number is None or number < least:
        raise argparse.ArgumentTypeError(f"`{text}` is not a whole number from {least}")
    return number


class ChoiceType:
    """A type that accepts only some words, on the command line and in the environment."""

    def __init__(self, words: tuple[str, ...]) -> None:
        self.words = words

    def __call__(self, text: str) -> str:
        if text not in self.words:
            raise argparse.ArgumentTypeError(
                f"`{text}` is none of {', '.join(self.words)}."
                f"{suggestion(text, self.words)}".rstrip(".")
            )
        return text


def one_of(*words: str) -> ChoiceType:
    """A type that accepts only ``words``."""
    return ChoiceType(words)


def _not_empty(convert: Callable[[str], Any]) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        if not text:
            raise argparse.ArgumentTypeError("the value is empty")
        return convert(text)

    read.words = words_of(convert)  # type: ignore[attr-defined]
    return read


def words_of(convert: object) -> tuple[str, ...]:
    """The words that a type accepts, for completion; none if it accepts others too."""
    return tuple(getattr(convert, "words", ()))


def stderr_line(text: str) -> None:
    """Write a line to standard error, which may be closed."""
    if sys.stderr is not None:
        try:
            print(without_arguments(text), file=sys.stderr, flush=True)
        except OSError:
            return


def variable_of(names: tuple[str, ...]) -> str:
    """The variable of an option, by its names: ``SENDROUTE_DRY_RUN`` for ``--dry-run``."""
    long = next(name for name in names if name.startswith("--"))
    return PREFIX + long[2:].replace("-", "_").upper()


def _truth(variable: str) -> bool:
    text = os.environ.get(variable, "").strip().lower()
    require_utf8(f"The variable {variable}", text)
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise UsageError(f"{variable} is `{text}`, but must be true or false.")


def _converted(variable: str, text: str, convert: Callable[[str], Any]) -> Any:
    if not isinstance(convert, PathType):
        require_utf8(f"The variable {variable}", text)
    try:
        return convert(text)
    except argparse.ArgumentTypeError as error:
        raise UsageError(sentence(f"{variable}: {error}")) from error


def sentence(message: str) -> str:
    message = message.strip()
    message = message[:1].upper() + message[1:]
    return message if message.endswith((".", "?", "!")) else f"{message}."
