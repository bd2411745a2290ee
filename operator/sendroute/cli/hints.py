"""The remedies of findings for the terminal: the command or the option to copy."""

import os
import shlex
from collections.abc import Sequence
from typing import TypeVar, assert_never

from msgspec.structs import replace

from sendroute.cli.given_options import has_given_store, with_given_options
from sendroute.model.account_status import ReportedFinding
from sendroute.model.codes import Code
from sendroute.model.current import DomainState
from sendroute.model.finding import Finding, Position, Severity
from sendroute.model.remedy import (
    AllowOlderTree,
    Approve,
    CheckOutSubmodules,
    Configure,
    ConfigurePostfix,
    ConfirmRemoval,
    DeleteProfile,
    ExtractProfile,
    GenerateKey,
    GitTask,
    GuardLimit,
    InstallPackage,
    Perform,
    RaiseLimit,
    Remedy,
    RenameProfile,
    ReplaceEmptyStore,
    ReuseKey,
    SetRoute,
    Setting,
    ShowRoutes,
    Task,
    UseGit,
)
from sendroute.model.route import Route
from sendroute.model.userinfo import without_userinfo
from sendroute.runtime.settings import DEFAULT_STORE

_LIMITS = {GuardLimit.CHANGES: "--max-change-percent", GuardLimit.REMOVALS: "--max-remove-percent"}

_SETTINGS = {
    Setting.STORE: "--store URL",
    Setting.KEY: "--key-file FILE, or SENDROUTE_KEY",
    Setting.SECRETS: "--secrets DIR",
    Setting.POLICY: "--policy FILE",
    Setting.BRANCH: "--branch NAME",
    Setting.SOURCE_PATH: "--path PATH",
    Setting.VERIFY_SIGNATURES: "--verify-signatures",
    Setting.ALLOWED_SIGNERS: "--allowed-signers FILE",
    Setting.STATE_DIRECTORY: "--state-dir DIR",
    Setting.GIT_TIMEOUT: "--git-timeout SECONDS",
    Setting.GIT_MEMORY: "--git-memory SIZE",
    Setting.TREE_SIZE: "--max-size SIZE",
    Setting.TREE_FILES: "--max-files N",
}

_PATH = "PATH"
# The command, the placeholder for its subject if the remedy has none, and what follows.
_TASKS: dict[Task, tuple[str, ...]] = {
    Task.CREATE_STORE: ("sendroute init", ""),
    Task.RESTORE_FROM_BACKUP: ("sendroute init --from-backup", "FILE"),
    Task.RESTORE_FROM_LOCK_FILE: ("sendroute init --from-lock", "FILE"),
    Task.RESTORE: ("sendroute restore", "FILE"),
    Task.WRITE_LOCK_FILE: ("sendroute apply PATH --write-lock", "FILE"),
    Task.VALIDATE: ("sendroute validate", "PATH"),
    Task.PLAN: ("sendroute plan", "PATH"),
    Task.SAVE_PLAN: ("sendroute plan PATH --out", "FILE"),
    Task.TEST_CONNECTIONS: ("sendroute plan --test-connections", "PATH"),
    Task.SYNC: ("sendroute sync", "PATH"),
    Task.ADD_DOMAIN: ("sendroute edit add-domain", "DOMAIN", "--account ACCOUNT PATH"),
    Task.SET_ROUTE: ("sendroute edit set-route", "DOMAIN", "--profile NAME PATH"),
}


