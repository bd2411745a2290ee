"""What one invocation was told for all commands alike, and the streams it may write to."""

import os
import sys
from enum import IntEnum
from typing import NamedTuple, TextIO

from sendroute.cli.command_line import Parser, one_of

DEFAULT_STORE = "sqlite:///./sendroute.db"


class Verbosity(IntEnum):
    QUIET = 0
    NORMAL = 1
    VERBOSE = 2


class Session(NamedTuple):
    """``secrets`` is the folder of secret files, ``key_file`` the file of encryption keys; each is
    None where none was given."""

    store: str
    secrets: str | None
    key_file: str | None
    verbosity: Verbosity
    log_format: str
    no_color: bool

    @property
    def quiet(self) -> bool:
        return self.verbosity is Verbosity.QUIET

    @property
    def verbose(self) -> bool:
        return self.verbosity is Verbosity.VERBOSE

    def colours(self, stream: TextIO | None) -> bool:
        """Colour only on a terminal that can, and only where nobody said no (no-color.org)."""
        if self.no_color or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
            return False
        return is_terminal(stream)


def is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and not stream.closed and stream.isatty()


def global_options(parser: Parser, *, again: bool = False) -> None:
    """The options before the command; ``again`` for a command's own parser, for people type them
    last as well."""
    parser.value(
        "--store",
        again=again,
        metavar="URL",
        default=DEFAULT_STORE,
        help="the record of what is assigned, sqlite:///FILE or postgresql://USER@HOST/DATABASE"
        f" (default {DEFAULT_STORE})",
    )
    parser.value(
        "--secrets", again=again, metavar="DIR", help="secret files: DIR/NAMESPACE/NAME/KEY"
    )
    parser.value(
        "--key-file",
        again=again,
        metavar="FILE",
        help="keys of the credentials in the store: the first encrypts, all decrypt",
    )
    parser.switch("-q", "--quiet", again=again, help="say only what is wrong")
    parser.switch("-v", "--verbose", again=again, help="say more of what is done")
    parser.value(
        "--log-format",
        again=again,
        metavar="FORMAT",
        type=one_of("text", "json"),
        default="text",
        help="text or json (default text)",
    )
    parser.switch("--no-color", again=again, help="no colours, as NO_COLOR says too")


def prepare_streams() -> None:
    """Never fail for a character that the terminal's encoding lacks (LANG=C), nor for a stream
    that was closed before we were started."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
