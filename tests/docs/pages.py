"""The generated pages of ``docs/``: every command and option, and every finding code.

``make docs`` writes them; ``test_generated.py`` checks that the committed pages are up to date.
"""

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from .manifest_fields import manifests_page

ROOT = Path(__file__).parents[2]

_COMMANDS_HEAD = """\
# Commands

Usage: `sendroute [OPTION…] COMMAND [ARGUMENT…]`. Results go to standard output; messages, logs and
progress go to standard error. The options for all commands may come before or after the command.
Most options have a variable; an option on the command line wins. A variable whose name begins with
`SENDROUTE_` and that nothing reads is reported as a warning. This page is generated from the
program: `sendroute COMMAND --help` prints the same.

## Exit status

| status | meaning |
|---|---|
| 0 | success |
| 1 | something is invalid or failed |
| 2 | there are changes; only with `plan --detailed-exitcode` |
| 3 | something was refused: a guard, a missing confirmation, a stale plan, a wrong store |
| 4 | applied in part: something was skipped |
| 64 | wrong usage |

If there are several reasons, the most severe one decides: 1, then 3, then 4.
"""


def commands_page() -> str:
    """Every command with its arguments, options, variables and defaults."""
    from sendroute.cli.command_line import Parser
    from sendroute.cli.commands import COMMANDS
    from sendroute.cli.session import global_options

    with _no_settings():
        common = Parser("sendroute")
        global_options(common)
        lines = [_COMMANDS_HEAD, "## Options for all commands\n", *_options(common)]
        for name in COMMANDS:
            lines += _command(name)
    return "\n".join(lines).rstrip() + "\n"


@contextmanager
def _no_settings() -> Iterator[None]:
    """Hide the variables of the user: they would appear as defaults of options."""
    before = dict(os.environ)
    for name in [name for name in before if name.startswith("SENDROUTE_")]:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ |= before


def _command(name: str, parent: str = "") -> Iterator[str]:
    full = f"{parent} {name}".strip()
    module = import_module(f"sendroute.cli.commands.{full.replace('-', '_').replace(' ', '.')}")
    summary, text, examples = _description(module.__doc__ or "")
    yield f"{'###' if parent else '##'} {full}\n"
    yield f"{summary}\n"
    if text:
        yield f"{text}\n"
    if hasattr(module, "COMMANDS"):
        for member in module.COMMANDS:
            yield from _command(member, full)
        return
    from sendroute.cli.command_line import Parser

    parser = Parser(f"sendroute {full}")
    module.options(parser)
    yield f"```text\n{' '.join(parser.format_usage().removeprefix('usage: ').split())}\n```\n"
    yield from _options(parser)
    if examples:
        yield f"```console\n{examples}\n```\n"


def _description(doc: str) -> tuple[str, str, str]:
    """A command's docstring: its first line, its text, its examples. The text may go on after the
    examples, which are indented."""
    text, _, following = doc.partition("\nexamples:\n")
    examples, _, more = following.rstrip().partition("\n\n")
    summary, _, rest = text.strip().partition("\n\n")
    shown = [line.removeprefix("  ") for line in examples.splitlines()]
    return " ".join(summary.split()), f"{rest.strip()}\n\n{more}".strip(), "\n".join(shown)


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    rows = [
        _row(action)
        for action in parser._actions
        if action.dest != "help" and action.help != argparse.SUPPRESS
    ]
    if rows:
        yield "| option | meaning | variable |\n|---|---|---|"
        yield "\n".join(rows) + "\n"


def _row(action: argparse.Action) -> str:
    metavar = action.metavar if isinstance(action.metavar, str) else action.dest
    names = ", ".join(f"`{name}`" for name in action.option_strings) or f"`{metavar}`"
    if action.option_strings and action.nargs != 0:
        names = names[:-1] + f" {metavar}`"
    text, _, variable = (action.help or "").replace("%%", "%").partition(" [SENDROUTE_")
    shown = f"`SENDROUTE_{variable.rstrip(']')}`" if variable else ""
    return f"| {names} | {_cell(text)} | {shown} |"


def _cell(text: str) -> str:
    """Escape a table cell: a bar would end it, and angle brackets would be HTML."""
    return re.sub(r"([|<>])", r"\\\1", text)


_FINDINGS_HEAD = """\
# Findings

Every problem and every remark is a finding: a stable code, a severity, a position
(`file:line:column`), one sentence and often a hint. A code never gets another meaning. This page
is generated from the program.

| severity | meaning | exit status |
|---|---|---|
| `error` | what it names is not applied, or left out | 1, or 4 if the rest was applied |
| `refused` | a guard or a missing confirmation stops it | 3 |
| `warning` | it is applied; look at it | 0, with `--strict` 1 |
| `info` | a remark | 0 |

The severity of a code below is the usual one. Some rules report a code with another: for
example, a fault that keeps nothing from being applied is a warning.

*Who acts*: the `author` of the manifests, the `operator` of Sendroute (store, keys, options,
approvals), or the `environment` (a provider, a database, a git server). A *retried* code may be
resolved without an edit; `sendroute run` retries it with exponential backoff.
"""


def findings_page() -> str:
    """Every code with its severity, cause and fix."""
    from sendroute.model.codes import Code, Trait

    lines = [_FINDINGS_HEAD]
    for code in sorted(Code):
        traits = [
            name
            for trait, name in (
                (Trait.GUARD, "a guard"),
                (Trait.APPROVABLE, "can be approved"),
                (Trait.TRANSIENT, "retried"),
            )
            if trait in code.traits
        ]
        facts = [f"`{code.severity.value}`", f"who acts: {code.responsible.value}", *traits]
        lines += [
            f"## {code.value}\n",
            f"{code.meaning}\n",
            f"{'; '.join(facts)}\n",
            f"- **Cause:** {code.cause}",
            f"- **Fix:** {code.fix}\n",
        ]
    return "\n".join(lines).rstrip() + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "commands.md": commands_page,
    "findings.md": findings_page,
    "manifests.md": manifests_page,
}


def write() -> None:
    for name, page in PAGES.items():
        (ROOT / "docs" / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "operator"))
    write()
