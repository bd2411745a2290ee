"""The options that several commands share: paths, accounts, output formats, edits.

No environment variable sets an option about one object. (Kubernetes also sets variables such as
SENDROUTE_PORT in every pod next to a Service named sendroute.)
"""

import argparse
import os
import re
from collections.abc import Sequence
from typing import NamedTuple

from sendroute.cli.command_line import (
    MANIFESTS,
    OUTPUT_FILE,
    ChoiceType,
    Parser,
    PathType,
    UsageError,
    percent,
    require_utf8,
    suggestion,
)
from sendroute.files.regular import head_of
from sendroute.model.desired import AccountKey
from sendroute.model.manifest_name import is_hidden, is_manifest, is_yaml
from sendroute.model.route import MANAGED, UNCONFIGURED, Route, via
from sendroute.planner.guards import Guards

_DATABASE = b"SQLite format 3\0"  # https://www.sqlite.org/fileformat.html, section 1.3
_KEY_LENGTH = 44
_KEY = re.compile(rb"[A-Za-z0-9_-]{43}=")

REPORTS = ("text", "json", "markdown", "html", "github", "sarif", "junit")
TABLES = ("text", "json")
ROWS = ("text", "json", "csv")


class Output(NamedTuple):
    """``path`` is None for standard output."""

    form: str
    path: str | None


class _OutputType(PathType):
    def __init__(self, forms: Sequence[str]) -> None:
        super().__init__()
        self.words = tuple(forms)

    def __call__(self, text: str) -> Output:
        form, equals, path = text.partition("=")
        require_utf8("The format", form)
        if form not in self.words:
            known = ", ".join(self.words)
            raise argparse.ArgumentTypeError(
                f"`{form}` is none of {known}.{suggestion(form, self.words)}".rstrip(".")
            )
        if equals and not path:
            raise argparse.ArgumentTypeError(f"`{text}` specifies no file")
        return Output(form, None if path in ("", "-") else path)


def output_option(parser: Parser, forms: Sequence[str], *, of_manifests: bool = False) -> None:
    """``of_manifests``: the outputs are manifests, so they may replace some."""
    parser.value(
        "-o",
        "--output",
        metavar="FORMAT[=FILE]",
        type=_OutputType(forms),
        action="append",
        help=f"{', '.join(forms)}; may be repeated; - is standard output",
    )
    parser.check(_check_outputs)
    parser.check(_keep_stores)
    if not of_manifests:
        parser.check(_keep_manifests)


def outputs_of(arguments: argparse.Namespace) -> list[Output]:
    """The requested outputs, and text on standard output if no other output goes there."""
    chosen = requested_outputs(arguments)
    if any(output.path is None for output in chosen):
        return chosen
    return [*chosen, Output("text", None)]


def requested_outputs(arguments: argparse.Namespace) -> list[Output]:
    """The outputs that ``-o`` requests."""
    return list(getattr(arguments, "output", None) or [])


def _check_outputs(arguments: argparse.Namespace) -> None:
    """Raises :class:`UsageError` for two results on standard output or in one file: the second
    would replace the first."""
    chosen = requested_outputs(arguments)
    if sum(output.path is None for output in chosen) > 1:
        raise UsageError("Only one -o can go to standard output: write the others -o FORMAT=FILE.")
    seen: set[str] = set()
    for path in _files_to_write(arguments):
        if path == os.devnull:
            continue
        resolved = os.path.realpath(path)
        if resolved in seen:
            raise UsageError(f"`{path}` would be written twice: give each result its own file.")
        seen.add(resolved)


def _keep_stores(arguments: argparse.Namespace) -> None:
    """Raises :class:`UsageError` for an output that would replace a store, a backup or a key."""
    for path in _files_to_write(arguments):
        head = head_of(path, _KEY_LENGTH)
        held = "a database" if head.startswith(_DATABASE) else "a key" if _KEY.match(head) else None
        if held is not None:
            raise UsageError(f"`{path}` holds {held}, which would be replaced: give another file.")


