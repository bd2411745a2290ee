"""Remedies of findings as the terminal shows them: the command or the option to copy."""

import shlex
from typing import TypeVar, assert_never

from msgspec.structs import replace

from sendroute.model.account_status import ReportedFinding
from sendroute.model.finding import Finding
from sendroute.model.remedy import (
    Approve,
    Configure,
    Limit,
    Perform,
    RaiseLimit,
    Remedy,
    Setting,
    Task,
)

_LIMITS = {Limit.CHANGES: "--max-change-percent", Limit.REMOVALS: "--max-remove-percent"}

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
}

# The command, and what stands for its subject if the finding names none.
_TASKS = {
    Task.CREATE_STORE: ("sendroute init", ""),
    Task.RESTORE_FROM_BACKUP: ("sendroute init --from-backup", "FILE"),
    Task.RESTORE_FROM_LOCK_FILE: ("sendroute init --from-lock", "FILE"),
    Task.RESTORE: ("sendroute restore", "FILE"),
    Task.BACK_UP: ("sendroute backup", "FILE"),
    Task.WRITE_LOCK_FILE: ("sendroute apply PATH --write-lock", "FILE"),
    Task.VALIDATE: ("sendroute validate", "PATH"),
    Task.PLAN: ("sendroute plan", "PATH"),
    Task.SAVE_PLAN: ("sendroute plan PATH --out", "FILE"),
    Task.TEST_CONNECTIONS: ("sendroute plan --test-connections", "PATH"),
    Task.SYNC: ("sendroute sync", "PATH"),
    Task.SHOW_ROUTES: ("sendroute routes --profile", "NAME"),
    Task.ADD_DOMAIN: ("sendroute edit add-domain", "DOMAIN"),
    Task.SET_ROUTE: ("sendroute edit set-route", "DOMAIN"),
}


_Found = TypeVar("_Found", Finding, ReportedFinding)


def with_hint(found: _Found) -> _Found:
    """The finding with its remedy worded as the end of its hint."""
    if found.remedy is None:
        return found
    hint = f"{(found.hint or 'To fix it').removesuffix('.')}: {words(found.remedy)}"
    return replace(found, hint=hint, remedy=None)


def words(remedy: Remedy) -> str:
    """What to type."""
    match remedy:
        case RaiseLimit(limit, percent):
            return f"{_LIMITS[limit]} {percent}"
        case Approve(namespace, account):
            return f"sendroute approve {namespace}/{account}"
        case Configure(setting):
            return _SETTINGS[setting]
        case Perform(task, subject):
            command, anything = _TASKS[task]
            return f"{command} {shlex.quote(subject) if subject else anything}".rstrip()
        case _:
            assert_never(remedy)