# The command of git, and the placeholder for its subject if the remedy has none.
_GIT_TASKS: dict[GitTask, tuple[str, str]] = {
    GitTask.FETCH_HISTORY: ("fetch --unshallow", ""),
    GitTask.FETCH_LFS: ("lfs pull", ""),
    GitTask.FETCH_ANNEX: ("annex get", ""),
    GitTask.CHECK_REPOSITORY: ("fsck", ""),
    GitTask.SHOW_STATUS: ("status", ""),
    GitTask.SHOW_CONFIGURATION: ("config --show-origin", "--list"),
    GitTask.LIST_BRANCHES: ("ls-remote", "URL"),
    GitTask.EXTEND_CHECKOUT: ("sparse-checkout add", "DIRECTORY"),
    GitTask.CHECK_OUT: ("reset --hard", ""),
    GitTask.TAKE_ONE_SIDE: ("checkout --ours --", "FILE"),
    GitTask.SIGN_COMMIT: ("commit --amend -S", ""),
    GitTask.VERIFY_COMMIT: ("verify-commit", "COMMIT"),
}


_Finding = TypeVar("_Finding", Finding, ReportedFinding)


def with_hint(finding: _Finding, paths: Sequence[str] = ()) -> _Finding:
    """The finding with its remedy appended to its hint, without the user and the password of a URL
    that the user typed. ``paths`` are the manifests, if they are known."""
    message = without_userinfo(finding.message)
    if message != finding.message:
        finding = replace(finding, message=message)
    if isinstance(finding.position, Position):
        file = without_userinfo(finding.position.file)
        if file != finding.position.file:
            finding = replace(finding, position=replace(finding.position, file=file))
    if finding.remedy is None:
        hint = with_given_options(finding.hint or "")
        return finding if hint == (finding.hint or "") else replace(finding, hint=hint)
    hint = f"{(finding.hint or 'To fix it').removesuffix('.')}: {words(finding.remedy, paths)}"
    return replace(finding, hint=without_userinfo(hint), remedy=None)


def by_option(finding: Finding) -> Finding:
    """A finding about a new profile that options describe: its hint names them, not the fields of
    a manifest."""
    if finding.code != Code.INSECURE_AUTH or finding.severity is not Severity.ERROR:
        return finding
    hint = "Use --encryption starttls or tls, or accept the risk with --allow-insecure-auth."
    return replace(finding, hint=hint)


def leave_shadow(domain: str, state: DomainState, paths: Sequence[str] = ()) -> str:
    """The two ways out of a shadow: back to the declared route, or to the assigned one in the
    manifest. ``paths`` are the manifests, if they are known: the store does not know them."""
    declared = state.declared
    command = _set_route(domain, declared)
    overrides = shlex.quote(f"--overrides={state.shadow}")  # an id may begin with a hyphen
    manifests = _manifests(paths)
    unknown = "" if paths else f" Write the paths of the manifests in place of {_PATH}."
    return with_given_options(
        f"To return to {declared}: {command} {overrides} {manifests}. To keep {state.route}:"
        f" sendroute sync {manifests}.{unknown}"
    )


def _set_route(domain: str, route: Route | None) -> str:
    option = f" --{route.kind}" if route is not None else ""
    if route is not None and route.profile is not None:
        option += f" {shlex.quote(route.profile)}"
    return f"sendroute edit set-route {shlex.quote(domain)}{option}"


def _manifests(paths: Sequence[str]) -> str:
    return " ".join(map(_argument, paths)) or _PATH


def _argument(text: str) -> str:
    """A name or path as a shell and the parser of options read it."""
    return shlex.quote(f"./{text}" if text.startswith("-") else text)


def words(remedy: Remedy, paths: Sequence[str] = ()) -> str:
    """The text to type for a remedy. ``paths`` are the manifests; PATH if they are not known."""
    return with_given_options(_words(remedy, paths))


