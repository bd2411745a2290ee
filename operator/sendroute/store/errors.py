"""What a store tells a person, in words that both databases share."""

from sendroute.model.codes import finding
from sendroute.model.problem import ProblemError, StaleError


def problem(code: str, message: str, hint: str) -> ProblemError:
    return ProblemError(finding(code, message, hint=hint))


def stale(*accounts: object) -> StaleError:
    named = ", ".join(str(key) for key in accounts)
    return StaleError(
        finding(
            "stale-plan",
            f"The store has changed since this was planned{f' ({named})' if named else ''}.",
            hint="Nothing of it was written. Plan again.",
        )
    )


def not_ours(location: str) -> ProblemError:
    return problem(
        "wrong-store",
        f"{location} is not a Sendroute store.",
        "It was left untouched. Name the right store with --store, or another place for a new one.",
    )


def missing(location: str) -> ProblemError:
    return problem(
        "not-initialised",
        f"There is no store at {location}.",
        "Make one with `sendroute init`, once; or name the right one with --store.",
    )


def exists(location: str) -> ProblemError:
    return problem(
        "store-exists",
        f"There is something at {location} already, and `init` never writes over anything.",
        "Use the store that is there, or name another place.",
    )


def locked(location: str) -> ProblemError:
    return problem(
        "store-locked",
        f"The store {location} is in use by another writer.",
        "Nothing was written. Try again when the other one has ended.",
    )


def damaged(location: str) -> ProblemError:
    return problem(
        "store-failed",
        f"The store {location} is damaged.",
        "Restore it: `sendroute init --from-backup FILE` or `--from-lock FILE`, in a new place.",
    )
