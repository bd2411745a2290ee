"""Variables named SENDROUTE_… that nothing reads: probably misspelt.

It is imported only if there is a variable that the chosen command does not read, because it loads
the options of all other commands.
"""

import logging
import os
import re
from collections.abc import Callable, Iterable
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

from sendroute.cli.command_line import Parser, PathType, require_utf8, suggestion, variable_of
from sendroute.cli.commands import COMMANDS
from sendroute.cli.session import global_options
from sendroute.credentials import keys, variables
from sendroute.runtime import actor

_log = logging.getLogger(__name__)

# Kubernetes sets them in every pod for a Service whose name begins with sendroute
# (https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables).
_OF_A_SERVICE = re.compile(
    r"SENDROUTE(_\w+)?_(SERVICE_HOST|SERVICE_PORT(_\w+)?"
    r"|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)


def warn_of_unknown(names: Iterable[str]) -> None:
    """Log a warning for each variable that no command reads, with the nearest known name. The value
    is not shown: it may be a misspelt secret."""
    known = _known()
    for name in sorted(set(names) - known):
        if name.startswith(variables.PREFIX):
            if not variables.is_variable(name):
                _log.warning(
                    "The environment variable %s has no effect: a secret's variables are"
                    " SENDROUTE_SECRET_<NAMESPACE>__<NAME>__USERNAME, …__PASSWORD and"
                    " …__ALLOWED_HOSTS.",
                    name,
                )
        elif not _OF_A_SERVICE.fullmatch(name):
            _log.warning(
                "The environment variable %s is unknown and has no effect.%s",
                name,
                suggestion(name, known),
            )


def _known() -> frozenset[str]:
    return frozenset({*_collected().variables, keys.VARIABLE, actor.VARIABLE})


@cache
def _collected() -> "_Collector":
    collector = _Collector("sendroute")
    global_options(collector)
    for options in _options_of(COMMANDS, "sendroute.cli.commands"):
        options(collector)
    return collector


def _options_of(names: Iterable[str], package: str) -> Iterable[Callable[[Parser], object]]:
    for name in names:
        module: ModuleType = import_module(f"{package}.{name.replace('-', '_')}")
        if hasattr(module, "COMMANDS"):
            yield from _options_of(module.COMMANDS, module.__name__)
        else:
            yield module.options


def refuse_not_utf8(names: Iterable[str]) -> None:
    """Refuse variables that are not UTF-8, except paths and secrets: a secret is its profile's
    problem and not that of the command.

    Raises:
        UsageError: a variable is not UTF-8.
    """
    paths = _collected().paths
    for name in sorted(set(names) - paths):
        if not name.startswith(variables.PREFIX):
            require_utf8(f"The variable {name}", os.environ[name])


class _Collector(Parser):
    """Collects the names of the variables of all options. No variable is read, because its value is
    for another command, and is not checked here."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, conflict_handler="resolve")
        self.paths: set[str] = set()

    def switch(self, *names: str, **_options: Any) -> None:
        self.variables.add(variable_of(names))

    def value(self, *names: str, **options: Any) -> None:
        self.variables.add(variable_of(names))
        if isinstance(options.get("type"), PathType):
            self.paths.add(variable_of(names))