def _words(remedy: Remedy, paths: Sequence[str]) -> str:
    manifests = _manifests(paths)
    match remedy:
        case RaiseLimit(limit, percent):
            return f"{_LIMITS[limit]} {percent}"
        case AllowOlderTree():
            return "--allow-older-tree"
        case Approve(namespace, account):
            return f"sendroute approve {namespace}/{account}"
        case ConfirmRemoval(namespace, account):
            return f"--remove-account {namespace}/{account}"
        case Configure(setting):
            return _SETTINGS[setting]
        case Perform(task, subject):
            command, placeholder, *more = (part.replace(_PATH, manifests) for part in _TASKS[task])
            shown = _argument(subject) if subject else placeholder
            return " ".join([command, shown, *more]).rstrip()
        case SetRoute(domain, route):
            return f"{_set_route(domain, route)} {manifests}"
        case ReplaceEmptyStore():
            return _replace_empty_store(remedy)
        case ReuseKey(path):
            command = "sendroute init --from-lock FILE, sendroute init --from-backup FILE, or"
            return f"{command} sendroute init --key-file {_argument(path)}"
        case CheckOutSubmodules(top, path, again):
            command = "submodule update --init" + (" --force" if again else "")
            return f"{_git(top)} {command} {_argument(path) if path else ''}".rstrip()
        case UseGit(GitTask.RESTORE_SKIPPED, subject, top):
            git, file = _git(top), _argument(subject) if subject else "FILE"
            # With the first command alone the file would be deleted.
            return f"{git} update-index --no-skip-worktree {file} && {git} checkout -- {file}"
        case UseGit(git_task, subject, top):
            command, placeholder = _GIT_TASKS[git_task]
            shown = _argument(subject) if subject else placeholder
            return f"{_git(top)} {command} {shown}".rstrip()
        case InstallPackage(package):
            return f"apt-get install {package}"
        case GenerateKey():
            return "openssl rand -base64 32"
        case DeleteProfile(namespace, account, profile):
            command = f"sendroute edit delete-profile {profile} --account {namespace}/{account}"
            return f"{command} --undeclare {manifests}"
        case ExtractProfile(namespace, account, profile):
            command = f"sendroute edit extract-profile {profile} --account {namespace}/{account}"
            return f"{command} {manifests}"
        case RenameProfile(namespace, account, profile, new_name, then):
            command = f"sendroute edit rename-profile {profile} {new_name}"
            following = f" && {_words(then, paths)}" if then is not None else ""
            return f"{command} --account {namespace}/{account} {manifests}{following}"
        case ShowRoutes(namespace, account, profile):
            return f"sendroute routes --account {namespace}/{account} --profile {profile}"
        case ConfigurePostfix():
            return _postfix_config(remedy)
        case _:
            assert_never(remedy)


def _git(top: str | None) -> str:
    """The command for a repository, by its top, from the directory that the user is in."""
    try:
        is_here = top is None or os.path.samefile(top, ".")  # noqa: PTH121 - as cheap as can be
    except OSError:  # a status is shown where the repository is not
        is_here = False
    return "git" if is_here else f"git -C {shlex.quote(str(top))}"


def _replace_empty_store(remedy: ReplaceEmptyStore) -> str:
    """The empty store is moved and not removed, because only its user knows that it is empty."""
    from sendroute.store.url import is_postgres, sqlite_path  # it imports pathlib

    store = ""
    if is_postgres(remedy.location):
        move = f"ALTER SCHEMA sendroute RENAME TO sendroute_old in {remedy.location}, then"
    else:
        move = f"mv {_argument(remedy.location)} {_argument(remedy.location + '.old')} &&"
        is_default = remedy.location == str(sqlite_path(DEFAULT_STORE))
        if not is_default and not has_given_store():
            store = f" --store {shlex.quote(f'sqlite:///{remedy.location}')}"
    option = "--from-backup" if remedy.is_backup else "--from-lock"
    return f"{move} sendroute init {option} {_argument(remedy.file)}{store}"


def _postfix_config(remedy: ConfigurePostfix) -> str:
    parts = ["sendroute postfix config --dir", _argument(remedy.directory)]
    if remedy.config is not None and remedy.installs:
        parts += ["--postfix-config-dir", _argument(remedy.config)]
    if remedy.installs:
        parts.append("--install")
    if remedy.replaces is not None:
        parts += ["--replace", remedy.replaces]
    return " ".join(parts)