def keep_secrets(arguments: argparse.Namespace, directory: str) -> None:
    """Refuse an output that would replace a secret.

    Args:
        arguments: those of the command.
        directory: the directory of secrets.

    Raises:
        UsageError: an output is within it.
    """
    top = f"{os.path.realpath(directory)}{os.sep}"
    for path in _files_to_write(arguments):
        if os.path.realpath(path).startswith(top):
            raise UsageError(f"`{path}` is in the directory of secrets: give another file.")


def _keep_manifests(arguments: argparse.Namespace) -> None:
    """Raises :class:`UsageError` for an output that would replace a file of manifests, or be read
    as one. Other files are not read as such, so one may quote them."""
    given = {os.path.realpath(path) for path in getattr(arguments, "paths", ())}
    for path in _files_to_write(arguments):
        target = os.path.realpath(path)
        if not (target in given or is_manifest(path) or is_manifest(target)):
            continue
        from sendroute.manifests.content import holds_manifests

        if holds_manifests(target):
            raise UsageError(
                f"`{path}` holds manifests, which would be replaced: give another file."
            )
        within = (target.removeprefix(f"{top}{os.sep}") for top in given)
        if is_yaml(target) and any(inner != target and not is_hidden(inner) for inner in within):
            raise UsageError(
                f"`{path}` would be read as a manifest: give a file outside of the given paths."
            )


def _files_to_write(arguments: argparse.Namespace) -> list[str]:
    """The files of ``-o``, and those of the options of plan and apply that write one too."""
    others = (getattr(arguments, name, None) for name in ("out", "write_lock"))
    paths = [*others, *(output.path for output in requested_outputs(arguments))]
    return [path for path in paths if path is not None]


def paths_argument(parser: Parser, also: str = "; - is standard input") -> None:
    """Directories and files of manifests. ``also`` continues the help: what else a path may be."""
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        type=MANIFESTS,
        help=f"directory or file of manifests{also}",
    )


def kind_argument(parser: Parser, kinds: tuple[str, ...]) -> None:
    """One of the kinds of manifests, or every kind."""
    parser.add_argument(
        "kind", nargs="?", metavar="KIND", type=_KindType(kinds), help="every kind if absent"
    )


class _KindType(ChoiceType):
    def __call__(self, text: str) -> str:
        if text not in self.words:
            near = suggestion(text, self.words) or f" The kinds are {', '.join(self.words)}."
            raise argparse.ArgumentTypeError(f"there is no kind `{text}`.{near}")
        return text


def only_option(parser: Parser) -> None:
    parser.value(
        "--only",
        metavar="ACCOUNT",
        action="append",
        help="plan only this account, NAME or NAMESPACE/NAME; may be repeated",
    )


def guard_options(parser: Parser) -> None:
    """The options of ``plan`` and ``apply`` that let through what a guard refuses."""
    limit_options(parser)
    parser.value(
        "--remove-account",
        metavar="NAMESPACE/NAME",
        type=_account_key,
        action="append",
        help="confirm that this account is removed with its domains; may be repeated",
    )


def _account_key(text: str) -> AccountKey:
    namespace, slash, name = text.partition("/")
    if not (namespace and slash and name) or "/" in name:
        raise argparse.ArgumentTypeError(f"`{text}` is not NAMESPACE/NAME")
    return AccountKey(namespace, name)


class GuardOptions(NamedTuple):
    """The guards' options as typed: limits, None if not given, and the accounts whose removal is
    confirmed."""

    change_percent: int | None = None
    remove_percent: int | None = None
    allow_older_tree: bool = False
    remove_accounts: frozenset[AccountKey] = frozenset()

    def guards(self, otherwise: Guards = Guards()) -> Guards:  # noqa: B008 - it is frozen
        """The guards with these options; ``otherwise`` has what is not given."""
        change, remove, allow_older_tree, accounts = self
        return Guards(
            otherwise.change_percent if change is None else change,
            otherwise.remove_percent if remove is None else remove,
            remove_accounts=otherwise.remove_accounts | accounts,
            allow_older_tree=allow_older_tree or otherwise.allow_older_tree,
        )


