"""The findings that both databases report."""

from sendroute.model.codes import finding
from sendroute.model.problem import InvalidSettingError, ProblemError, StaleError
from sendroute.model.remedy import Configure, Perform, Remedy, Setting, Task
from sendroute.model.secret import SecretBinding

UNDONE = "This transaction was undone; what was committed before it stays."
"""Begins a hint: a command may commit its accounts in several transactions."""


class WrongValueError(ValueError):
    """A value in the store that no version of Sendroute wrote."""


class DamagedError(ProblemError):
    """The content of a store, or of a backup that is read as a store, is damaged."""


def problem(code: str, message: str, hint: str, remedy: Remedy | None = None) -> ProblemError:
    """A problem of one finding; see :class:`~sendroute.model.finding.Finding`."""
    return ProblemError(finding(code, message, hint=hint, remedy=remedy))


def invalid_url(message: str, hint: str) -> InvalidSettingError:
    """The error for a malformed URL of a store."""
    return InvalidSettingError(finding("invalid-value", message, hint=hint))


def stale(*accounts: object) -> StaleError:
    """The error for a plan that no longer fits the store; ``accounts`` are those that changed."""
    named = ", ".join(str(key) for key in accounts)
    return StaleError(
        finding(
            "stale-plan",
            f"The store changed after the plan was made{f' ({named})' if named else ''}.",
            hint=f"{UNDONE} Plan again.",
        )
    )


def newer_tree() -> StaleError:
    """The error for a plan whose tree was compared with other commits than those applied last."""
    return StaleError(
        finding(
            "stale-plan",
            "Another commit of the repository was applied after the plan was made.",
            hint=f"{UNDONE} Plan again.",
        )
    )


def not_ours(location: str) -> ProblemError:
    return problem(
        "wrong-store",
        f"{location} is not a Sendroute store.",
        "Nothing was changed. Specify the URL of the store, or another location for a new store.",
        Configure(Setting.STORE),
    )


def missing(location: str) -> ProblemError:
    return problem(
        "not-initialised",
        f"There is no store at {location}.",
        "Correct the store's URL, or create the store once.",
        Perform(Task.CREATE_STORE),
    )


def exists(location: str) -> ProblemError:
    return problem(
        "store-exists",
        f"{location} already exists. Creating a store never overwrites anything.",
        "Use that store. To create another one here, move it away first; or specify another"
        " location.",
        Configure(Setting.STORE),
    )


def something_else_exists(location: str) -> ProblemError:
    return problem(
        "store-exists",
        f"{location} already exists, and is no store. Creating a store never overwrites anything.",
        "Move it away, or specify another location.",
        Configure(Setting.STORE),
    )


def unreadable(binding: SecretBinding) -> ProblemError:
    return problem(
        "credential-unreadable",
        f"Nothing was changed: a credential of {binding.title} cannot be decrypted with the given"
        " keys.",
        "Add the key that it was encrypted with below the new one.",
    )


def locked(location: str) -> ProblemError:
    return problem(
        "store-locked",
        f"The store {location} is in use by another writer.",
        f"{UNDONE} Try again when the other process has finished.",
    )


def damaged(location: str) -> DamagedError:
    return DamagedError(
        finding(
            "store-failed",
            f"The store {location} is damaged.",
            hint="Create the store again at another location, from a backup or its lock file.",
            remedy=Perform(Task.RESTORE_FROM_BACKUP),
        )
    )