def limit_options(
    parser: Parser,
    action: str = "refuse to",
    default: int | None = None,
) -> None:
    """The limits of the guards.

    Args:
        parser: takes the options.
        action: what a guard does, as the beginning of the help.
        default: the value of an absent option; None to know that it is absent, because a saved
            plan has limits of its own.
    """
    for option, verb in (("change", "reroute"), ("remove", "remove")):
        parser.value(
            f"--max-{option}-percent",
            metavar="N",
            type=percent,
            default=default,
            help=f"{action} {verb} more than N %% of the domains of an account, or of the store"
            " (default 30)",
        )


def limits_of(arguments: argparse.Namespace) -> GuardOptions:
    """The options of :func:`guard_options` and :func:`older_tree_option`."""
    return GuardOptions(
        arguments.max_change_percent,
        arguments.max_remove_percent,
        arguments.allow_older_tree,
        frozenset(arguments.remove_account or ()),
    )


def older_tree_option(parser: Parser) -> None:
    parser.switch(
        "--allow-older-tree",
        help="apply although the commit of the manifests lacks one that was applied before",
    )


def route_options(parser: Parser, *, required: bool) -> argparse._MutuallyExclusiveGroup:
    group = parser.add_mutually_exclusive_group(required=required)
    group.add_argument("--profile", metavar="NAME", help="through this profile of the account")
    group.add_argument("--managed", action="store_true", help="through the managed relay")
    group.add_argument(
        "--unconfigured", action="store_true", help="no route: the domain must not send"
    )
    return group


def route_of_options(arguments: argparse.Namespace) -> Route | None:
    """The route of the options; None if none of them is given."""
    if arguments.profile is None and not arguments.managed and not arguments.unconfigured:
        return None
    return required_route(arguments)


def required_route(arguments: argparse.Namespace) -> Route:
    """The route of the options, of which argparse requires exactly one."""
    if arguments.profile is not None:
        return via(arguments.profile)
    return MANAGED if arguments.managed else UNCONFIGURED


def account_argument(parser: Parser) -> None:
    parser.add_argument("account", metavar="ACCOUNT", help="NAME or NAMESPACE/NAME")


def domain_argument(parser: Parser) -> None:
    parser.add_argument("domain", metavar="DOMAIN", help="the domain")


def account_of_domain(parser: Parser) -> None:
    parser.add_argument(
        "--account",
        metavar="ACCOUNT",
        help="its account, if two accounts declare it: NAME or NAMESPACE/NAME",
    )


def profile_argument(parser: Parser) -> None:
    """A profile that the manifests define, and the account that owns it."""
    parser.add_argument("profile_name", metavar="PROFILE", help="NAME or NAMESPACE/NAME")
    parser.add_argument(
        "--account",
        metavar="ACCOUNT",
        help="its account, if several accounts have a profile of that name: NAME or NAMESPACE/NAME",
    )


def profile_of_account(parser: Parser) -> None:
    """A new profile."""
    parser.add_argument("name", metavar="NAME", help="the profile")
    parser.add_argument(
        "--account", metavar="ACCOUNT", required=True, help="its account, NAME or NAMESPACE/NAME"
    )


def file_option(parser: Parser) -> None:
    """The file of a new document."""
    parser.add_argument(
        "--file",
        metavar="FILE",
        type=OUTPUT_FILE,
        help="write it to this file, new or among PATH",
    )


def edit_options(parser: Parser) -> None:
    paths_argument(parser, also="")
    parser.switch("--dry-run", help="print the changes as a diff, write nothing")
    output_option(parser, TABLES)


def refuse_stdin(paths: list[str]) -> None:
    if "-" in paths:
        raise UsageError("Standard input cannot be edited in place: give files.")
